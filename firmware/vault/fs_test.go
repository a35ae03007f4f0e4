package vault_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"

	"deskset/firmware/vault"
	"deskset/firmware/vault/crashfs"
)

// TestFS is what every FS promises, the real disk and the one that crashes.
func TestFS(t *testing.T) {
	for name, make := range map[string]func(*testing.T) vault.FS{
		"disk": func(t *testing.T) vault.FS {
			d, err := vault.OpenDir(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		"crashfs": func(*testing.T) vault.FS { return crashfs.New() },
	} {
		t.Run(name, func(t *testing.T) { conform(t, make(t)) })
	}
}

func conform(t *testing.T, d vault.FS) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Open("a", false); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("open of a missing file: %v", err)
	}
	if err := d.Remove("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("removal of a missing file: %v", err)
	}
	if err := d.Rename("a", "b"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("rename of a missing file: %v", err)
	}
	f, err := d.Open("a", true)
	must(err)
	_, err = f.WriteAt([]byte("hello"), 4096)
	must(err)
	must(f.Sync())
	must(d.SyncDir())
	if n, err := f.Size(); err != nil || n != 4101 {
		t.Fatalf("size %d: %v", n, err)
	}
	b := bytes.Repeat([]byte{1}, 10)
	if n, err := f.ReadAt(b, 4096); n != 5 || err != io.EOF || string(b[:5]) != "hello" {
		t.Fatalf("read %d %q: %v", n, b, err)
	}
	if n, err := f.ReadAt(b, 0); n != 10 || err != nil || !bytes.Equal(b, make([]byte, 10)) {
		t.Fatalf("a hole reads %v: %v", b, err)
	}
	g, err := d.Open("b", true)
	must(err)
	must(d.Rename("a", "b")) // over another
	must(f.Truncate(100))
	must(f.Close())
	must(g.Close())
	f, err = d.Open("b", false)
	must(err)
	if n, err := f.Size(); err != nil || n != 100 {
		t.Fatalf("size %d: %v", n, err)
	}
	must(f.Close())
	all, err := d.List()
	must(err)
	if len(all) != 1 || all[0] != (vault.Info{Name: "b", Size: 100}) {
		t.Fatalf("%+v", all)
	}
	if free, total, err := d.Space(); err != nil || free <= 0 || total < free {
		t.Fatalf("%d of %d: %v", free, total, err)
	}
	l, err := d.Lock()
	must(err)
	must(l.Close())
	must(d.Remove("b"))
}

// TestOutsideNames: a name never leads out of the directory.
func TestOutsideNames(t *testing.T) {
	d, err := vault.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"", ".", "..", "../x", "a/b", "/x"} {
		if _, err := d.Open(n, true); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", n, err)
		}
	}
}

// TestCrash: what was synced is there after every cut; what was not is, over
// many cuts, sometimes there, sometimes not, and sometimes torn.
func TestCrash(t *testing.T) {
	d := crashfs.New()
	f, err := d.Open("a", true)
	if err != nil {
		t.Fatal(err)
	}
	old, fresh := bytes.Repeat([]byte{1}, 2048), bytes.Repeat([]byte{2}, 2048)
	for _, step := range []func() error{
		func() error { _, err := f.WriteAt(old, 0); return err },
		f.Sync, d.SyncDir,
		func() error { _, err := f.WriteAt(fresh, 0); return err },
		func() error { _, err := d.Open("b", true); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	seen := map[string]int{}
	for range 300 {
		r := d.Image().Restart(rng)
		b, err := r.ReadFile("a")
		if err != nil || len(b) != 2048 {
			t.Fatalf("synced file: %d bytes, %v", len(b), err)
		}
		switch {
		case bytes.Equal(b, old):
			seen["old"]++
		case bytes.Equal(b, fresh):
			seen["fresh"]++
		default:
			for s := 0; s < 2048; s += crashfs.Sector {
				if x := b[s : s+crashfs.Sector]; !bytes.Equal(x, old[:512]) && !bytes.Equal(x, fresh[:512]) {
					t.Fatal("a sector of synced content is torn")
				}
			}
			seen["mixed"]++
		}
		if _, err := r.ReadFile("b"); err == nil {
			seen["name"]++
		} else {
			seen["no name"]++
		}
	}
	for _, k := range []string{"old", "fresh", "mixed", "name", "no name"} {
		if seen[k] == 0 {
			t.Errorf("never seen: %s (%v)", k, seen)
		}
	}
}
