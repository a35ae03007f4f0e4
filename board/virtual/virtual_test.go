package virtual

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"
)

func TestKeysAndLamps(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	b := New(filepath.Join(t.TempDir(), "board.sock"), slog.New(slog.DiscardHandler))
	edges := make(chan Edge, 8)
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, func(l string, d bool) { edges <- Edge{l, d} }) }()

	if err := b.Set("beacon", "green"); err != nil {
		t.Fatal(err)
	}
	h := reach(t, ctx, b.Path())
	if err := h.Await(ctx, func(lamp func(string) string) bool { return lamp("beacon") == "green" }); err != nil {
		t.Fatal("a lamp set before the peer came is not told:", err)
	}
	if err := h.Line("answer", true); err != nil {
		t.Fatal(err)
	}
	if e := <-edges; e != (Edge{"answer", true}) {
		t.Fatalf("got %+v", e)
	}
	if _, err := h.conn.Write([]byte("garbage\n{}\n")); err != nil {
		t.Fatal(err)
	}
	b.Set("beacon", "red")
	if err := h.Await(ctx, func(lamp func(string) string) bool { return lamp("beacon") == "red" }); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if e := <-edges; e != (Edge{"answer", false}) {
		t.Fatalf("a key held by a peer that left stays down: %+v", e)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func reach(t *testing.T, ctx context.Context, path string) *Hand {
	for {
		h, err := Reach(ctx, path)
		if err == nil {
			return h
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func FuzzParseEdge(f *testing.F) {
	f.Add([]byte(`{"line":"answer","down":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := ParseEdge(b); err == nil && e.Line == "" {
			t.Fatal("an edge without a line")
		}
	})
}
