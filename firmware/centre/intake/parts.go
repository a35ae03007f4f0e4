package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
)

// Put takes a range of one part's bytes. On success they are durable, and with
// the last of them the part's hash has been checked.
func (i *Intake) Put(ctx context.Context, seat, id string, k store.PartKey, rng fleet.Range, body io.Reader) (fleet.UploadState, error) {
	m, _, err := i.manifest(ctx, seat, id)
	if err != nil {
		return fleet.UploadState{}, err
	}
	p, ok := m.Find(k.N, k.Kind)
	if !ok {
		return fleet.UploadState{}, refuse(http.StatusNotFound, "no such part", "the manifest does not name it", nil)
	}
	if rng.Total != p.Size {
		return fleet.UploadState{}, refuse(http.StatusConflict, "the part has another size", fmt.Sprintf("the manifest says %d bytes, the request %d", p.Size, rng.Total), nil)
	}
	if _, err := i.c.Recordings.Doc(ctx, id, store.Tombstone); err == nil {
		return fleet.UploadState{}, refuse(http.StatusGone, "the recording was deleted", "its retention is over; nothing more is taken of it", nil)
	} else if !errors.Is(err, store.ErrNotFound) {
		return fleet.UploadState{}, failed("look at the recording", err)
	}
	have, done, err := i.c.Recordings.Have(ctx, id, k)
	if err != nil {
		return fleet.UploadState{}, failed("look at the part", err)
	}
	if done {
		return i.again(ctx, m, k, rng, body)
	}
	if rng.From != have {
		return i.outOfStep(ctx, m, nil)
	}
	free, err := i.c.Recordings.Free(ctx)
	if err != nil {
		return fleet.UploadState{}, failed("ask for free space", err)
	}
	if free < rng.Len()+reserve {
		return fleet.UploadState{}, failed("keep the part", fmt.Errorf("%w: %d bytes free", store.ErrFull, free))
	}
	in := &exactly{r: body, left: rng.Len()}
	have, err = i.c.Recordings.Append(ctx, id, k, rng.From, in)
	switch {
	case errors.Is(err, store.ErrOffset): // another request was faster
		return i.outOfStep(ctx, m, err)
	case in.err != nil:
		return fleet.UploadState{}, refuse(http.StatusBadRequest, "the body is not what the range says", "send exactly the bytes of Content-Range", in.err)
	case err != nil:
		return fleet.UploadState{}, failed("keep the part", err)
	}
	if have == p.Size {
		err := i.c.Recordings.Finish(ctx, id, k, p.Size, p.SHA256)
		switch {
		case errors.Is(err, store.ErrHash):
			i.c.Log.Warn("part does not fit its hash, dropped", "seat", seat, "rec", id, "part", k.String())
			return fleet.UploadState{}, refuse(http.StatusUnprocessableEntity, "the part does not fit its hash", "its bytes were dropped; send it again from the start", err)
		case err != nil:
			return fleet.UploadState{}, failed("finish the part", err)
		}
	}
	return i.state(ctx, m)
}

// outOfStep is 416: the seat goes on from what the state says.
func (i *Intake) outOfStep(ctx context.Context, m *fleet.Manifest, cause error) (fleet.UploadState, error) {
	st, err := i.state(ctx, m)
	if err != nil {
		return st, err
	}
	e := refuse(http.StatusRequestedRangeNotSatisfiable, "these bytes do not come next", "go on from what the state says", cause)
	e.State = &st
	return st, e
}

// again compares bytes for a finished part with what is held: the same are
// fine, others are a conflict.
func (i *Intake) again(ctx context.Context, m *fleet.Manifest, k store.PartKey, rng fleet.Range, body io.Reader) (fleet.UploadState, error) {
	p, err := i.c.Recordings.Open(ctx, m.ID, k)
	if err != nil {
		return fleet.UploadState{}, failed("read the part", err)
	}
	defer p.Close()
	in := &exactly{r: body, left: rng.Len()}
	held := io.NewSectionReader(p, rng.From, rng.Len())
	a, b := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		n, err := io.ReadFull(in, a)
		if _, herr := io.ReadFull(held, b[:n]); herr != nil {
			return fleet.UploadState{}, failed("read the part", herr)
		}
		if !bytes.Equal(a[:n], b[:n]) {
			return fleet.UploadState{}, refuse(http.StatusConflict, "other bytes are stored there", "the part is finished and is never overwritten", nil)
		}
		if in.err != nil {
			return fleet.UploadState{}, refuse(http.StatusBadRequest, "the body is not what the range says", "send exactly the bytes of Content-Range", in.err)
		}
		if err != nil {
			return i.state(ctx, m)
		}
	}
}

// exactly reads a body that must have left bytes, no fewer and no more.
type exactly struct {
	r    io.Reader
	left int64
	err  error
}

func (e *exactly) Read(b []byte) (int, error) {
	if e.left == 0 {
		if n, err := io.ReadFull(e.r, make([]byte, 1)); n > 0 {
			e.err = errors.New("the body is longer than its range")
		} else if err != io.EOF {
			e.err = err
		}
		if e.err != nil {
			return 0, e.err
		}
		return 0, io.EOF
	}
	n, err := e.r.Read(b[:min(int64(len(b)), e.left)])
	e.left -= int64(n)
	if err == io.EOF && e.left == 0 {
		err = nil // the next Read says so
	} else if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		e.err = err
	}
	return n, err
}
