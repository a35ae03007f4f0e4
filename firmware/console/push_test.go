package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/console/consoletest"
	"deskset/firmware/panel"
)

// sink is a page that reads at once and notes when.
type sink struct {
	mu   sync.Mutex
	got  []message
	when []time.Time
}

func (s *sink) write(_ context.Context, b []byte) error {
	var m message
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.when = append(s.got, m), append(s.when, time.Now())
	return nil
}

func (s *sink) count(kind string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.got {
		if m.Type == kind {
			n++
		}
	}
	return n
}

func (s *sink) last(kind string) (last message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.got {
		if m.Type == kind {
			last = m
		}
	}
	return last
}

// pushing runs a page in virtual time, with agent 1024 signed in.
func pushing(t *testing.T, f func(t *testing.T, seat *consoletest.Fake, page console.Page, s *sink)) {
	synctest.Test(t, func(t *testing.T) {
		seat, s := signedIn(t), &sink{}
		page := console.NewPage(seat, "1024", s.write)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { page.Run(ctx) })
		synctest.Wait()
		f(t, seat, page, s)
		cancel()
		running.Wait()
		if n := seat.Readers(); n > 0 {
			t.Errorf("%d readers are left", n)
		}
	})
}

func TestChangesAreCoalesced(t *testing.T) {
	pushing(t, func(t *testing.T, seat *consoletest.Fake, _ console.Page, s *sink) {
		began := time.Now()
		for i := range 2000 { // one a millisecond for 2 s
			seat.Set(func(v *panel.View) { v.Headset.Volume = i%7 - 3; v.Notice = "" })
			time.Sleep(time.Millisecond)
		}
		seat.Set(func(v *panel.View) { v.Headset.Volume = -20 })
		time.Sleep(200 * time.Millisecond)
		n := s.count("view")
		if n < 20 || n > 46 {
			t.Errorf("%d views in %v", n, time.Since(began))
		}
		if got := s.last("view").View.Headset.Volume; got != -20 {
			t.Errorf("the last change did not come: %d", got)
		}
		for i := 1; i < len(s.when); i++ {
			if d := s.when[i].Sub(s.when[i-1]); d < 50*time.Millisecond {
				t.Fatalf("messages %d and %d are %v apart", i-1, i, d)
			}
		}
	})
}

func TestFirstChangeComesAtOnce(t *testing.T) {
	pushing(t, func(t *testing.T, seat *consoletest.Fake, _ console.Page, s *sink) {
		time.Sleep(time.Second + 3*time.Millisecond)
		seat.Set(func(v *panel.View) { v.State = panel.BusyState })
		synctest.Wait()
		if s.last("view").View.State != panel.BusyState {
			t.Error("a change after a quiet second waits")
		}
	})
}

func TestNothingNewIsNotTold(t *testing.T) {
	pushing(t, func(t *testing.T, seat *consoletest.Fake, _ console.Page, s *sink) {
		for range 100 {
			seat.Set(func(*panel.View) {})
			time.Sleep(20 * time.Millisecond)
		}
		if n := len(s.got); n != 1 {
			t.Errorf("%d messages about nothing", n-1)
		}
	})
}

func TestLevels(t *testing.T) {
	pushing(t, func(t *testing.T, seat *consoletest.Fake, _ console.Page, s *sink) {
		for i := range 500 { // 5 s of speech
			seat.SetLevels(float64(-20-i%30), -30.4)
			time.Sleep(10 * time.Millisecond)
		}
		if n := s.count("levels"); n < 40 || n > 51 {
			t.Errorf("%d levels in 5 s", n)
		}
		if n := s.count("view"); n != 1 {
			t.Errorf("%d views for levels alone", n)
		}
		seat.SetLevels(-7.2, -30)
		time.Sleep(200 * time.Millisecond)
		if m := s.last("levels"); m.MicDB != -7 {
			t.Errorf("level %v", m.MicDB)
		}
	})
}

// A page that does not read is given up after 5 s; the seat never waits.
func TestSlowPageIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seat := signedIn(t)
		page := console.NewPage(seat, "1024", func(ctx context.Context, _ []byte) error {
			<-ctx.Done()
			return ctx.Err()
		})
		began := time.Now()
		_, err := page.Run(t.Context())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if seat.Readers() > 0 {
			t.Error("its reader is left")
		}
	})
}

// What is told never holds more than the page's own agent.
func TestPushStopsWithTheAgent(t *testing.T) {
	pushing(t, func(t *testing.T, seat *consoletest.Fake, page console.Page, s *sink) {
		seat.Set(func(v *panel.View) {
			v.Agent = "2048"
			v.Shift = []panel.Item{{ID: "9", Peer: "01065550199"}}
		})
		time.Sleep(time.Second)
		n := len(s.got)
		seat.Set(func(v *panel.View) { v.Agent = "1024" })
		time.Sleep(time.Second)
		if len(s.got) != n {
			t.Error("the page is told again after its end")
		}
		for _, m := range s.got {
			if m.View.Agent == "2048" || len(m.View.Shift) > 0 {
				t.Errorf("told of another agent: %+v", m.View)
			}
		}
	})
}

func TestPushEndsAtItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seat, s := consoletest.NewFake(nil), &sink{}
		page := console.NewPage(seat, "", s.write)
		began := time.Now()
		reason, err := page.Run(t.Context())
		if reason != console.ReasonExpired || err != nil || time.Since(began).Round(time.Second) != 15*time.Minute {
			t.Errorf("%q, %v after %v", reason, err, time.Since(began))
		}
	})
}

func TestPushSurvivesAnySound(t *testing.T) {
	pushing(t, func(t *testing.T, seat *consoletest.Fake, _ console.Page, s *sink) {
		zero := 0.0
		for _, db := range []float64{-1e9, 1e9, -zero / zero, 1 / zero, -1 / zero} {
			seat.SetLevels(db, db)
			time.Sleep(200 * time.Millisecond)
			seat.Set(func(v *panel.View) { v.Headset.Volume-- })
			time.Sleep(200 * time.Millisecond)
		}
		if v := s.last("view"); v.View.Headset.Volume != -5 || v.View.Headset.MicDB != -96 {
			t.Errorf("%+v", v.View.Headset)
		}
	})
}

func TestLimiterForgetsAndHolds(t *testing.T) {
	at := newClock()
	allow := console.Allower(at.now)
	for i := range console.MaxPeers {
		if !allow(strings.Repeat("x", i+1)) {
			t.Fatalf("peer %d", i)
		}
	}
	if allow("one more") {
		t.Error("more peers than there is room for")
	}
	at.advance(11 * time.Minute)
	if !allow("one more") {
		t.Error("idle peers are not forgotten")
	}
}
