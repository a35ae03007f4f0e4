package fsstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
)

// Seats is the store's part that keeps the seats' records, a file a seat.
func (s *Store) Seats() store.Seats { return seats{s} }

type seats struct{ *Store }

func seatPath(name string) (string, error) {
	if err := fleet.SeatName(name); err != nil {
		return "", err
	}
	return path.Join(dirSeats, name+".json"), nil
}

func (s seats) Create(_ context.Context, x store.Seat) error {
	p, err := seatPath(x.Name)
	if err != nil {
		return err
	}
	return s.locked(func() error {
		if _, err := s.read(p); err == nil {
			return fmt.Errorf("seat %s: %w", x.Name, store.ErrConflict)
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return s.put(p, x)
	})
}

func (s seats) put(p string, x store.Seat) error {
	b, err := jsonLine(x)
	if err != nil {
		return fmt.Errorf("seat %s: %w", x.Name, err)
	}
	return s.replace(p, b)
}

func (s seats) Seat(_ context.Context, name string) (store.Seat, error) {
	var x store.Seat
	p, err := seatPath(name)
	if err != nil {
		return x, err
	}
	b, err := s.read(p)
	if err != nil {
		return x, fmt.Errorf("seat %s: %w", name, err)
	}
	if err := readJSON(b, &x); err != nil {
		return x, fmt.Errorf("seat %s: its record is damaged: %w", name, err)
	}
	return x, nil
}

func (s seats) Seats(ctx context.Context) ([]store.Seat, error) {
	files, err := s.fs.ReadDir(dirSeats)
	if err != nil {
		return nil, fmt.Errorf("list seats: %w", err)
	}
	var out []store.Seat
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".json")
		if !ok || strings.HasPrefix(name, tmpPrefix) {
			continue
		}
		x, err := s.Seat(ctx, name)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

func (s seats) Update(ctx context.Context, name string, f func(*store.Seat) error) (store.Seat, error) {
	var x store.Seat
	p, err := seatPath(name)
	if err != nil {
		return x, err
	}
	err = s.locked(func() error {
		if x, err = s.Seat(ctx, name); err != nil {
			return err
		}
		if err := f(&x); err != nil {
			return err
		}
		if x.Name != name {
			return fmt.Errorf("seat %s: a seat keeps its name", name)
		}
		return s.put(p, x)
	})
	return x, err
}

// Tokens is the store's part that keeps enrolment tokens, a file a token,
// named by its hash. The name moves to used/ when it is taken, which the file
// system lets succeed once.
func (s *Store) Tokens() store.Tokens { return tokens{s} }

type tokens struct{ *Store }

func tokenName(hash string) (string, error) {
	if b, err := hex.DecodeString(hash); err != nil || len(b) != sha256.Size || hash != strings.ToLower(hash) {
		return "", errors.New("token: not a SHA-256 in hex")
	}
	return hash + ".json", nil
}

func (s tokens) Add(_ context.Context, t store.Token) error {
	name, err := tokenName(t.Hash)
	if err != nil {
		return err
	}
	return s.locked(func() error {
		for _, d := range []string{dirTokens, dirUsed} {
			if _, err := s.read(path.Join(d, name)); err == nil {
				return fmt.Errorf("token: %w", store.ErrConflict)
			} else if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		b, err := jsonLine(t)
		if err != nil {
			return err
		}
		return s.replace(path.Join(dirTokens, name), b)
	})
}

func (s tokens) Peek(_ context.Context, hash string, now time.Time) (store.Token, error) {
	var t store.Token
	name, err := tokenName(hash)
	if err != nil {
		return t, err
	}
	b, err := s.read(path.Join(dirTokens, name))
	if err != nil {
		return t, fmt.Errorf("token: %w", err)
	}
	if err := json.Unmarshal(b, &t); err != nil {
		return t, fmt.Errorf("token: %w", err)
	}
	if !now.Before(t.Expires) {
		return store.Token{}, fmt.Errorf("token: %w", store.ErrExpired)
	}
	return t, nil
}

func (s tokens) Take(ctx context.Context, hash string, now time.Time) (t store.Token, err error) {
	err = s.locked(func() error {
		if t, err = s.Peek(ctx, hash, now); err != nil {
			return err
		}
		return s.use(t.Hash + ".json")
	})
	if err != nil {
		return store.Token{}, err
	}
	return t, nil
}

// use must run inside locked.
func (s tokens) use(name string) error {
	if err := s.fs.Rename(path.Join(dirTokens, name), path.Join(dirUsed, name)); err != nil {
		return fmt.Errorf("token: %w", notFound(err))
	}
	// The new name first: after a cut between the two the token is either live,
	// and nobody was told that it was taken, or used.
	return errors.Join(s.fs.SyncDir(dirUsed), s.fs.SyncDir(dirTokens))
}

func (s tokens) Drop(_ context.Context, seat string) error {
	return s.locked(func() error {
		files, err := s.fs.ReadDir(dirTokens)
		if err != nil {
			return fmt.Errorf("token: %w", err)
		}
		for _, f := range files {
			if f.IsDir() || strings.HasPrefix(f.Name(), tmpPrefix) {
				continue
			}
			b, err := s.read(path.Join(dirTokens, f.Name()))
			if err != nil {
				return fmt.Errorf("token: %w", err)
			}
			var t store.Token
			if err := json.Unmarshal(b, &t); err != nil {
				return fmt.Errorf("token: %w", err)
			}
			if t.Seat == seat {
				if err := s.use(f.Name()); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
