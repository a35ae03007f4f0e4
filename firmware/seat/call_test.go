package seat

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskset/audio/pcm"
	"deskset/firmware/console"
	"deskset/firmware/fleet"
	"deskset/firmware/panel"
	"deskset/firmware/record"
	"deskset/firmware/vault"
)

// TestInboundCall is a whole call, from the pin of the key to its facts at the
// centre.
func TestInboundCall(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		f, d := s.ring("call-1")
		s.lamp(panel.Beacon, panel.Blue, panel.Hz2)
		s.lamp(panel.LampAnswer, panel.On, panel.Hz2)
		time.Sleep(1100 * time.Millisecond)
		s.press(panel.Answer)
		ok := s.l.Expect("200")
		d.Settle(ok)
		must(t, f.SetAnswer([]byte(ok.Body)))
		d.Ack()
		s.state(panel.Talking)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.lamp(panel.Beacon, panel.Red, panel.Steady)
		s.lamp(panel.LampAnswer, panel.On, panel.Steady)
		s.lamp(panel.LampRec, panel.On, panel.Steady)
		if heard(s.head) < 45 || heard(f.head) < 45 {
			t.Error("they do not hear each other")
		}

		s.press(panel.Mute)
		s.lamp(panel.LampMute, panel.On, panel.Steady)
		time.Sleep(300 * time.Millisecond)
		if n := heard(f.head); n > 0 {
			t.Errorf("muted, and %d frames are heard", n)
		}
		s.press(panel.Mute)
		s.lamp(panel.LampMute, panel.Off, panel.Steady)

		for _, digit := range []string{"4", "7", "1"} {
			s.do(console.Action{Kind: console.DTMF, Digit: digit})
		}
		time.Sleep(2 * time.Second)

		// R22: hold, its cues, and ANSWER takes the customer back.
		began := time.Now()
		s.do(console.Action{Kind: console.Hold})
		s.reinvited(f)
		v := s.state(panel.Hold)
		if v.Calls[0].Phase != "held" || v.Calls[0].HeldSince.IsZero() {
			t.Errorf("shown as %+v", v.Calls[0])
		}
		s.lamp(panel.Beacon, panel.RedAmber, panel.Hz1)
		s.lamp(panel.LampAnswer, panel.On, panel.Hz1)
		if n := heard(f.head); n > 15 {
			t.Errorf("on hold, and %d frames are heard", n)
		}
		time.Sleep(time.Until(began.Add(30100 * time.Millisecond)))
		synctest.Wait()
		s.lamp(panel.Beacon, panel.RedAmber, panel.Hz2)
		if v := s.seat.View(); v.Notice != "hold-max" {
			t.Errorf("notice %q", v.Notice)
		}
		s.press(panel.Answer)
		s.reinvited(f)
		s.state(panel.Talking)
		if heard(s.head) < 40 || heard(f.head) < 40 {
			t.Error("resumed, and they do not hear each other")
		}

		s.edge(panel.RecPause, true)
		time.Sleep(1100 * time.Millisecond)
		s.edge(panel.RecPause, false)
		synctest.Wait()
		s.lamp(panel.LampRec, panel.On, panel.Hz1)
		if v := s.seat.View(); !v.Rec.Paused || v.Rec.Until.IsZero() {
			t.Errorf("%+v", v.Rec)
		}
		time.Sleep(3 * time.Second)
		s.do(console.Action{Kind: console.RecResume})
		s.lamp(panel.LampRec, panel.On, panel.Steady)

		s.head.gone.Store(true)
		s.gone <- HeadsetEvent{Reason: "pulled"}
		if v := s.until("lost", func(v panel.View) bool { return !v.Headset.Present }); v.Notice != "headset-lost" {
			t.Errorf("notice %q", v.Notice)
		}
		time.Sleep(time.Second)
		s.head.gone.Store(false)
		s.gone <- HeadsetEvent{Present: true}
		s.until("back", func(v panel.View) bool { return v.Headset.Present })
		time.Sleep(time.Second)

		d.Request("BYE", "")
		s.l.Expect("200")
		v = s.state(panel.WrapUp)
		s.lamp(panel.Beacon, panel.Yellow, panel.Steady)
		s.lamp(panel.LampACW, panel.On, panel.Steady)
		s.lamp(panel.LampRec, panel.Off, panel.Steady)
		if len(v.Shift) != 1 || v.Shift[0].Peer != customerNumber || v.Shift[0].Recording != "sealed" {
			t.Errorf("shift %+v", v.Shift)
		}
		time.Sleep(46 * time.Second)
		synctest.Wait()
		s.lamp(panel.LampACW, panel.On, panel.Hz1)
		s.state(panel.Ready)

		r := s.recordings(1)[0]
		o := r.fact(t, record.Offered, 0)
		if o.Direction != "in" || o.From != customerNumber || o.To != "101" || o.Queue != "support" || o.CallID != "call-1" ||
			o.Agent != "7041" || o.Seat != "S-0001" || o.Basis != "centre-policy" || o.Ms != -1 || o.Clock != "untrusted" {
			t.Errorf("%+v", o)
		}
		if c := r.fact(t, record.Codec, 0); !strings.EqualFold(c.Text, "opus") {
			t.Errorf("%+v", c)
		}
		span := func(from, to record.Kind, least, most int64) {
			t.Helper()
			a, b := r.fact(t, from, 0), r.fact(t, to, 0)
			if d := b.Ms - a.Ms; a.Ms < 0 || d < least || d > most {
				t.Errorf("%s at %d ms to %s at %d ms", from, a.Ms, to, b.Ms)
			}
		}
		span(record.Muted, record.Unmuted, 1300, 1600)
		span(record.Held, record.Resumed, 30000, 31000)
		span(record.Paused, record.Unpaused, 2900, 3300)
		span(record.HeadsetLost, record.HeadsetBack, 900, 1100)
		if x := r.fact(t, record.DTMF, 0); x.Count != 3 || x.Text != "" {
			t.Errorf("%+v", x)
		}
		q := r.fact(t, record.Quality, 0).Stats
		if q == nil || q.Sent < 500 || q.Received < 500 || q.Lost != 0 || q.BufferMs <= 0 {
			t.Errorf("quality %+v", q)
		}
		if x := r.fact(t, record.Released, 0); x.By != "customer" {
			t.Errorf("%+v", x)
		}
		if !speaks(r.agent, 440, 3) || speaks(r.agent, 1000, 3) || !speaks(r.customer, 1000, 3) || speaks(r.customer, 440, 3) {
			t.Error("the legs are not the two who spoke")
		}
		for _, x := range r.facts {
			if x.Kind != record.Offered && strings.Contains(x.Text, customerNumber) {
				t.Errorf("%+v", x)
			}
		}
	})
}

