package centre_test

import (
	"context"
	"os"
	"testing"
	"time"

	"deskset/audio/oggopus"
	"deskset/firmware/centre/audit"
	"deskset/firmware/centre/centretest"
	"deskset/firmware/record"
	"deskset/firmware/upload"
	"deskset/firmware/vault"
	"deskset/firmware/vault/outbox"
)

// The real vault on the seat: what it seals, amendments too, arrives without a
// problem, and a recording that a crash ended has both numbers.
func TestWithTheRealVault(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	s := e.Enrol(t, "S-0001")
	open := func(dir string) *vault.Vault {
		v, err := vault.Open(vault.Config{Dir: dir, Seat: s.Name, Firmware: "test", Signer: s.Key, Now: time.Now, Reserve: 1})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	to := vault.Recipients{Facts: s.Policy.Recording.Facts, Voice: s.Policy.Recording.Voice}
	write := func(v *vault.Vault) *vault.Recording {
		r, err := v.Create(to)
		if err != nil {
			t.Fatal(err)
		}
		w := oggopus.NewWriter(1)
		head := w.Head()
		r.VoiceHead(func() []byte { return head })
		for _, f := range centretest.Call(s.Name, time.Now(), 3)[:8] {
			line, err := record.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			r.Facts(line)
		}
		var place uint64
		var page []byte
		for range 3 {
			silence := make([][]byte, oggopus.PageSlots)
			if page, err = w.Page(silence, silence, false); err != nil {
				t.Fatal(err)
			}
			place = r.Voice(page, time.Second)
		}
		for end := time.Now().Add(10 * time.Second); r.Backlog() > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(r.State())
			}
		}
		if !r.Amend(place, page) {
			t.Fatal("not amended")
		}
		return r
	}
	dir := t.TempDir()
	v := open(dir)
	m, err := write(v).Close(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cut := write(v)
	id := cut.ID()
	// The power goes in the middle of the second call: this is what the disk has.
	found := t.TempDir()
	if err := os.CopyFS(found, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := cut.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	v = open(found)
	defer v.Close(t.Context())
	box := outbox.New(v)
	defer box.Close()
	u, err := upload.New(upload.Config{Client: s.Client, Centre: e.Key, Store: box, Now: time.Now, Log: centretest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	defer func() { stop(); <-done }()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		left, err := box.List()
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal(u.Status())
		}
	}
	l, err := e.Centre.Audit().List(t.Context(), audit.Filter{})
	if err != nil || len(l) != 2 || l[0].ID != m.ID || l[1].ID != id {
		t.Fatalf("%+v %v", l, err)
	}
	for _, x := range l {
		if x.From != centretest.CustomerNumber || x.To != centretest.AccessNumber || len(x.Problems) > 0 {
			t.Errorf("%+v", x)
		}
	}
	if l[1].End != "recovered" {
		t.Errorf("%+v", l[1])
	}
	ok, err := audit.Verify(t.Context(), e.Centre.Audit(), e.Key, audit.Filter{}, nil)
	if err != nil || len(ok.Faults)+len(ok.Warnings) > 0 {
		t.Errorf("%+v %v", ok, err)
	}
	for _, x := range l {
		got, err := audit.Export(t.Context(), audit.ExportConfig{Source: e.Centre.Audit(), Centre: e.Key, Key: e.Voice, Out: t.TempDir()}, x.ID)
		if err != nil || got.Seconds < 2.8 {
			t.Errorf("%+v %v", got, err)
		}
	}
}
