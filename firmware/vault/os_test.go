package vault_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/vault"
)

func osConfig(dir string) vault.Config {
	cfg := config(nil)
	cfg.FS, cfg.Dir = nil, dir
	return cfg
}

// TestRealDisk writes a call to a real directory and reads it back after a
// start anew.
func TestRealDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vault")
	v, err := vault.Open(osConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(osConfig(dir)); err == nil || !strings.Contains(err.Error(), "another") {
		t.Fatalf("a second vault in the same directory: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- v.Run(ctx) }()

	r, err := v.Create(keys().to)
	if err != nil {
		t.Fatal(err)
	}
	r.VoiceHead(func() []byte { return []byte(head) })
	m := &made{id: r.ID(), amended: map[int]string{}}
	for i := range 40 {
		m.facts = append(m.facts, `{"n":`+strings.Repeat("1", i+1)+`}`)
		m.pages = append(m.pages, pageText(m.id, i, 0))
		r.Facts([]byte(m.facts[i]))
		r.Voice([]byte(m.pages[i]), 20*time.Millisecond)
	}
	man, err := r.Close(t.Context())
	if err != nil || man.End != fleet.EndClosed {
		t.Fatalf("%+v: %v", man, err)
	}
	m.seq, m.ackF, m.ackP = man.Seq, 40, 40
	// A call that nobody closes.
	open, err := v.Create(keys().to)
	if err != nil {
		t.Fatal(err)
	}
	open.Facts([]byte("left open"))
	for open.Seq() == 0 || open.Backlog() > 0 {
		time.Sleep(time.Millisecond) // a real disk has no event to wait for
	}
	short, stopShort := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stopShort()
	if err := v.Close(short); err == nil {
		t.Fatal("closed with a recording open")
	}
	stop()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if _, err := open.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	v, err = vault.Open(osConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close(t.Context())
	if rep := v.Check(t.Context(), true); !rep.OK() || rep.Recordings != 2 {
		t.Fatalf("%+v", rep)
	}
	list := map[string]vault.Entry{}
	for _, e := range v.List() {
		list[e.ID] = e
	}
	if err := m.verify(v, list, true); err != nil {
		t.Fatal(err)
	}
	f, err := v.OpenPart(m.id, 1, fleet.Voice)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Seek(-1, io.SeekEnd); err != nil || n != f.Size()-1 {
		t.Fatalf("seek: %d, %v", n, err)
	}
	f.Close()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		if i, err := e.Info(); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), i.Mode())
		}
	}
}
