package seat

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/media"
	"deskset/firmware/panel"
	"deskset/firmware/record"
)

// TestThePBXHoldsTheSeat, takes it back, and names another party.
func TestThePBXHoldsTheSeat(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		f, d := s.talk("call-1")
		reoffer := func(dir media.Direction, headers ...string) {
			t.Helper()
			sdp, err := f.Reoffer(dir)
			must(t, err)
			d.Request("INVITE", string(sdp), append(headers, sdpType)...)
			s.l.Expect("100")
			ok := s.l.Expect("200")
			must(t, f.SetReanswer([]byte(ok.Body)))
			d.Ack()
			time.Sleep(300 * time.Millisecond)
		}
		reoffer(media.SendOnly)
		if heard(s.head) < 40 || heard(f.head) > 0 {
			t.Error("held by the PBX: the agent hears, and is not heard")
		}
		if v := s.seat.View(); v.State != panel.Talking {
			t.Errorf("%s", v.State)
		}
		reoffer(media.SendRecv, `P-Asserted-Identity: "Li" <sip:13900139000@pbx.test>`)
		if heard(s.head) < 40 || heard(f.head) < 40 {
			t.Error("taken back, and they do not hear each other")
		}
		if c := s.seat.View().Calls[0]; c.Peer != "13900139000" || c.Name != "Li" {
			t.Errorf("shown as %+v", c)
		}
		// An offer that nobody can take leaves the call as it was.
		d.Request("INVITE", strings.Replace(offer, "opus", "speex", 1), sdpType)
		s.l.Expect("100")
		s.l.Expect("488")
		d.AckRefusal()
		if heard(f.head) < 40 {
			t.Error("a refused offer hurt the call")
		}
		d.Request("BYE", "")
		s.l.Expect("200")
		if x := s.recordings(1)[0].fact(t, record.Identity, 0); x.From != "13900139000" {
			t.Errorf("%+v", x)
		}
	})
}

// TestAlive: a pump that hangs in a call is no life.
func TestAlive(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		must(t, s.seat.Alive(t.Context()))
		_, d := s.talk("call-1")
		for range 3 {
			must(t, s.seat.Alive(t.Context()))
			time.Sleep(5 * time.Second)
		}
		s.head.hang.Store(true)
		time.Sleep(time.Second)
		must(t, s.seat.Alive(t.Context())) // not yet
		time.Sleep(soundPatience + time.Second)
		if err := s.seat.Alive(t.Context()); err == nil {
			t.Error("the sound stands still, and the seat says that it is well")
		}
		d.Request("BYE", "")
		s.l.Expect("200")
		s.state(panel.WrapUp)
		must(t, s.seat.Alive(t.Context()))
		s.stop()
		if s.seat.Alive(t.Context()) == nil {
			t.Error("alive after the end")
		}
	})
}

// TestAPolicyWithABadCA is told in words and leaves a seat that can take the
// next policy.
func TestAPolicyWithABadCA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var good *fleet.Policy
		b := newBench(t, func(_ *bench, c *Config) {
			good = c.Policy
			bad := *good
			bad.PBX = []fleet.PBX{good.PBX[0]}
			bad.PBX[0].CA = "no certificate"
			c.Policy = &bad
		})
		synctest.Wait()
		if h := health(b.seat.View(), "pbx"); h.OK || !strings.Contains(h.Text, "is no PEM certificate") {
			t.Errorf("%+v", h)
		}
		if b.pbx.Dials() != 0 {
			t.Error("it was tried all the same")
		}
		b.seat.SetPolicy(good)
		b.register()
	})
}

// TestTheCentresLink shows, with its cause.
func TestTheCentresLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.register()
		b.seat.CentreLink(true, nil)
		b.until("up", func(v panel.View) bool { return v.Links.Centre && health(v, "centre").OK })
		b.seat.CentreLink(false, errors.New("no route"))
		b.until("down", func(v panel.View) bool { return !v.Links.Centre && health(v, "centre").Text == "no route" })
		found := false
		for _, a := range b.seat.State().Alarms {
			found = found || a == "centre-unreachable"
		}
		if !found || b.seat.InCall() {
			t.Errorf("%+v", b.seat.State())
		}
	})
}
