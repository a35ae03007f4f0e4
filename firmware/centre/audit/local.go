package audit

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"io"
	"slices"

	"deskset/firmware/centre/intake"
	"deskset/firmware/centre/store"
)

// Local is a Source over a centre's own stores.
type Local struct {
	Recordings store.Recordings
	Seats      store.Seats
	Holds      store.Holds
	Centre     crypto.PublicKey
}

// List implements Source.
func (l Local) List(ctx context.Context, f Filter) ([]Summary, error) {
	ids, err := l.Recordings.List(ctx)
	if err != nil {
		return nil, err
	}
	out := []Summary{}
	for _, id := range ids {
		s, err := Summarize(ctx, l.Recordings, l.Centre, id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !f.match(s) {
			continue
		}
		hs, err := l.Holds.Holds(ctx, id)
		if err != nil {
			return nil, err
		}
		s.Held = store.Active(hs)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Summary) int {
		return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.Seat, b.Seat), cmp.Compare(a.Seq, b.Seq))
	})
	return out, nil
}

// Doc implements Source.
func (l Local) Doc(ctx context.Context, id string, d store.Doc) ([]byte, error) {
	return l.Recordings.Doc(ctx, id, d)
}

// Part implements Source.
func (l Local) Part(ctx context.Context, id string, k store.PartKey) (io.ReadCloser, int64, error) {
	p, err := l.Recordings.Open(ctx, id, k)
	if err != nil {
		return nil, 0, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(p, 0, p.Size()), p}, p.Size(), nil
}

// SeatKeys implements Source.
func (l Local) SeatKeys(ctx context.Context, seat string) ([]crypto.PublicKey, error) {
	s, err := l.Seats.Seat(ctx, seat)
	if err != nil {
		return nil, err
	}
	return intake.Keys(s)
}