// speaks says whether a tone fills the second from sec on.
func speaks(leg []int16, hz float64, sec int) bool {
	if len(leg) < (sec+1)*pcm.Rate {
		return false
	}
	var re, im float64
	for i, v := range leg[sec*pcm.Rate : (sec+1)*pcm.Rate] {
		a := 2 * math.Pi * hz * float64(i) / pcm.Rate
		re, im = re+float64(v)*math.Cos(a), im+float64(v)*math.Sin(a)
	}
	return math.Hypot(re, im)/pcm.Rate > 1000
}

// TestHangUpTakesTwoPresses, R27, and the record says who did it.
func TestHangUpTakesTwoPresses(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.talk("call-1")
		s.press(panel.Answer)
		if v := s.seat.View(); v.Notice != "confirm-hangup" || v.ConfirmUntil.IsZero() || v.State != panel.Talking {
			t.Fatalf("one press: %s, notice %q", v.State, v.Notice)
		}
		s.press(panel.Answer)
		s.byes()
		s.state(panel.WrapUp)
		if x := s.recordings(1)[0].fact(t, record.Released, 0); x.By != "agent" {
			t.Errorf("%+v", x)
		}
	})
}

// TestEveryAttemptHasARecord, R12: unanswered, cancelled, refused.
func TestEveryAttemptHasARecord(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		_, d := s.ring("rona")
		for want := 1; want <= 3; want++ {
			if v := s.seat.View(); v.Calls[0].Rings != want {
				t.Errorf("%d rings shown, want %d", v.Calls[0].Rings, want)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
		}
		d.Settle(s.l.Expect("480"))
		d.AckRefusal()
		s.state(panel.BusyState)
		s.lamp(panel.Beacon, panel.Amber, panel.Steady)
		s.lamp(panel.LampBusy, panel.On, panel.Steady)
		s.do(console.Action{Kind: console.Ready})

		_, d = s.ring("cancelled")
		time.Sleep(1500 * time.Millisecond)
		d.Cancel()
		s.edge(panel.Answer, true) // at the same moment
		s.l.Expect("200")
		s.l.Expect("487")
		d.AckRefusal()
		s.edge(panel.Answer, false)
		s.state(panel.Ready)

		s.do(console.Action{Kind: console.DND})
		s.l.Offer("refused", "<sip:"+customerNumber+"@pbx.test>", offer, sdpType)
		s.l.Expect("100")
		s.l.Expect("486")

		rs := s.recordings(3)
		for i, want := range []string{"timer", "customer", "seat"} {
			if x := rs[i].fact(t, record.Released, 0); x.By != want {
				t.Errorf("%s: %+v", rs[i].fact(t, record.Offered, 0).CallID, x)
			}
			if rs[i].fact(t, record.Offered, 0).From != customerNumber {
				t.Error("the number is not in the record")
			}
		}
		if v := s.seat.View(); len(v.Shift) != 2 {
			t.Errorf("the shift shows %d calls, and two rang", len(v.Shift))
		}
	})
}

