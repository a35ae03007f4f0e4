package upload

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/signed"
)

// Sizes of one request, in bytes: each ends with the centre's promise that it
// is durable, so a cut costs at most one. While a call is on they are small,
// so that the line is never busy for long.
const (
	chunk     = 1 << 20
	callChunk = 64 << 10
	callRead  = 4 << 10 // handed to the network at once during a call
)

// one delivers a recording, from whatever the centre already has of it.
func (u *Uploader) one(ctx context.Context, r Recording) error {
	doc, err := u.c.Store.Manifest(r.ID)
	if err != nil {
		return own("read the manifest of %s: %w", r.ID, err)
	}
	m, err := parseManifest(doc, r.ID)
	if err != nil {
		return &recordingError{err}
	}
	u.update(r.ID, func(s *Status) { s.State, s.Size, s.Sent = Sending, m.Size(), 0 })

	st, err := u.state(ctx, r.ID)
	if err != nil {
		return err
	}
	if st.Receipt != "" {
		return u.receipt(m, doc, []byte(st.Receipt))
	}
	if !st.Manifest {
		h := http.Header{"Content-Type": {"application/jose"}}
		if _, err := u.c.Client.Do(ctx, http.MethodPut, fleet.PathRec+r.ID+"/manifest", h, bytes.NewReader(doc), int64(len(doc))); err != nil {
			return fmt.Errorf("send the manifest of %s: %w", r.ID, err)
		}
	}
	for _, p := range m.Parts {
		if err := u.part(ctx, r.ID, p, st); err != nil {
			return err
		}
	}
	got, err := u.c.Client.Do(ctx, http.MethodPost, fleet.PathRec+r.ID+"/receipt", nil, nil, 0)
	if err != nil {
		return fmt.Errorf("ask the receipt of %s: %w", r.ID, err)
	}
	return u.receipt(m, doc, got)
}

func parseManifest(doc []byte, id string) (*fleet.Manifest, error) {
	payload, err := signed.Unverified(doc)
	if err != nil {
		return nil, fmt.Errorf("manifest of %s: %w", id, err)
	}
	var m fleet.Manifest
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, fmt.Errorf("manifest of %s: %w", id, err)
	}
	if m.ID != id {
		return nil, fmt.Errorf("manifest of %s: it is of %s", id, m.ID)
	}
	return &m, nil
}

// receipt keeps a receipt only if the pinned key signed it for this very
// manifest. Nothing else, whatever its status, lets a recording go.
func (u *Uploader) receipt(m *fleet.Manifest, doc, got []byte) error {
	var r fleet.Receipt
	if err := signed.Open([]crypto.PublicKey{u.c.Centre}, signed.Receipt, bytes.TrimSpace(got), &r); err != nil {
		return own("the centre's receipt for %s is not valid: %w", m.ID, err)
	}
	if err := r.Check(m, doc); err != nil {
		return &recordingError{err}
	}
	if err := u.c.Store.Receipted(m.ID, bytes.TrimSpace(got)); err != nil {
		return own("keep the receipt of %s: %w", m.ID, err)
	}
	return nil
}

// state asks what the centre has. Not found means nothing yet.
func (u *Uploader) state(ctx context.Context, id string) (fleet.UploadState, error) {
	st, err := u.c.Client.Recording(ctx, id)
	if errors.Is(err, fleet.ErrAnswer) {
		return st, own("ask the state of %s: %w", id, err)
	}
	if err != nil {
		return st, fmt.Errorf("ask the state of %s: %w", id, err)
	}
	return st, nil
}

func have(st fleet.UploadState, p fleet.Part) (int64, bool) {
	for _, x := range st.Parts {
		if x.N == p.N && x.Kind == p.Kind {
			return x.Have, x.Done
		}
	}
	return 0, false
}

// part sends what the centre lacks of one part, a request at a time.
func (u *Uploader) part(ctx context.Context, id string, p fleet.Part, st fleet.UploadState) error {
	at, done := have(st, p)
	if done {
		u.update(id, func(s *Status) { s.Sent += p.Size })
		return nil
	}
	f, err := u.c.Store.OpenPart(id, p.N, p.Kind)
	if err != nil {
		return own("open part %s of %s: %w", p.Name(), id, err)
	}
	defer f.Close()
	u.update(id, func(s *Status) { s.Sent += at })
	resynced := false
	for !done {
		if at < 0 || at >= p.Size {
			return own("the centre says that it has %d of the %d bytes of part %s of %s, and wants more", at, p.Size, p.Name(), id)
		}
		reply, err := u.put(ctx, id, p, f, at)
		var next int64
		switch {
		case errors.As(err, new(*outOfStep)) && !resynced:
			// Someone, most likely our own lost request, was faster. Go on from there.
			resynced = true
			next, done = have(reply, p)
		case err != nil:
			return err
		default:
			if next, done = have(reply, p); next <= at {
				return own("the centre took bytes of part %s of %s but still says it has %d", p.Name(), id, next)
			}
		}
		u.update(id, func(s *Status) { s.Sent += next - at })
		at = next
	}
	return nil
}

// outOfStep is the centre's 416: what it has is in the reply.
type outOfStep struct{ error }

func (u *Uploader) put(ctx context.Context, id string, p fleet.Part, f io.ReaderAt, at int64) (fleet.UploadState, error) {
	var st fleet.UploadState
	n := min(p.Size-at, chunk)
	if u.c.InCall() {
		n = min(n, callChunk)
	}
	// Generous for a thin line, but a dead one is noticed.
	ctx, cancel := context.WithTimeout(ctx, time.Minute+time.Duration(n)*time.Second/8000)
	defer cancel()
	src := &paced{ctx: ctx, r: io.NewSectionReader(f, at, n), busy: u.c.InCall, rate: u.c.CallRate, closed: make(chan struct{})}
	h := http.Header{
		"Content-Type":  {"application/octet-stream"},
		"Content-Range": {fleet.Range{From: at, To: at + n - 1, Total: p.Size}.String()},
	}
	path := fmt.Sprintf("%s%s/parts/%s", fleet.PathRec, id, p.Name())
	b, err := u.c.Client.Do(ctx, http.MethodPut, path, h, src, n)
	cancel()
	broken := src.Wait()
	var se *fleet.StatusError
	switch {
	case broken != nil:
		return st, own("read part %s of %s: %w", p.Name(), id, broken)
	case errors.As(err, &se) && se.Status == http.StatusRequestedRangeNotSatisfiable:
		if json.Unmarshal(b, &st) != nil {
			return st, own("send part %s of %s: %w", p.Name(), id, err)
		}
		return st, &outOfStep{err}
	case err != nil:
		return st, fmt.Errorf("send part %s of %s: %w", p.Name(), id, err)
	}
	if err := json.Unmarshal(b, &st); err != nil {
		return st, own("the answer to part %s of %s is not understood: %w", p.Name(), id, err)
	}
	return st, nil
}
