package audit

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"deskset/firmware/centre/store"
	"deskset/firmware/centre/vcon"
	"deskset/firmware/fleet"
	"deskset/firmware/signed"
	"deskset/firmware/vault/sealed"
)

// Progress is told how far a long work is, in bytes; it must be quick.
type Progress func(done, total int64)

// Exported is what an export wrote and what it had to bear.
type Exported struct {
	ID      string   `json:"id"`
	Ogg     string   `json:"ogg,omitempty"`  // path
	WAV     string   `json:"wav,omitempty"`  // path; two channels: agent, customer
	VCon    string   `json:"vcon,omitempty"` // path, as signed
	Seconds float64  `json:"seconds"`        // of sound
	Damage  []string `json:"damage"`         // segments that could not be read, in words
	Clean   bool     `json:"clean"`          // everything was read and the end mark is there
}

// ExportConfig says what to export and to where.
type ExportConfig struct {
	Source   Source
	Centre   crypto.PublicKey // verifies the vCon
	Key      *sealed.PrivateKey
	Out      string // directory, made if missing
	Progress Progress
}

// Export fetches the sealed parts of a recording and opens them here. The key
// goes nowhere. Damaged segments are named and passed over.
func Export(ctx context.Context, c ExportConfig, id string) (Exported, error) {
	x := Exported{ID: id, Damage: []string{}}
	if err := fleet.RecordingID(id); err != nil {
		return x, err
	}
	if c.Key.Use() != sealed.Offline {
		return x, errors.New("this is the centre's online key: it opens no voice; use an offline voice key (primary.key or escrow.key)")
	}
	m, vdoc, err := checked(ctx, c.Source, c.Centre, id)
	if err != nil {
		return x, err
	}
	if err := os.MkdirAll(c.Out, 0o700); err != nil {
		return x, fmt.Errorf("export: %w", err)
	}
	if vdoc != nil {
		x.VCon = filepath.Join(c.Out, id+".vcon.json")
		if err := writeFile(x.VCon, vdoc); err != nil {
			return x, err
		}
	}
	voice := slices.DeleteFunc(slices.Clone(m.Parts), func(p fleet.Part) bool { return p.Kind != fleet.Voice })
	slices.SortFunc(voice, func(a, b fleet.Part) int { return cmp.Compare(a.N, b.N) })
	if len(voice) == 0 {
		x.Damage = append(x.Damage, "the recording has no voice")
		return x, nil
	}
	var total int64
	for _, p := range voice {
		total += p.Size
	}
	e := &exporter{c: c, x: &x, total: total}
	ogg := filepath.Join(c.Out, id+".ogg")
	if err := e.ogg(ctx, m, voice, ogg); err != nil {
		return x, err
	}
	x.Ogg = ogg
	x.Clean = len(x.Damage) == 0
	wav := filepath.Join(c.Out, id+".wav")
	seconds, err := decode(ctx, ogg, wav)
	if err != nil {
		x.Damage = append(x.Damage, fmt.Sprintf("the sound cannot be decoded: %v", err))
		x.Clean = false
		return x, nil
	}
	x.WAV, x.Seconds = wav, seconds
	return x, nil
}

// checked returns the manifest and the signed vCon, nil if there is none,
// after verifying that they belong together.
func checked(ctx context.Context, src Source, centre crypto.PublicKey, id string) (*fleet.Manifest, []byte, error) {
	doc, err := src.Doc(ctx, id, store.Manifest)
	if err != nil {
		return nil, nil, err
	}
	if _, err := src.Doc(ctx, id, store.Tombstone); err == nil {
		return nil, nil, fmt.Errorf("recording %s was deleted after its retention", id)
	}
	payload, err := signed.Unverified(doc)
	if err != nil {
		return nil, nil, fmt.Errorf("manifest of %s: %w", id, err)
	}
	var m fleet.Manifest
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, nil, fmt.Errorf("manifest of %s: %w", id, err)
	}
	keys, err := src.SeatKeys(ctx, m.Seat)
	if err != nil {
		return nil, nil, err
	}
	if err := signed.Open(keys, signed.Manifest, doc, &m); err != nil {
		return nil, nil, fmt.Errorf("manifest of %s: %w", id, err)
	}
	if m.ID != id {
		return nil, nil, fmt.Errorf("manifest of %s: it is of %s", id, m.ID)
	}
	vdoc, err := optional(ctx, src, id, store.VCon)
	if err != nil || vdoc == nil {
		return &m, nil, err
	}
	_, call, _, err := vcon.Open(centre, vdoc)
	if err != nil {
		return nil, nil, fmt.Errorf("recording %s: %w", id, err)
	}
	if call.Recording != id || call.ManifestSHA != fleet.Digest(doc) {
		return nil, nil, fmt.Errorf("recording %s: its vCon belongs to another recording", id)
	}
	return &m, vdoc, nil
}

