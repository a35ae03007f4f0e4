package audit_test

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"deskset/firmware/centre/audit"
	"deskset/firmware/centre/centretest"
	"deskset/firmware/centre/store"
	"deskset/firmware/upload"
	"deskset/firmware/vault/sealed"
)

// delivered is a centre with the recordings that make makes.
func delivered(t *testing.T, specs func(s *centretest.Seat) []centretest.Spec) (*centretest.Env, *centretest.Seat, []*centretest.Recording) {
	t.Helper()
	e := centretest.New(t)
	s := e.Enrol(t, "S-0001")
	d := centretest.NewDisk()
	var recs []*centretest.Recording
	for _, spec := range specs(s) {
		r := centretest.Make(t, spec)
		recs = append(recs, r)
		d.Add(r)
	}
	u, err := upload.New(upload.Config{Client: s.Client, Centre: e.Key, Store: d, Now: time.Now, Log: centretest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	for {
		left, err := d.List()
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			break
		}
		if ctx.Err() != nil {
			t.Fatal(u.Status())
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	return e, s, recs
}

func two(s *centretest.Seat) []centretest.Spec {
	a, b := centretest.SpecFor(s, 1), centretest.SpecFor(s, 2)
	b.Split = true
	return []centretest.Spec{a, b}
}

func path(e *centretest.Env, id, name string) string {
	return filepath.Join(e.Dir, "data", "rec", id[:2], id, name)
}

func TestExportFromBothSides(t *testing.T) {
	t.Parallel()
	e, _, recs := delivered(t, two)
	remote := audit.Remote{Client: e.Auditor(t, "li")}
	for i, rec := range recs {
		var files [2][]byte
		for j, src := range []audit.Source{e.Centre.Audit(), remote} {
			var last, total int64
			out := t.TempDir()
			x, err := audit.Export(t.Context(), audit.ExportConfig{
				Source: src, Centre: e.Key, Key: e.Voice, Out: out,
				Progress: func(d, n int64) {
					if d < last || d > n {
						t.Errorf("progress went from %d to %d of %d", last, d, n)
					}
					last, total = d, n
				},
			}, rec.Manifest.ID)
			if err != nil || x.Seconds < 1.9 || x.Seconds > 2.1 || last != total || total == 0 {
				t.Fatalf("%+v %v, progress %d of %d", x, err, last, total)
			}
			// A part that a failing disk ended has no end mark: that is told.
			if x.Clean == (i == 1) {
				t.Errorf("recording %d: %+v", i, x)
			}
			if files[j], err = os.ReadFile(x.WAV); err != nil {
				t.Fatal(err)
			}
			if left, _ := filepath.Glob(filepath.Join(out, ".part-*")); len(left) > 0 {
				t.Error("left over:", left)
			}
			for _, f := range []string{x.Ogg, x.WAV, x.VCon} {
				if i, err := os.Stat(f); err != nil || i.Mode().Perm() != 0o600 {
					t.Error(i.Mode(), err)
				}
			}
		}
		if !bytes.Equal(files[0], files[1]) {
			t.Error("the two exports differ")
		}
	}
	l, err := e.Centre.Audit().List(t.Context(), audit.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := remote.List(t.Context(), audit.Filter{})
	if err != nil || !reflect.DeepEqual(l, r) || len(l) != 2 {
		t.Fatalf("%+v\n%+v\n%v", l, r, err)
	}
	for _, f := range []audit.Filter{{Seat: "S-9"}, {Agent: "1"}, {Number: "1"}, {From: time.Now().Add(time.Hour)}, {To: time.Now().Add(-time.Hour)}} {
		if l, err := remote.List(t.Context(), f); err != nil || len(l) != 0 {
			t.Errorf("%+v: %+v %v", f, l, err)
		}
	}
	for _, f := range []audit.Filter{{Seat: "S-0001"}, {Agent: centretest.AgentNumber}, {Number: centretest.CustomerNumber}, {Number: centretest.AccessNumber}} {
		if l, err := remote.List(t.Context(), f); err != nil || len(l) != 2 {
			t.Errorf("%+v: %+v %v", f, l, err)
		}
	}
}

func TestWrongKeys(t *testing.T) {
	t.Parallel()
	e, _, recs := delivered(t, two)
	id := recs[0].Manifest.ID
	stranger, err := sealed.GenerateKey(sealed.Offline)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Export(t.Context(), audit.ExportConfig{Source: e.Centre.Audit(), Centre: e.Key, Key: stranger, Out: t.TempDir()}, id); !errors.Is(err, sealed.ErrNotRecipient) {
		t.Error(err)
	}
	if _, err := audit.Export(t.Context(), audit.ExportConfig{Source: e.Centre.Audit(), Centre: e.Key, Key: e.Voice, Out: t.TempDir()}, "7c9e6679-7425-40de-944b-e07fc1f90ae7"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	other := centretest.New(t)
	if _, err := audit.Export(t.Context(), audit.ExportConfig{Source: e.Centre.Audit(), Centre: other.Key, Key: e.Voice, Out: t.TempDir()}, id); err == nil {
		t.Error("another centre's vCon was believed")
	}
}

// Each byte counts: what a disk or a hand changed after the receipt is found,
// and the rest is still exported.
func TestDamageAfterTheReceipt(t *testing.T) {
	t.Parallel()
	e, _, recs := delivered(t, two)
	id := recs[0].Manifest.ID
	verify := func() audit.Verified {
		t.Helper()
		v, err := audit.Verify(t.Context(), e.Centre.Audit(), e.Key, audit.Filter{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := verify(); len(v.Faults) > 0 || v.Recordings != 2 || v.Bytes == 0 {
		t.Fatalf("%+v", v)
	}
	for _, c := range []struct {
		file string
		at   int
	}{{"1.voice", -3000}, {"1.facts", -3000}, {"manifest.jws", 200}, {"receipt.jws", 200}, {"vcon.json", 300}} {
		p := path(e, id, c.file)
		good, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(good)
		at := c.at
		if at < 0 {
			at += len(bad)
		}
		if bad[at] == 'A' {
			bad[at] = 'B'
		} else {
			bad[at] = 'A'
		}
		if err := os.WriteFile(p, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if v := verify(); len(v.Faults) == 0 && len(v.Warnings) == 0 {
			t.Errorf("%s: not noticed", c.file)
		}
		if c.file == "1.voice" {
			x, err := audit.Export(t.Context(), audit.ExportConfig{Source: e.Centre.Audit(), Centre: e.Key, Key: e.Voice, Out: t.TempDir()}, id)
			if err != nil || x.Clean || x.WAV == "" || !strings.Contains(strings.Join(x.Damage, "\n"), "segment") {
				t.Errorf("%+v %v", x, err)
			}
		}
		if err := os.WriteFile(p, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(path(e, id, "1.voice")); err != nil {
		t.Fatal(err)
	}
	if v := verify(); len(v.Faults) != 1 || !strings.Contains(v.Faults[0], id) {
		t.Errorf("a part is gone: %+v", v)
	}
}

func TestGapsAreNamed(t *testing.T) {
	t.Parallel()
	e, _, _ := delivered(t, func(s *centretest.Seat) []centretest.Spec {
		a, b := centretest.SpecFor(s, 2), centretest.SpecFor(s, 5)
		a.Seconds, b.Seconds = 0, 0
		return []centretest.Spec{a, b}
	})
	v, err := audit.Verify(t.Context(), e.Centre.Audit(), e.Key, audit.Filter{}, nil)
	if err != nil || len(v.Faults) > 0 {
		t.Fatal(v, err)
	}
	if w := strings.Join(v.Warnings, "\n"); !strings.Contains(w, "numbers 1 to 1") || !strings.Contains(w, "numbers 3 to 4") {
		t.Errorf("%v", v.Warnings)
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("seat=S-1&number=%2B86139&from=2026-01-01T00%3A00%3A00Z")
	f.Add("colour=red")
	f.Fuzz(func(t *testing.T, s string) {
		q, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		x, err := audit.ParseFilter(q)
		if err != nil {
			return
		}
		again, err := audit.ParseFilter(x.Query())
		if err != nil || again.Seat != x.Seat || again.Number != x.Number || !again.From.Equal(x.From.Truncate(time.Second)) {
			t.Fatalf("%+v became %+v, %v", x, again, err)
		}
	})
}
