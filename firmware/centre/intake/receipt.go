package intake

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"deskset/firmware/centre/store"
	"deskset/firmware/centre/vcon"
	"deskset/firmware/fleet"
	"deskset/firmware/signed"
)

// Record is what the centre notes of its taking a recording in. It names no
// person.
type Record struct {
	Received    time.Time `json:"received"`
	RetainUntil time.Time `json:"retain_until"`
	Problems    []string  `json:"problems,omitempty"` // in words
}

// Receipt promises that a recording is durable here, once every part is
// finished and has been read back. The same receipt is given again for ever.
func (i *Intake) Receipt(ctx context.Context, seat, id string) ([]byte, error) {
	m, doc, err := i.manifest(ctx, seat, id)
	if err != nil {
		return nil, err
	}
	defer i.locks.lock(id)()
	if r, err := i.c.Recordings.Doc(ctx, id, store.Receipt); err == nil {
		return r, nil
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, failed("look for the receipt", err)
	}
	parts, err := i.readBack(ctx, m)
	if err != nil {
		return nil, err
	}
	call, err := i.open(ctx, m)
	if err != nil {
		return nil, failed("open the facts", err)
	}
	rec, err := i.note(ctx, id, call.problems)
	if err != nil {
		return nil, err
	}
	if m.End != fleet.EndVoid {
		if err := i.makeVCon(ctx, m, doc, parts, call, rec); err != nil {
			return nil, err
		}
	}
	r, err := signed.Seal(i.c.Signer, signed.Receipt, fleet.Receipt{
		Format: fleet.ReceiptFormat, Centre: i.c.Centre, Seat: m.Seat, Seq: m.Seq, ID: m.ID,
		Manifest: fleet.Digest(doc), Received: rec.Received, RetainUntil: rec.RetainUntil,
		Note: strings.Join(rec.Problems, "; "),
	})
	if err != nil {
		return nil, failed("sign the receipt", err)
	}
	if err := i.c.Recordings.PutDoc(ctx, id, store.Receipt, r); err != nil {
		return nil, failed("keep the receipt", err)
	}
	i.fault(m, rec)
	i.c.Log.Info("recording taken in", "seat", m.Seat, "rec", id, "seq", m.Seq, "end", m.End, "bytes", m.Size(), "problems", len(rec.Problems))
	return r, nil
}

// readBack proves from the disk that every part is whole and finished.
func (i *Intake) readBack(ctx context.Context, m *fleet.Manifest) ([]vcon.PartRecord, error) {
	out := []vcon.PartRecord{}
	for _, p := range m.Parts {
		k := store.PartKey{N: p.N, Kind: p.Kind}
		_, done, err := i.c.Recordings.Have(ctx, m.ID, k)
		if err != nil {
			return nil, failed("look at the part", err)
		}
		if !done {
			return nil, refuse(http.StatusConflict, "the recording is not complete", fmt.Sprintf("part %s is not all here; ask the state and send the rest", p.Name()), nil)
		}
		if err := i.c.Recordings.Finish(ctx, m.ID, k, p.Size, p.SHA256); err != nil {
			return nil, failed("read the part back", err)
		}
		sum, err := i.sha512(ctx, m.ID, k)
		if err != nil {
			return nil, failed("read the part back", err)
		}
		out = append(out, vcon.PartRecord{Part: p, SHA512: sum})
	}
	return out, nil
}

func (i *Intake) sha512(ctx context.Context, id string, k store.PartKey) (string, error) {
	p, err := i.c.Recordings.Open(ctx, id, k)
	if err != nil {
		return "", err
	}
	defer p.Close()
	h := sha512.New()
	if _, err := io.Copy(h, io.NewSectionReader(p, 0, p.Size())); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// note fixes the times and findings once: if a cut comes before the receipt,
// the next attempt makes the same documents.
func (i *Intake) note(ctx context.Context, id string, problems []string) (Record, error) {
	var rec Record
	b, err := i.c.Recordings.Doc(ctx, id, store.Intake)
	if err == nil {
		if err := json.Unmarshal(b, &rec); err != nil {
			return rec, failed("read its own note", err)
		}
		// It may not be synced yet: putting it again makes sure.
		if err := i.c.Recordings.PutDoc(ctx, id, store.Intake, b); err != nil {
			return rec, failed("keep its note", err)
		}
		return rec, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return rec, failed("read its own note", err)
	}
	now := i.c.Now().UTC().Truncate(time.Millisecond)
	rec = Record{Received: now, RetainUntil: now.Add(i.c.Retain()), Problems: problems}
	if b, err = json.Marshal(rec); err != nil {
		return rec, failed("write its note", err)
	}
	if err := i.c.Recordings.PutDoc(ctx, id, store.Intake, b); err != nil {
		return rec, failed("keep its note", err)
	}
	return rec, nil
}

func (i *Intake) makeVCon(ctx context.Context, m *fleet.Manifest, doc []byte, parts []vcon.PartRecord, call opened, rec Record) error {
	v, err := vcon.Build(vcon.Input{
		Centre: i.c.Centre, BaseURL: i.c.BaseURL, Manifest: *m, ManifestSHA: fleet.Digest(doc), Parts: parts,
		Facts: call.facts, Problems: rec.Problems, Received: rec.Received, RetainUntil: rec.RetainUntil,
	})
	if err != nil {
		return failed("build the vCon", err)
	}
	b, err := vcon.Sign(i.c.Signer, i.c.Chain, v)
	if err != nil {
		return failed("sign the vCon", err)
	}
	err = i.c.Recordings.PutDoc(ctx, m.ID, store.VCon, b)
	if errors.Is(err, store.ErrConflict) {
		// An attempt before a cut made one, with an earlier version of this program.
		i.c.Log.Info("vCon was made by an earlier attempt", "rec", m.ID)
		return nil
	}
	if err != nil {
		return failed("keep the vCon", err)
	}
	return nil
}