// TestHoldThatIsRefused: the customer no longer hears the agent, and comes back.
func TestHoldThatIsRefused(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		f, d := s.talk("call-1")
		s.do(console.Action{Kind: console.Hold})
		s.l.Respond(s.l.Expect("INVITE"), 488, "", "")
		s.l.Expect("ACK")
		s.state(panel.Hold)
		time.Sleep(300 * time.Millisecond)
		if n := heard(f.head); n > 0 {
			t.Errorf("held, and %d frames are heard", n)
		}
		s.do(console.Action{Kind: console.Resume})
		s.state(panel.Talking)
		if heard(s.head) < 40 || heard(f.head) < 40 {
			t.Error("resumed, and they do not hear each other")
		}
		// A resume that is refused leaves the customer on hold, and can be tried
		// again.
		s.do(console.Action{Kind: console.Hold})
		s.reinvited(f)
		s.state(panel.Hold)
		s.do(console.Action{Kind: console.Resume})
		s.l.Respond(s.l.Expect("INVITE"), 500, "", "")
		s.l.Expect("ACK")
		s.until("told", func(v panel.View) bool { return v.State == panel.Hold && v.Notice == "call-failed" })
		time.Sleep(time.Second)
		s.press(panel.Answer)
		s.reinvited(f)
		s.state(panel.Talking)
		if heard(f.head) < 40 {
			t.Error("resumed, and the customer does not hear")
		}
		d.Request("BYE", "")
		s.l.Expect("200")
		s.state(panel.WrapUp)
	})
}

// TestMediaLost: a call without sound is ended, and the agent told.
func TestMediaLost(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.talk("call-1")
		s.net.lose(true)
		s.until("shown", func(v panel.View) bool { return health(v, "sound").Code == "sound-stalled" })
		s.net.lose(false)
		s.until("heard again", func(v panel.View) bool { return health(v, "sound").Code == "" })
		s.net.lose(true)
		s.byes()
		if v := s.state(panel.WrapUp); v.Notice != "call-lost" {
			t.Errorf("notice %q", v.Notice)
		}
		if x := s.recordings(1)[0].fact(t, record.Released, 0); x.By != "seat" || !strings.Contains(x.Text, "media lost") {
			t.Errorf("%+v", x)
		}
		s.net.lose(false)
	})
}

// TestMediaThatNeverComes: answered, and no key exchange.
func TestMediaThatNeverComes(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		_, d := s.ring("call-1")
		time.Sleep(1100 * time.Millisecond)
		began := time.Now()
		s.press(panel.Answer)
		d.Settle(s.l.Expect("200"))
		d.Ack()
		s.byes()
		if took := time.Since(began); took > connectTimeout+time.Second {
			t.Errorf("given up after %v", took)
		}
		if v := s.state(panel.Ready); v.Notice != "call-failed" {
			t.Errorf("notice %q", v.Notice)
		}
	})
}

// TestTheFlowComesBackInACall: media goes on, the call is refreshed, and the
// PBX's hang-up arrives.
func TestTheFlowComesBackInACall(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		f, d := s.talk("call-1")
		s.l.Cut()
		s.until("offline", func(v panel.View) bool { return !v.Links.PBX })
		if v := s.seat.View(); v.State != panel.Talking {
			t.Errorf("without a line the call is %s", v.State)
		}
		if heard(s.head) < 45 || heard(f.head) < 45 {
			t.Error("the cut hurt the sound")
		}
		s.l = s.register()
		s.reinvited(f)
		d.Move(s.l)
		time.Sleep(time.Second)
		began := time.Now()
		d.Request("BYE", "")
		s.l.Expect("200")
		s.state(panel.WrapUp)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("over after %v", took)
		}
	})
}