type exporter struct {
	c     ExportConfig
	x     *Exported
	done  int64
	total int64
}

func (e *exporter) progress(n int64) {
	e.done += n
	if e.c.Progress != nil {
		e.c.Progress(e.done, e.total)
	}
}

func (e *exporter) damage(format string, a ...any) {
	e.x.Damage = append(e.x.Damage, fmt.Sprintf(format, a...))
}

// ogg writes the pages of all parts, one stream.
func (e *exporter) ogg(ctx context.Context, m *fleet.Manifest, voice []fleet.Part, path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := &pages{w: f}
	for _, p := range voice {
		if err := e.part(ctx, m, p, w); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) part(ctx context.Context, m *fleet.Manifest, p fleet.Part, w *pages) (err error) {
	src, size, err := e.c.Source.Part(ctx, m.ID, store.PartKey{N: p.N, Kind: p.Kind})
	if err != nil {
		return err
	}
	defer src.Close()
	if size >= 0 && size != p.Size {
		return fmt.Errorf("part %s of %s: it has %d bytes, the manifest says %d", p.Name(), m.ID, size, p.Size)
	}
	// Opening needs any order of reading: through a file, never through memory.
	tmp, err := os.CreateTemp(e.c.Out, ".part-*")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer func() { err = errors.Join(err, tmp.Close(), os.Remove(tmp.Name())) }()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(tmp, h, counter(e.progress)), io.LimitReader(src, p.Size+1))
	if err != nil {
		return fmt.Errorf("fetch part %s of %s: %w", p.Name(), m.ID, err)
	}
	if n != p.Size || hex.EncodeToString(h.Sum(nil)) != p.SHA256 {
		e.damage("part %s is not what the seat signed", p.Name())
	}
	r, err := sealed.Open(tmp, n, e.c.Key)
	switch {
	case errors.Is(err, sealed.ErrNotRecipient):
		return fmt.Errorf("part %s of %s: %w", p.Name(), m.ID, err)
	case err != nil:
		e.damage("part %s does not open: %v", p.Name(), err)
		return nil
	}
	if hd := r.Header(); hd.ID != m.ID || hd.Seq != m.Seq || hd.Part != p.N {
		e.damage("part %s belongs to another recording", p.Name())
		return nil
	}
	for {
		s, err := r.Next()
		var d *sealed.Damage
		switch {
		case err == io.EOF:
			if !r.Clean() {
				e.damage("part %s: its end is missing (the recording was cut off)", p.Name())
			}
			return nil
		case errors.As(err, &d):
			e.damage("part %s: %v", p.Name(), d)
		case err != nil:
			return err
		default:
			if err := w.add(s.Data); err != nil {
				return fmt.Errorf("export: %w", err)
			}
		}
	}
}

type counter func(int64)

func (c counter) Write(b []byte) (int, error) {
	c(int64(len(b)))
	return len(b), nil
}

func writeFile(path string, b []byte) error {
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// pages joins the parts' Ogg pages: every part begins with the stream's header
// pages, which must stand in the file once.
type pages struct {
	w    io.Writer
	head []byte
}

func (p *pages) add(b []byte) error {
	if p.head == nil {
		p.head = bytes.Clone(header(b)) // b is gone with the next segment
		if p.head == nil {
			head, err := newHeader(b) // the segment with the headers is lost
			if err != nil {
				return err
			}
			p.head = head
			b = append(bytes.Clone(head), b...)
		}
	} else {
		b = bytes.TrimPrefix(b, p.head)
	}
	_, err := p.w.Write(b)
	return err
}
