package audit

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"deskset/firmware/centre/store"
	"deskset/firmware/centre/vcon"
	"deskset/firmware/fleet"
	"deskset/firmware/signed"
)

// Verified is the result of a check of everything.
type Verified struct {
	Recordings int      `json:"recordings"`
	Bytes      int64    `json:"bytes"`
	Faults     []string `json:"faults"`   // what does not hold; empty is good
	Warnings   []string `json:"warnings"` // gaps in the numbers, recordings on their way, known problems
}

// Verify checks the signatures, hashes and numbers of all recordings that
// match, reading every byte.
func Verify(ctx context.Context, src Source, centre crypto.PublicKey, f Filter, p Progress) (Verified, error) {
	v := Verified{Faults: []string{}, Warnings: []string{}}
	list, err := src.List(ctx, f)
	if err != nil {
		return v, err
	}
	var total, done int64
	for _, s := range list {
		if s.State == Received {
			total += s.Bytes
		}
	}
	tell := counter(func(n int64) {
		done += n
		if p != nil {
			p(done, total)
		}
	})
	for _, s := range list {
		v.Recordings++
		for _, w := range s.Problems {
			v.Warnings = append(v.Warnings, fmt.Sprintf("%s: %s", s.ID, w))
		}
		if s.State == Arriving {
			v.Warnings = append(v.Warnings, fmt.Sprintf("%s: not all of it has arrived", s.ID))
			continue
		}
		if err := one(ctx, src, centre, s, tell, &v); err != nil {
			if ctx.Err() != nil {
				return v, ctx.Err()
			}
			v.Faults = append(v.Faults, fmt.Sprintf("%s: %v", s.ID, err))
		}
	}
	v.Bytes = done
	if f == (Filter{}) {
		v.Warnings = append(v.Warnings, gaps(list)...)
	}
	return v, nil
}

func one(ctx context.Context, src Source, centre crypto.PublicKey, s Summary, tell io.Writer, v *Verified) error {
	doc, err := src.Doc(ctx, s.ID, store.Manifest)
	if err != nil {
		return err
	}
	keys, err := src.SeatKeys(ctx, s.Seat)
	if err != nil {
		return err
	}
	var m fleet.Manifest
	if err := signed.Open(keys, signed.Manifest, doc, &m); err != nil {
		return err
	}
	if err := m.Check(s.Seat); err != nil {
		return err
	}
	rdoc, err := src.Doc(ctx, s.ID, store.Receipt)
	if err != nil {
		return err
	}
	var r fleet.Receipt
	if err := signed.Open([]crypto.PublicKey{centre}, signed.Receipt, rdoc, &r); err != nil {
		return err
	}
	if err := r.Check(&m, doc); err != nil {
		return err
	}
	if s.State == Deleted {
		return nil
	}
	if m.End != fleet.EndVoid {
		vdoc, err := src.Doc(ctx, s.ID, store.VCon)
		if err != nil {
			return err
		}
		_, call, _, err := vcon.Open(centre, vdoc)
		if err != nil {
			return err
		}
		if call.Recording != m.ID || call.ManifestSHA != fleet.Digest(doc) {
			return errors.New("its vCon belongs to another recording")
		}
	}
	for _, p := range m.Parts {
		if err := hashPart(ctx, src, m.ID, p, tell); err != nil {
			v.Faults = append(v.Faults, fmt.Sprintf("%s: part %s: %v", m.ID, p.Name(), err))
		}
	}
	return nil
}

func hashPart(ctx context.Context, src Source, id string, p fleet.Part, tell io.Writer) error {
	f, _, err := src.Part(ctx, id, store.PartKey{N: p.N, Kind: p.Kind})
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, tell), io.LimitReader(f, p.Size+1))
	if err != nil {
		return err
	}
	if n != p.Size || hex.EncodeToString(h.Sum(nil)) != p.SHA256 {
		return errors.New("its bytes are not what the seat signed")
	}
	return nil
}

// gaps names missing numbers of each seat, below its highest.
func gaps(list []Summary) (out []string) {
	l := slices.SortedFunc(slices.Values(list), func(a, b Summary) int {
		return cmp.Or(cmp.Compare(a.Seat, b.Seat), cmp.Compare(a.Seq, b.Seq))
	})
	seat, next := "", uint64(1)
	for _, s := range l {
		if s.Seat != seat {
			seat, next = s.Seat, 1
		}
		switch {
		case s.Seq > next:
			out = append(out, fmt.Sprintf("seat %s: numbers %d to %d are missing", seat, next, s.Seq-1))
		case s.Seq < next:
			out = append(out, fmt.Sprintf("seat %s: number %d is there twice", seat, s.Seq))
		}
		next = s.Seq + 1
	}
	return out
}
