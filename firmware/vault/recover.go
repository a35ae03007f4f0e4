package vault

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"deskset/firmware/fleet"
	"deskset/firmware/signed"
	"deskset/firmware/vault/sealed"
)

// recover brings disk and index to agree. Nobody else uses the vault yet.
func (v *Vault) recover() error {
	all, err := v.fs.List()
	if err != nil {
		return fmt.Errorf("list recordings: %w", err)
	}
	v.pool.load(all)
	idx, recs, lost, err := loadIndex(v.fs, v.cfg.Now)
	if err != nil {
		return err
	}
	v.idx = idx
	v.replay(recs, lost)
	files, err := v.partFiles()
	if err != nil {
		return err
	}
	if err := v.fillGaps(files, len(recs) == 0); err != nil {
		return err
	}
	for seq := v.base + 1; seq < v.next; seq++ {
		e := v.entries[seq]
		switch e.State {
		case Making:
			if err := v.settle(e.Seq, e.ID, files[seq]); err != nil {
				// A disk that is full now must not keep the rest from the centre.
				v.fault("recording %d has no manifest yet, it is tried again: %v", seq, err)
			}
		case Deleted:
			if len(files[seq]) > 0 {
				if err := v.discard(seq); err != nil {
					v.fault("recording %d is deleted, its files are not yet gone: %v", seq, err)
				}
			}
		}
	}
	if len(lost) == 0 {
		return v.retire()
	}
	return nil
}

// maxLeap bounds the numbers that a damaged index may skip.
const maxLeap = 100_000

// replay the index. Whatever a lost record held, every recording that stood
// then may have lost a legal hold.
func (v *Vault) replay(recs []located, lost []loss) {
	for _, r := range recs {
		for len(lost) > 0 && lost[0].to < r.N {
			v.fault("index records %d to %d cannot be read; recordings of that time are not deleted until the centre says which are on hold", lost[0].from, lost[0].to)
			for _, e := range v.entries {
				e.Doubt = true
			}
			lost = lost[1:]
		}
		if r.Seq > v.next+maxLeap && r.What != whatStart {
			v.fault("index record %d speaks of recording %d, which cannot be; it is passed over", r.N, r.Seq)
			continue
		}
		v.apply(r.indexRecord, r.ref)
	}
}

func (v *Vault) fault(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.faults = append(v.faults, s)
	v.log.Error("vault is damaged", "what", s)
}

// fillGaps restores the numbers that the index lost: from the header of a file
// where one proves it, else as missing. A number is never used twice.
func (v *Vault) fillGaps(files map[uint64][]partFile, noIndex bool) error {
	seqs := make([]uint64, 0, len(files))
	for seq := range files {
		seqs = append(seqs, seq)
	}
	slices.Sort(seqs)
	if noIndex && len(seqs) > 0 {
		// Where the index began is not known: begin it at the oldest file.
		v.fault("the index is gone; it is rebuilt from the recordings on the disk, numbers %d to %d", seqs[0], seqs[len(seqs)-1])
		v.base = seqs[0] - 1
		v.next = max(v.next, seqs[0])
		v.idx.base = v.base
	}
	top := v.next
	for _, seq := range seqs {
		if seq > v.base && v.entries[seq] == nil && v.proves(files[seq]) != "" {
			top = max(top, seq+1)
		}
	}
	for seq := v.base + 1; seq < top; seq++ {
		if v.entries[seq] != nil {
			continue
		}
		r := indexRecord{What: whatMissing, Seq: seq}
		if id := v.proves(files[seq]); id != "" {
			r.What, r.ID = whatCreated, id
			v.fault("recording %d was not in the index; it is taken up again from its files", seq)
		} else {
			v.fault("recording %d is not in the index and no file tells what it was", seq)
		}
		if err := v.append(r); err != nil {
			return fmt.Errorf("repair index: %w", err)
		}
		v.entries[seq].Doubt = true
	}
	return nil
}

// proves returns the id in the first whole header that agrees with its name.
func (v *Vault) proves(ps []partFile) string {
	for _, p := range ps {
		if lay, err := v.scan(p); err == nil && lay.Segments > 0 {
			return p.id
		}
	}
	return ""
}

var errNotBegun = errors.New("its header was never written")

// scan a part without a key. A header that is not this file's own is what an
// earlier recording left in the slab.
func (v *Vault) scan(p partFile) (*sealed.Layout, error) {
	f, err := v.fs.Open(p.Name, false)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	lay, err := sealed.Scan(f, size)
	if errors.Is(err, sealed.ErrHeader) && blank(f, size) {
		return nil, errNotBegun
	}
	if err != nil {
		return nil, err
	}
	if lay.Header.Meta != (sealed.Meta{ID: p.id, Seq: p.seq, Kind: p.kind, Part: p.n}) {
		return nil, errNotBegun
	}
	return lay, nil
}

