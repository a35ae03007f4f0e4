package fsstore

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
)

// Holds is the store's part that keeps the legal-hold register, a file a
// recording.
func (s *Store) Holds() store.Holds { return holds{s} }

type holds struct{ *Store }

func holdPath(id string) (string, error) {
	if err := fleet.RecordingID(id); err != nil {
		return "", err
	}
	return path.Join(dirHolds, id+".json"), nil
}

func (h holds) Holds(_ context.Context, id string) ([]store.Hold, error) {
	p, err := holdPath(id)
	if err != nil {
		return nil, err
	}
	b, err := h.read(p)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("holds of %s: %w", id, err)
	}
	var out []store.Hold
	if err := readJSON(b, &out); err != nil {
		return nil, fmt.Errorf("holds of %s: %w", id, err)
	}
	return out, nil
}

func (h holds) Update(ctx context.Context, id string, f func([]store.Hold) ([]store.Hold, error)) error {
	p, err := holdPath(id)
	if err != nil {
		return err
	}
	return h.locked(func() error {
		old, err := h.Holds(ctx, id)
		if err != nil {
			return err
		}
		next, err := f(old)
		if err != nil {
			return err
		}
		b, err := jsonLine(next)
		if err != nil {
			return err
		}
		return h.replace(p, b)
	})
}

func (h holds) Held(context.Context) ([]string, error) {
	files, err := h.fs.ReadDir(dirHolds)
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", err)
	}
	var out []string
	for _, f := range files {
		if id, ok := strings.CutSuffix(f.Name(), ".json"); ok && fleet.RecordingID(id) == nil {
			out = append(out, id)
		}
	}
	return out, nil
}
