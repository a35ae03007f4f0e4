package vault_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/record"
	"deskset/firmware/vault"
	"deskset/firmware/vault/crashfs"
)

// TestFaultAtEveryStep refuses each write and sync of the story once, then cuts
// the power at the end: nothing acknowledged may be lost, and all that was
// handed over must have found its way after all.
func TestFaultAtEveryStep(t *testing.T) {
	steps := len(moments(t, nil))
	rng := rand.New(rand.NewPCG(5, 6))
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		runs := 0
		for k := 1; k <= steps; k++ {
			if testing.Short() || ways < 10 && k%8 != 0 && !full() {
				continue
			}
			runs++
			synctest.Test(t, func(t *testing.T) {
				d, s := crashfs.New(), &story{}
				var hit crashfs.Step
				d.Fail = func(st crashfs.Step) error {
					if st.N == k {
						hit = st
						return errno
					}
					return nil
				}
				s.play(d, config(d))
				im := d.Image()
				acks := s.snapshot()
				for range 3 {
					if err := verify(im.Restart(rng), acks, false, false); err != nil {
						t.Fatalf("%v at %v: %v (the story met: %v)", errno, hit, err, s.err)
					}
				}
				if len(acks) > 0 && acks[0].manifest != "" && acks[0].ackP != len(acks[0].pages) {
					t.Fatalf("%v at %v: only %d of %d pages are stored", errno, hit, acks[0].ackP, len(acks[0].pages))
				}
			})
		}
		t.Logf("%v at %d of %d steps", errno, runs, steps)
	}
}

func open(t *testing.T, d vault.FS) *vault.Vault {
	t.Helper()
	v, err := vault.Open(config(d))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDiskFull fills the disk in a call: the call goes on, the agent is told,
// and the facts say what is missing.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := crashfs.New()
		v := open(t, d)
		s := &story{v: v}
		c := s.begin()
		c.fact("offered")
		c.page()
		c.stored()
		free, total, _ := d.Space()
		d.SetCapacity(total - free + 8<<10) // a little is left
		for range 100 {
			c.page()
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if h := c.r.State(); h.Level != vault.LevelFailed || !strings.Contains(h.Words, "full") {
			t.Fatalf("state is %+v", h)
		}
		if b := c.r.Backlog(); b < 5*time.Second {
			t.Fatalf("backlog is %v", b)
		}
		if _, err := v.Create(keys().to); err != nil {
			// Reserve is one byte here, so this may pass; if not, only for space.
			if !errors.Is(err, vault.ErrFull) {
				t.Fatal(err)
			}
		}
		d.SetCapacity(0)
		for range 5 {
			c.page()
			time.Sleep(time.Second)
		}
		c.stored()
		if h := c.r.State(); h.Level != vault.LevelOK {
			t.Fatalf("state is %+v after space came back", h)
		}
		m, err := c.r.Close(t.Context())
		if err != nil || m.End != fleet.EndClosed {
			t.Fatalf("%+v: %v", m, err)
		}
		facts, err := readAll(v, m, fleet.Facts, keys().facts)
		if err != nil {
			t.Fatal(err)
		}
		all := ""
		for _, p := range facts {
			all += strings.Join(p, "")
		}
		fs, err := record.Parse([]byte(all))
		if err != nil {
			t.Fatal(err)
		}
		lost := 0
		for _, f := range fs {
			if f.Kind == record.Gap {
				lost += f.Count
				if f.UntilMs-f.Ms != int64(f.Count)*1000 || !strings.Contains(f.Text, "full") {
					t.Errorf("gap fact %+v", f)
				}
			}
		}
		voice, err := readAll(v, m, fleet.Voice, keys().voice)
		if err != nil {
			t.Fatal(err)
		}
		kept := 0
		for _, p := range voice {
			for _, s := range p {
				if s != "" {
					kept++
				}
			}
		}
		if kept+lost != len(c.m.pages) || lost == 0 {
			t.Fatalf("%d pages stored, %d told as lost, %d handed over", kept, lost, len(c.m.pages))
		}
	})
}