func blank(f File, size int64) bool {
	b := make([]byte, min(size, 2*sealed.Block))
	if n, err := f.ReadAt(b, 0); err != nil && (err != io.EOF || n < len(b)) {
		return false
	}
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 })
}

// settle gives a recording that a cut left open its manifest.
func (v *Vault) settle(seq uint64, id string, ps []partFile) error {
	var parts []fleet.Part
	marked := map[fleet.Kind]bool{}
	for _, p := range ps {
		if p.id != id {
			v.fault("%s has the number of recording %s", p.Name, id)
			if err := v.setAside(p); err != nil {
				return err
			}
			continue
		}
		lay, err := v.scan(p)
		switch {
		case errors.Is(err, errNotBegun) || err == nil && lay.Segments == 0:
			if err := v.fs.Remove(p.Name); err != nil && !missing(err) {
				return fmt.Errorf("remove empty part: %w", err)
			}
			continue
		case errors.Is(err, sealed.ErrHeader):
			// Written half when the power went, or damaged since: keep it.
			v.fault("%s: %v", p.Name, err)
			if err := v.setAside(p); err != nil {
				return err
			}
			continue
		case err != nil:
			return fmt.Errorf("recover %s: %w", p.Name, err)
		}
		if lay.Damaged > 0 {
			v.fault("%s: %d segments in the middle are damaged", p.Name, lay.Damaged)
		}
		e, err := v.measure(p, lay)
		if err != nil {
			return fmt.Errorf("recover %s: %w", p.Name, err)
		}
		parts = append(parts, e)
		marked[p.kind] = lay.Clean
	}
	end := fleet.EndClosed
	if !marked[fleet.Facts] {
		end = fleet.EndRecovered
	}
	if clean, ok := marked[fleet.Voice]; ok && !clean {
		end = fleet.EndRecovered
	}
	v.write.Lock()
	defer v.write.Unlock()
	_, err := v.sealLocked(seq, id, end, parts)
	return err
}

// measure cuts a part to its whole segments and hashes it.
func (v *Vault) measure(p partFile, lay *sealed.Layout) (fleet.Part, error) {
	f, err := v.fs.Open(p.Name, false)
	if err != nil {
		return fleet.Part{}, err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, io.NewSectionReader(f, 0, lay.Size))
	if err == nil && lay.Size < p.Size {
		err = f.Truncate(lay.Size)
	}
	if err == nil {
		// What was read may have been in RAM only, if it was the process that died.
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fleet.Part{}, err
	}
	return fleet.Part{N: p.n, Kind: p.kind, Segments: lay.Segments, Size: lay.Size, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

func (v *Vault) setAside(p partFile) error {
	to := "aside." + p.Name
	if err := v.fs.Rename(p.Name, to); err != nil {
		return fmt.Errorf("set %s aside: %w", p.Name, err)
	}
	v.fault("%s was set aside as %s; ask IT before it is removed", p.Name, to)
	return nil
}

func (v *Vault) seal(seq uint64, id string, end fleet.End, parts []fleet.Part) (fleet.Manifest, error) {
	v.write.Lock()
	defer v.write.Unlock()
	return v.sealLocked(seq, id, end, parts)
}

func (v *Vault) sealLocked(seq uint64, id string, end fleet.End, parts []fleet.Part) (fleet.Manifest, error) {
	slices.SortFunc(parts, func(a, b fleet.Part) int {
		if a.Kind != b.Kind {
			return strings.Compare(string(a.Kind), string(b.Kind))
		}
		return a.N - b.N
	})
	if len(parts) == 0 {
		end, parts = fleet.EndVoid, []fleet.Part{}
	}
	m := fleet.Manifest{
		Format: fleet.ManifestFormat, Seat: v.cfg.Seat, Seq: seq, ID: id,
		Firmware: v.cfg.Firmware, End: end, Parts: parts,
	}
	doc, err := signed.Seal(v.cfg.Signer, signed.Manifest, m)
	if err != nil {
		return m, fmt.Errorf("seal recording %d: %w", seq, err)
	}
	if err := v.append(indexRecord{What: whatSealed, Seq: seq, ID: id, Doc: string(doc)}); err != nil {
		return m, fmt.Errorf("seal recording %d: %w", seq, err)
	}
	return m, nil
}

// discard removes the files of a recording whose deletion stands in the index.
func (v *Vault) discard(seq uint64) error {
	files, err := v.partFiles()
	if err != nil {
		return err
	}
	for _, p := range files[seq] {
		if took, err := v.pool.recycle(p.Info); err == nil && took {
			continue
		}
		if err := v.fs.Remove(p.Name); err != nil && !missing(err) {
			return fmt.Errorf("remove %s: %w", p.Name, err)
		}
	}
	return v.fs.SyncDir()
}