// TestFullDisk: the call goes on, REC failed is shown, and recording begins
// when there is room.
func TestFullDisk(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.disk.SetCapacity(1)
		f, d := s.talk("call-1")
		v := s.seat.View()
		if v.Rec.On || v.Rec.Failed == "" || v.Notice != "rec-failed" {
			t.Fatalf("%+v, notice %q", v.Rec, v.Notice)
		}
		s.lamp(panel.LampRec, panel.On, panel.Hz2)
		if h := health(v, "recording"); h.OK || h.Code != "recording-failed" {
			t.Errorf("%+v", h)
		}
		if heard(f.head) < 45 {
			t.Error("the full disk hurt the call")
		}
		s.disk.SetCapacity(1 << 30)
		s.until("recording", func(v panel.View) bool { return v.Rec.On && v.Rec.Failed == "" })
		time.Sleep(3 * time.Second)
		d.Request("BYE", "")
		s.l.Expect("200")
		r := s.recordings(1)[0]
		if r.fact(t, record.Offered, 0).From != customerNumber || !speaks(r.customer, 1000, 1) {
			t.Errorf("%+v", r.facts)
		}
	})
}

// TestDiskFillsInACall: shown within seconds, healthy again when there is room.
func TestDiskFillsInACall(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		_, d := s.talk("call-1")
		s.disk.SetCapacity(1)
		s.until("failed", func(v panel.View) bool { return v.Rec.On && v.Rec.Failed != "" })
		s.lamp(panel.LampRec, panel.On, panel.Hz2)
		s.disk.SetCapacity(1 << 30)
		s.until("healthy", func(v panel.View) bool { return v.Rec.Failed == "" })
		d.Request("BYE", "")
		s.l.Expect("200")
		s.recordings(1)
	})
}

func health(v panel.View, part string) panel.Health {
	for _, h := range v.Health {
		if h.Part == part {
			return h
		}
	}
	return panel.Health{}
}

// TestShutdownInACallSeals: the call is hung up and nothing is left to recover.
func TestShutdownInACallSeals(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.talk("call-1")
		time.Sleep(3 * time.Second)
		began := time.Now()
		s.stop()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
		all := s.vault.List()
		if len(all) != 1 || all[0].State != vault.Sealed || all[0].End != fleet.EndClosed {
			t.Errorf("%+v", all)
		}
		if x := s.recordings(1)[0].fact(t, record.Released, 0); x.By != "seat" || x.Text != "shutdown" {
			t.Errorf("%+v", x)
		}
		for _, l := range panel.Lamps {
			if c, _ := s.lamps.get(l); c != panel.Off {
				t.Errorf("%s stays %s", l, c)
			}
		}
	})
}

// TestNothingOfTheCustomerIsLogged: neither log nor journal holds a number, a
// name or an agent.
func TestNothingOfTheCustomerIsLogged(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		_, d := s.talk("call-1")
		s.do(console.Action{Kind: console.DTMF, Digit: "9"})
		d.Request("BYE", "")
		s.l.Expect("200")
		s.recordings(1)
		s.stop()
		text := s.log.String()
		must(t, s.seat.Events(t.Context(), 0, false, func(e Event) error { text += e.Part + " " + e.Text + "\n"; return nil }))
		for _, secret := range []string{customerNumber, "Wang", "7041", "support"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is told:\n%s", secret, text)
			}
		}
	})
}

// TestPolicyInACall: another account is taken when the call is over.
func TestPolicyInACall(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		_, d := s.talk("call-1")
		p := *s.seat.policy
		p.Version, p.PBX = 2, []fleet.PBX{{URL: "ws://other.invalid/ws", Domain: "other.invalid", User: "102", Password: "pw"}}
		s.seat.SetPolicy(&p)
		time.Sleep(2 * time.Second)
		if v := s.seat.View(); v.State != panel.Talking || !v.Links.PBX {
			t.Errorf("the policy hurt the call: %s", v.State)
		}
		d.Request("BYE", "")
		s.l.Expect("200")
		bye := s.l.Expect("REGISTER")
		s.l.Respond(bye, 200, "", "")
		m := s.register()
		s.l = m
		s.state(panel.WrapUp)
	})
}

// TestHelpReachesTheFloor, for two minutes.
func TestHelpReachesTheFloor(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		helped := func() bool {
			for _, a := range s.seat.State().Alarms {
				if a == "help" {
					return true
				}
			}
			return false
		}
		s.edge(panel.Help, true)
		time.Sleep(3100 * time.Millisecond)
		s.edge(panel.Help, false)
		synctest.Wait()
		st := s.seat.State()
		if !helped() || st.Agent != "7041" || st.State != "ready" || st.Firmware != "test" || st.Check() != nil {
			t.Errorf("%+v", st)
		}
		time.Sleep(2 * time.Minute)
		if helped() {
			t.Error("the floor still sees it")
		}
	})
}
