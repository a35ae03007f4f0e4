package centre_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"deskset/firmware/centre"
	"deskset/firmware/centre/audit"
	"deskset/firmware/centre/centretest"
	"deskset/firmware/centre/store"
)

// clock can be set by a test.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

const day = 24 * time.Hour

// Nothing goes before its date, under a hold, or by a clock that nobody
// trusts; what goes leaves proof and no person's name.
func TestDelete(t *testing.T) {
	t.Parallel()
	start := time.Now()
	c := &clock{t: start}
	e := centretest.New(t, centretest.Clock(c.now))
	s := e.Enrol(t, "S-0001")
	d := centretest.NewDisk()
	rec := centretest.Make(t, centretest.SpecFor(s, 1))
	d.Add(rec)
	deliver(t, e, s, d)
	e.Stop()
	ctx, id := t.Context(), rec.Manifest.ID
	del := func(sure bool) error { return e.Centre.Delete(ctx, id, "li", "over", sure) }
	kept := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, centre.ErrKept) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := e.Centre.Recs.Doc(ctx, id, store.VCon); err != nil {
			t.Errorf("%s: the vCon is gone: %v", what, err)
		}
	}
	kept("at once", del(true))
	c.set(start.Add(29 * day))
	kept("a day early", del(true))
	c.set(time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC))
	kept("in 1970", del(true))
	c.set(time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC))
	kept("in 2038", del(false))
	c.set(start.Add(31 * day))
	h := store.Hold{Name: "case-1", Reason: "complaint", By: "wang"}
	if err := e.Centre.Hold(ctx, id, h, true); err != nil {
		t.Fatal(err)
	}
	h2 := h
	h2.Name = "case-2"
	if err := e.Centre.Hold(ctx, id, h2, true); err != nil {
		t.Fatal(err)
	}
	kept("held twice", del(true))
	if err := e.Centre.Hold(ctx, id, h, false); err != nil {
		t.Fatal(err)
	}
	kept("held once", del(true))
	if err := e.Centre.Hold(ctx, id, h2, false); err != nil {
		t.Fatal(err)
	}
	if err := e.Centre.Delete(ctx, "../x", "li", "", true); err == nil {
		t.Error("a path was deleted")
	}
	if err := del(false); err != nil {
		t.Fatal(err)
	}
	if err := del(false); err != nil {
		t.Fatal("again:", err)
	}
	for _, p := range rec.Manifest.Parts {
		if _, err := e.Centre.Recs.Open(ctx, id, store.PartKey{N: p.N, Kind: p.Kind}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("part %s is still there: %v", p.Name(), err)
		}
	}
	l, err := e.Centre.Audit().List(ctx, audit.Filter{})
	if err != nil || len(l) != 1 || l[0].State != audit.Deleted || l[0].From != "" {
		t.Errorf("%+v %v", l, err)
	}
	ok, err := audit.Verify(ctx, e.Centre.Audit(), e.Key, audit.Filter{}, nil)
	if err != nil || len(ok.Faults) > 0 {
		t.Errorf("%+v %v", ok, err)
	}
	log, err := e.Centre.Events.Entries(ctx)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, x := range log {
		found = found || x.What == "deleted" && x.Rec == id && x.By == "li"
	}
	if !found {
		t.Error("the deletion is not in the log")
	}
	if err := e.Centre.Hold(ctx, id, store.Hold{Name: "late", Reason: "r", By: "b"}, true); err == nil {
		t.Error("what is gone was held")
	}
	err = filepath.WalkDir(e.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), centretest.CustomerNumber) {
			t.Errorf("%s still names the customer", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
