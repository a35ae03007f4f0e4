package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
)

var t0 = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func seats(t *testing.T, f Factory) {
	ctx := context.Background()
	open := f(t)
	s := open().Seats
	_, err := s.Seat(ctx, "S-1")
	want(t, err, store.ErrNotFound)
	one := store.Seat{Name: "S-1", Created: t0, PBX: []fleet.PBX{{URL: "wss://pbx/ws", Domain: "pbx", User: "1", Password: "p"}}}
	ok(t, s.Create(ctx, one))
	want(t, s.Create(ctx, store.Seat{Name: "S-1"}), store.ErrConflict)
	ok(t, s.Create(ctx, store.Seat{Name: "A-1", Created: t0}))
	for _, bad := range []string{"", "../x", "a/b", ".new-x", "a b"} {
		if s.Create(ctx, store.Seat{Name: bad}) == nil {
			t.Errorf("seat %q was taken", bad)
		}
	}
	got, err := open().Seats.Seat(ctx, "S-1")
	ok(t, err)
	if !reflect.DeepEqual(got, one) {
		t.Fatalf("got %+v, want %+v", got, one)
	}
	all, err := s.Seats(ctx)
	ok(t, err)
	if len(all) != 2 || all[0].Name != "A-1" || all[1].Name != "S-1" {
		t.Fatalf("listed %+v", all)
	}
	no := errors.New("no")
	_, err = s.Update(ctx, "S-1", func(x *store.Seat) error { x.Revoked = true; return no })
	want(t, err, no)
	if got, _ := s.Seat(ctx, "S-1"); got.Revoked {
		t.Fatal("a refused update was kept")
	}
	if _, err := s.Update(ctx, "S-1", func(x *store.Seat) error { x.Name = "S-2"; return nil }); err == nil {
		t.Fatal("a seat was renamed")
	}
	_, err = s.Update(ctx, "nobody", func(*store.Seat) error { return nil })
	want(t, err, store.ErrNotFound)

	// No update is lost, whoever makes it.
	var wg sync.WaitGroup
	for range 4 {
		mine := open().Seats
		for range 2 {
			wg.Go(func() {
				for range 5 {
					_, err := mine.Update(ctx, "S-1", func(x *store.Seat) error { x.PolicyVersion++; return nil })
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	if got, _ := s.Seat(ctx, "S-1"); got.PolicyVersion != 40 {
		t.Fatalf("%d of 40 updates are there", got.PolicyVersion)
	}
}

func tokens(t *testing.T, f Factory) {
	ctx := context.Background()
	open := f(t)
	s := open().Tokens
	tok := func(n int, seat string) store.Token {
		return store.Token{Hash: sum([]byte(fmt.Sprint(n))), Seat: seat, Created: t0, Expires: t0.Add(time.Hour)}
	}
	ok(t, s.Add(ctx, tok(1, "S-1")))
	want(t, s.Add(ctx, tok(1, "S-2")), store.ErrConflict)
	_, err := s.Take(ctx, tok(9, "").Hash, t0)
	want(t, err, store.ErrNotFound)
	for _, bad := range []string{"", "../x", "zz"} {
		if _, err := s.Take(ctx, bad, t0); err == nil {
			t.Errorf("hash %q was taken", bad)
		}
	}
	_, err = s.Take(ctx, tok(1, "").Hash, t0.Add(time.Hour))
	want(t, err, store.ErrExpired)
	got, err := s.Peek(ctx, tok(1, "").Hash, t0)
	ok(t, err)
	if got.Seat != "S-1" {
		t.Fatalf("peeked %+v", got)
	}

	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 4 {
		mine := open().Tokens
		for range 2 {
			wg.Go(func() {
				got, err := mine.Take(ctx, tok(1, "").Hash, t0)
				switch {
				case err == nil && got.Seat == "S-1":
					mu.Lock()
					won++
					mu.Unlock()
				case !errors.Is(err, store.ErrNotFound):
					t.Error(got, err)
				}
			})
		}
	}
	wg.Wait()
	if won != 1 {
		t.Fatalf("the token was taken %d times", won)
	}
	want(t, s.Add(ctx, tok(1, "S-1")), store.ErrConflict)
	_, err = open().Tokens.Peek(ctx, tok(1, "").Hash, t0)
	want(t, err, store.ErrNotFound)

	ok(t, s.Add(ctx, tok(2, "S-1")))
	ok(t, s.Add(ctx, tok(3, "S-1")))
	ok(t, s.Add(ctx, tok(4, "S-2")))
	ok(t, s.Drop(ctx, "S-1"))
	for n, live := range map[int]bool{2: false, 3: false, 4: true} {
		_, err := s.Peek(ctx, tok(n, "").Hash, t0)
		if live != (err == nil) {
			t.Errorf("token %d after drop: %v", n, err)
		}
	}
}

func holds(t *testing.T, f Factory) {
	ctx := context.Background()
	open := f(t)
	s := open().Holds
	got, err := s.Holds(ctx, idA)
	if len(got) != 0 || err != nil {
		t.Fatal(got, err)
	}
	add := func(name string) func([]store.Hold) ([]store.Hold, error) {
		return func(hs []store.Hold) ([]store.Hold, error) {
			return append(hs, store.Hold{Name: name, Reason: "r", By: "b", At: t0}), nil
		}
	}
	ok(t, s.Update(ctx, idA, add("x")))
	ok(t, s.Update(ctx, idA, add("y")))
	no := errors.New("no")
	want(t, s.Update(ctx, idA, func([]store.Hold) ([]store.Hold, error) { return nil, no }), no)
	if s.Update(ctx, "../x", add("z")) == nil {
		t.Error("a bad id was taken")
	}
	got, err = open().Holds.Holds(ctx, idA)
	ok(t, err)
	if len(got) != 2 || got[0].Name != "x" || !store.Active(got) {
		t.Fatalf("got %+v", got)
	}
	ok(t, s.Update(ctx, idA, func(hs []store.Hold) ([]store.Hold, error) {
		for i := range hs {
			hs[i].Released = &t0
		}
		return hs, nil
	}))
	got, err = s.Holds(ctx, idA)
	ok(t, err)
	if len(got) != 2 || store.Active(got) {
		t.Fatalf("got %+v", got)
	}
	ids, err := s.Held(ctx)
	ok(t, err)
	if !slices.Equal(ids, []string{idA}) {
		t.Fatalf("held %v", ids)
	}
}

func log(t *testing.T, f Factory) {
	ctx := context.Background()
	open := f(t)
	s := open().Log
	got, err := s.Entries(ctx)
	if len(got) != 0 || err != nil {
		t.Fatal(got, err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		mine := open().Log
		wg.Go(func() {
			for range 5 {
				if err := mine.Append(ctx, store.Entry{At: t0, What: "test", Text: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err = open().Log.Entries(ctx)
	ok(t, err)
	if len(got) != 20 || got[0].What != "test" || !got[0].At.Equal(t0) {
		t.Fatalf("%d entries: %+v", len(got), got)
	}
}
