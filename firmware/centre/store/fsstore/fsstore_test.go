package fsstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deskset/firmware/centre/store"
	"deskset/firmware/centre/store/crashfs"
	"deskset/firmware/centre/store/fsstore"
	"deskset/firmware/centre/store/storetest"
)

func open(t *testing.T, f fsstore.FS) storetest.Stores {
	t.Helper()
	s, err := fsstore.New(f)
	if err != nil {
		t.Fatal(err)
	}
	return storetest.Stores{Recordings: s.Recordings(), Seats: s.Seats(), Tokens: s.Tokens(), Holds: s.Holds(), Log: s.Log()}
}

func TestConformance(t *testing.T) {
	t.Run("disk", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) func() storetest.Stores {
			dir := t.TempDir()
			return func() storetest.Stores { return open(t, fsstore.OS(dir)) }
		})
	})
	t.Run("crashfs", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) func() storetest.Stores {
			s := open(t, crashfs.New())
			return func() storetest.Stores { return s } // one process
		})
	})
}

func TestLogNoticesChanges(t *testing.T) {
	dir := t.TempDir()
	l := open(t, fsstore.OS(dir)).Log
	ctx := context.Background()
	for _, w := range []string{"a", "b", "c"} {
		if err := l.Append(ctx, store.Entry{At: time.Unix(0, 0).UTC(), What: w}); err != nil {
			t.Fatal(err)
		}
	}
	p := filepath.Join(dir, "log", "log.jsonl")
	b, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(b), "\n")
	for name, changed := range map[string]string{
		"a line removed": lines[0] + lines[2],
		"first removed":  lines[1] + lines[2],
		"a line changed": strings.Replace(lines[0], `"a"`, `"z"`, 1) + lines[1] + lines[2],
		"garbage":        lines[0] + "garbage\n" + lines[2],
	} {
		if err := os.WriteFile(p, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Entries(ctx); err == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
	// What a cut leaves of a line that was never acknowledged is written over.
	if err := os.WriteFile(p, append(b, `{"at":"20`...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(ctx, store.Entry{At: time.Unix(0, 0).UTC(), What: "d"}); err != nil {
		t.Fatal(err)
	}
	got, err := l.Entries(ctx)
	if len(got) != 4 || err != nil {
		t.Fatal(len(got), err)
	}
}

func TestFullDisk(t *testing.T) {
	f := crashfs.New()
	r := open(t, f).Recordings
	ctx := context.Background()
	p := store.PartKey{N: 1, Kind: "voice"}
	const id = "0f8fad5b-d9cb-469f-a165-70867728950e"
	if _, err := r.Append(ctx, id, p, 0, strings.NewReader("first")); err != nil {
		t.Fatal(err)
	}
	before := f.Ops()
	if _, err := r.Append(ctx, id, p, 5, strings.NewReader("second")); err != nil {
		t.Fatal(err)
	}
	for n := range f.Ops() - before {
		f.FailAt(n+1, enospc)
		have, err := r.Append(ctx, id, p, 11+int64(0), strings.NewReader("third"))
		if err == nil {
			t.Fatalf("op %d: no error", n+1)
		}
		if !errors.Is(err, store.ErrFull) {
			t.Errorf("op %d: %v is not ErrFull", n+1, err)
		}
		if now, _, _ := r.Have(ctx, id, p); now != have || now != 11 {
			t.Errorf("op %d: said %d, has %d, want 11", n+1, have, now)
		}
	}
}