// TestReserve refuses to begin what could not be finished.
func TestReserve(t *testing.T) {
	d := crashfs.New()
	d.Capacity = 1 << 20
	cfg := config(d)
	cfg.Reserve = 2 << 20
	v, err := vault.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Create(keys().to); !errors.Is(err, vault.ErrFull) {
		t.Fatalf("got %v", err)
	}
}

// TestDeadDisk never takes anything again: Close comes back all the same.
func TestDeadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := crashfs.New()
		var dead atomic.Bool
		d.Fail = func(crashfs.Step) error {
			if dead.Load() {
				return syscall.EIO
			}
			return nil
		}
		v := open(t, d)
		s := &story{v: v}
		c := s.begin()
		c.fact("offered")
		c.page()
		c.stored()
		dead.Store(true)
		for range 10 {
			c.page()
			time.Sleep(time.Second)
		}
		if h := c.r.State(); h.Level != vault.LevelFailed || !strings.Contains(h.Words, "tell IT") {
			t.Fatalf("state is %+v", h)
		}
		if _, err := c.r.Close(t.Context()); err == nil {
			t.Fatal("a recording was sealed on a dead disk")
		}
		acks := s.snapshot()
		if err := verify(d.Image().Restart(rand.New(rand.NewPCG(7, 8))), acks, false, true); err != nil {
			t.Fatal(err)
		}
	})
}

// slowDisk takes as long for a sync as the test says.
type slowDisk struct {
	vault.FS
	delay func() time.Duration
}

func (s slowDisk) Open(name string, create bool) (vault.File, error) {
	f, err := s.FS.Open(name, create)
	return slowFile{f, s.delay}, err
}

type slowFile struct {
	vault.File
	delay func() time.Duration
}

func (f slowFile) Sync() error {
	time.Sleep(f.delay())
	return f.File.Sync()
}

// TestSlowDisk: callers never wait, 5 s of voice wait in RAM, and what is more
// than 2 s behind is shown.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var delay atomic.Int64
		v := open(t, slowDisk{crashfs.New(), func() time.Duration { return time.Duration(delay.Load()) }})
		s := &story{v: v}
		c := s.begin()
		c.fact("offered")
		c.stored()
		delay.Store(int64(10 * time.Second))
		for i := range 8 {
			before := time.Now()
			c.page()
			if d := time.Since(before); d != 0 {
				t.Fatalf("Voice took %v", d)
			}
			time.Sleep(time.Second)
			if h := c.r.State(); i >= 3 && h.Level != vault.LevelSlow {
				t.Fatalf("after %d s: %+v", i+1, h)
			}
		}
		delay.Store(0)
		c.stored()
		if h := c.r.State(); h.Level != vault.LevelOK {
			t.Fatalf("%+v", h)
		}
		m, err := c.r.Close(t.Context())
		if err != nil || m.Parts[1].Segments < 8 {
			t.Fatalf("%+v: %v", m, err)
		}
	})
}

// TestCloseTimeout: a caller's deadline is kept as far as the disk allows.
func TestCloseTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := crashfs.New()
		var full atomic.Bool
		d.Fail = func(st crashfs.Step) error {
			if full.Load() && st.Kind == crashfs.Write && !strings.HasPrefix(st.Name, "index") {
				return syscall.ENOSPC
			}
			return nil
		}
		v := open(t, d)
		s := &story{v: v}
		c := s.begin()
		c.fact("offered")
		c.stored()
		full.Store(true)
		c.page()
		ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
		defer stop()
		m, err := c.r.Close(ctx)
		if err != nil || m.End != fleet.EndRecovered || len(m.Parts) != 1 {
			t.Fatalf("%+v: %v", m, err)
		}
	})
}
