package vault

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"

	"deskset/firmware/fleet"
	"deskset/firmware/vault/sealed"
)

// part is one sealed file being written. Only its recording's goroutine uses it.
type part struct {
	fs   FS
	kind fleet.Kind
	n    int
	name string
	f    File
	w    *sealed.Writer
	off  int64     // end of what is synced
	size int64     // of the file, zeros included
	segs int       // synced
	sum  hash.Hash // of bytes 0..off
	last bool      // the end mark is synced
	kept bool      // the name is on the disk
	todo []byte    // sealed, not yet synced: written again at the same place
	done bool      // todo carries the end mark
}

// newPart begins a file. Header and name reach the disk with the first segment.
func (v *Vault) newPart(m sealed.Meta, to []*sealed.PublicKey) (*part, error) {
	w, head, err := sealed.NewWriter(m, to)
	if err != nil {
		return nil, err
	}
	p := &part{fs: v.fs, kind: m.Kind, n: m.Part, name: partName(m.Seq, m.ID, m.Part, m.Kind), w: w, sum: sha256.New()}
	if slab, ok := v.pool.take(m.Kind); ok {
		if err := v.fs.Rename(slab.Name, p.name); err != nil {
			v.log.Warn("slab is not usable", "slab", slab.Name, "err", err)
		}
	}
	p.f, err = v.fs.Open(p.name, true)
	if err != nil {
		return nil, fmt.Errorf("begin part %s: %w", p.name, err)
	}
	p.size, err = p.f.Size()
	if err == nil {
		_, err = p.f.WriteAt(head, 0)
	}
	if err != nil {
		v.drop(p)
		return nil, fmt.Errorf("begin part %s: %w", p.name, err)
	}
	p.off = int64(len(head))
	p.size = max(p.size, p.off)
	p.sum.Write(head)
	return p, nil
}

// drop a file in which nothing was acknowledged.
func (v *Vault) drop(p *part) {
	p.w.Wipe()
	p.f.Close()
	if err := v.fs.Remove(p.name); err != nil && !missing(err) {
		v.log.Warn("failed part stays until the next start", "part", p.name, "err", err)
	}
}

// seal data as the segment to be stored next.
func (p *part) seal(data []byte, last bool) (seg uint64, err error) {
	seg = p.w.Next()
	p.todo, err = p.w.Segment(data, last)
	p.done = last
	return seg, err
}

func (p *part) amend(of uint64, data []byte) (err error) {
	p.todo, err = p.w.Amend(of, data)
	p.done = false
	return err
}

// errBroken says that the file must not be written any more.
type errBroken struct{ error }

func (e errBroken) Unwrap() error { return e.error }

// store writes and syncs what was sealed. After an error that is errBroken the
// part is at its end; after another (no space) the same segment may be stored
// again.
func (p *part) store() error {
	b := p.todo
	end := p.off + int64(len(b))
	written := false
	if end > p.size {
		grow := int64(voiceGrow)
		if p.kind == fleet.Facts {
			grow = factsGrow
		}
		grown := (end + grow - 1) / grow * grow
		padded := append(make([]byte, 0, grown-p.off), b...)
		if _, err := p.f.WriteAt(padded[:grown-p.off], p.off); err == nil {
			p.size, written = grown, true
		} else if !noSpace(err) {
			return errBroken{fmt.Errorf("write %s: %w", p.name, err)}
		}
	}
	if !written {
		if _, err := p.f.WriteAt(b, p.off); noSpace(err) {
			return fmt.Errorf("write %s: %w", p.name, err)
		} else if err != nil {
			return errBroken{fmt.Errorf("write %s: %w", p.name, err)}
		}
		p.size = max(p.size, end)
	}
	if err := p.f.Sync(); err != nil {
		return errBroken{fmt.Errorf("sync %s: %w", p.name, err)}
	}
	if !p.kept {
		if err := p.fs.SyncDir(); err != nil {
			return errBroken{fmt.Errorf("sync name of %s: %w", p.name, err)}
		}
		p.kept = true
	}
	p.sum.Write(b)
	p.off, p.todo = end, nil
	p.segs++
	p.last = p.done
	return nil
}

// finish lets go of the file, the rest of the slab and the key.
func (p *part) finish() error {
	p.w.Wipe()
	p.todo = nil
	var err error
	if p.off < p.size {
		if err = p.f.Truncate(p.off); err == nil {
			err = p.f.Sync()
		}
	}
	return errors.Join(err, p.f.Close())
}

func (p *part) entry() fleet.Part {
	return fleet.Part{N: p.n, Kind: p.kind, Segments: p.segs, Size: p.off, SHA256: hex.EncodeToString(p.sum.Sum(nil))}
}
