package smallpbx

import (
	"context"
	"testing"
	"time"

	"deskset/cmd/desksim/phone"
	"deskset/cmd/desksim/smallpbx/rtplite"
	seatmedia "deskset/firmware/media"
)

func customer(t *testing.T, p *PBX, codecs string) *phone.Phone {
	t.Helper()
	ph, err := phone.New(phone.Config{Listen: "127.0.0.1:0", PBX: p.UDPAddr(), User: "13800138000", Display: "Li Lei",
		Codec: codecs, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	runPhone(t, ph)
	return ph
}

// callSeat calls seat 101 directly; the seat answers.
func callSeat(t *testing.T, ph *phone.Phone, s *seat) (*phone.Call, *seatCall) {
	t.Helper()
	c, err := ph.Call(patient(t), "101")
	if err != nil {
		t.Fatal(err)
	}
	in := next(t, s.calls, "offer at the seat")
	wait(t, c.Ringing(), "ringing")
	in.answer()
	if err := c.Wait(patient(t)); err != nil {
		t.Fatal(err)
	}
	return c, in
}

// both lets customer and seat speak at once and checks what each heard.
func both(t *testing.T, c *phone.Call, s *seat) {
	t.Helper()
	vc, vs := voice(21, 0.7), voice(22, 0.7)
	from, fromC := s.mark(), mark(c)
	dc, ds := c.Say(vc), s.ears.say(vs)
	wait(t, dc, "end of the customer's speech")
	wait(t, ds, "end of the seat's speech")
	rest, err := c.SendDTMF("5")
	if err != nil {
		t.Fatal(err)
	}
	wait(t, rest, "key")
	heardBy(t, c, vs, fromC)
	heard(t, "seat", vc, func() []int16 { return s.arrived(from) })
}

// TestCustomerCallsSeat is the main story, with Opus passing through and with
// transcoding: in by the queue, answered, spoken, held, taken back, hung up.
func TestCustomerCallsSeat(t *testing.T) {
	t.Parallel()
	for _, codecs := range []string{"opus", "PCMU"} {
		t.Run(codecs, func(t *testing.T) {
			t.Parallel()
			p := startPBX(t, nil)
			s := startSeat(t, p, "101")
			cust := customer(t, p, codecs)
			c := call(t, cust, "700") // the queue answers
			in := next(t, s.calls, "offer at the seat")
			if in.in.From != "13800138000" || in.in.Name != "Li Lei" || in.in.Queue != "support" {
				t.Errorf("offer %+v", in.in)
			}
			in.answer()
			wait(t, in.confirm, "ACK")
			both(t, c, s)
			if got := p.Calls(); len(got) != 2 {
				t.Errorf("%+v", got)
			} else {
				for _, l := range got {
					if l.User == "101" && l.Codec != "opus" {
						t.Errorf("the seat speaks %s", l.Codec)
					}
				}
			}

			in.direct(seatmedia.SendOnly)
			before, _ := c.Heard()
			secret := voice(31, 0.6)
			wait(t, s.ears.say(secret), "end of speech")
			after, _ := c.Heard()
			held := after[len(before):]
			if len(held) < 20000 || rms(held) < 100 {
				t.Errorf("hold music: %d samples, rms %.0f", len(held), rms(held))
			} else if found, _ := pieces(secret, held); found > 0 {
				t.Errorf("the held customer heard %d pieces of the seat", found)
			}
			in.direct(seatmedia.SendRecv)
			both(t, c, s)

			c.Hangup()
			wait(t, in.ended, "end at the seat")
			st := c.Stats()
			if st.Reanchored > 0 || st.Unknown > 0 || st.SSRCs != 1 || st.Late > 0 {
				t.Errorf("customer's stream: %+v", st)
			}
			rs := in.leg.Stats()
			t.Logf("seat's stats: %+v", rs)
		})
	}
}

func TestSeatCallsOut(t *testing.T) {
	t.Parallel()
	p := startPBX(t, func(c *Config) { c.RingTime = time.Second })
	s := startSeat(t, p, "101")
	b := startPhone(t, p, "202", "opus", phone.Policy{})
	c := s.dial("202")
	cb := next(t, b.Incoming(), "call")
	both(t, cb, s)
	if err := c.leg.SendDTMF("90#"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(seatmedia.DTMFTime(3) + 100*time.Millisecond) // the sender's own time
	if got := cb.DTMF(); got != "90#" {
		t.Errorf("DTMF %q", got)
	}
	c.call.Hangup()
	wait(t, cb.Done(), "end")
	if cb.EndedBy() != phone.Remote {
		t.Error(cb.EndedBy())
	}
	for target, code := range map[string]int{"604": 486, "999": 404, "603": 480} {
		c := s.invite(target)
		wait(t, c.ended, "refusal")
		if c.code != code {
			t.Errorf("%s: %d, want %d", target, c.code, code)
		}
	}
}

func TestQueueReoffers(t *testing.T) {
	t.Parallel()
	p := startPBX(t, func(c *Config) { c.Queue.RingTime = 300 * time.Millisecond; c.Queue.Retry = 50 * time.Millisecond })
	a, b := startSeat(t, p, "101"), startSeat(t, p, "102")
	a.mu.Lock()
	a.reject = 486
	a.mu.Unlock()
	cust := customer(t, p, "opus")
	c := call(t, cust, "700")
	first := next(t, b.calls, "offer to the second member")
	wait(t, first.ended, "withdrawal after the ring time")
	second := next(t, b.calls, "another offer")
	second.answer()
	both(t, c, b)
	second.call.Hangup()
	wait(t, c.Done(), "end")
	if c.EndedBy() != phone.Remote {
		t.Error(c.EndedBy())
	}
}

func TestQueueRingAll(t *testing.T) {
	t.Parallel()
	p := startPBX(t, func(c *Config) { c.Queue.RingAll = true })
	a, b := startSeat(t, p, "101"), startSeat(t, p, "102")
	cust := customer(t, p, "PCMU")
	c := call(t, cust, "700")
	ca, cb := next(t, a.calls, "offer"), next(t, b.calls, "offer")
	ca.answer()
	wait(t, cb.ended, "withdrawal at the other")
	both(t, c, a)
	c.Hangup()
	wait(t, ca.ended, "end")
}

func TestSeatTransfers(t *testing.T) {
	t.Parallel()
	p := startPBX(t, nil)
	s := startSeat(t, p, "101")
	b := startPhone(t, p, "202", "PCMU", phone.Policy{})
	cust := customer(t, p, "opus")

	c, in := callSeat(t, cust, s)
	if err := in.call.Refer("202"); err != nil {
		t.Fatal(err)
	}
	for {
		st := next(t, in.refer, "NOTIFY")
		if st.Done {
			if st.Code != 200 {
				t.Fatalf("blind: %d", st.Code)
			}
			break
		}
	}
	in.call.Hangup()
	cb := next(t, b.Incoming(), "transferred call")
	talk(t, c, cb)
	c.Hangup()
	wait(t, cb.Done(), "end")

	c, in = callSeat(t, cust, s)
	in.direct(seatmedia.SendOnly)
	consult := s.dial("202")
	cb = next(t, b.Incoming(), "consultation")
	both(t, cb, s)
	if err := in.call.ReferReplaces(consult.call); err != nil {
		t.Fatal(err)
	}
	for {
		st := next(t, in.refer, "NOTIFY")
		if st.Done {
			if st.Code != 200 {
				t.Fatalf("attended: %d", st.Code)
			}
			break
		}
	}
	wait(t, in.ended, "end of the first leg")
	wait(t, consult.ended, "end of the second leg")
	talk(t, c, cb)
	cb.Hangup()
	wait(t, c.Done(), "end")
}

// TestWebSocketCut breaks the seat's connection in a call: sound goes on, and the
// PBX's BYE reaches the seat over the new connection, even when the call ended
// while there was none.
func TestWebSocketCut(t *testing.T) {
	t.Parallel()
	p := startPBX(t, nil)
	s := startSeat(t, p, "101")
	cust := customer(t, p, "opus")
	c, in := callSeat(t, cust, s)
	both(t, c, s)
	if n := p.CutWebSocket("101"); n != 1 {
		t.Fatalf("cut %d connections", n)
	}
	both(t, c, s)
	next(t, s.recovered, "recovery")
	if err := p.WaitRegistered(patient(t), "101"); err != nil {
		t.Fatal(err)
	}
	in.direct(seatmedia.SendRecv) // the seat's target refresh
	if code, err := p.Reoffer(patient(t), "101"); err != nil || code != 200 {
		t.Errorf("re-INVITE on the new connection: %d %v", code, err)
	}
	both(t, c, s)
	p.CutWebSocket("101")
	c.Hangup() // while the seat is away
	wait(t, in.ended, "the BYE, after the second recovery")
	if err := p.WaitCalls(patient(t), "end", func(l []LegInfo) bool { return len(l) == 0 }); err != nil {
		t.Error(err)
	}
}

func TestStopAndRestart(t *testing.T) {
	t.Parallel()
	p := startPBX(t, nil)
	s := startSeat(t, p, "101")
	cust := customer(t, p, "opus")
	_, in := callSeat(t, cust, s)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if p.Registered("101") || len(p.Calls()) != 0 {
		t.Error("a stopped PBX remembers")
	}
	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitRegistered(patient(t), "101"); err != nil {
		t.Fatal(err)
	}
	in.call.Hangup() // 481: nobody knows it any more
	wait(t, in.ended, "end")
	c, in := callSeat(t, cust, s)
	both(t, c, s)
	p.HangupAll()
	wait(t, in.ended, "end")
	wait(t, c.Done(), "end")
}

func TestMisbehave(t *testing.T) {
	t.Parallel()
	p := startPBX(t, nil)
	s := startSeat(t, p, "101")
	cust := customer(t, p, "opus")
	for _, m := range Misbehaviours {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		code, err := p.Misbehave(ctx, "101", m)
		cancel()
		t.Logf("%s: %d %v", m, code, err)
		switch m {
		case Binary, Fragmented:
			if code != 200 {
				t.Errorf("%s: %d %v", m, code, err)
			}
		case NoSDP, BadSDP, UnknownCodec, StrayBye:
			if m == BadSDP || m == UnknownCodec {
				continue // whether to ring first is the seat's affair; here its script rings
			}
			if code < 400 {
				t.Errorf("%s: %d %v", m, code, err)
			}
		}
	}
	for len(s.calls) > 0 {
		<-s.calls
	}
	c, in := callSeat(t, cust, s)
	both(t, c, s)
	c.Hangup()
	wait(t, in.ended, "end")
}

func TestImpairTowardsSeat(t *testing.T) {
	t.Parallel()
	p := startPBX(t, nil)
	s := startSeat(t, p, "101")
	cust := customer(t, p, "opus")
	c, in := callSeat(t, cust, s)
	if err := p.Impair("101", rtplite.Impairment{DropEvery: 10, JumpAfter: 300 * time.Millisecond, JumpTicks: 48000 * 3,
		NewSSRCAfter: 600 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	wait(t, c.Say(voice(41, 1.2)), "end of speech")
	if lost := in.leg.Stats().Lost; lost == 0 {
		t.Error("nothing was lost")
	}
	ssrcs, jumps := map[uint32]bool{}, 0
	s.mu.Lock()
	for i, q := range s.got {
		ssrcs[q.SSRC] = true
		if i > 0 && s.got[i-1].SSRC == q.SSRC && q.TS-s.got[i-1].TS > 48000*2 {
			jumps++
		}
	}
	s.mu.Unlock()
	if len(ssrcs) != 2 || jumps != 1 {
		t.Errorf("the seat saw %d SSRCs and %d jumps", len(ssrcs), jumps)
	}
	c.Hangup()
	wait(t, in.ended, "end")
}

// TestSeatDies takes the seat away in a call without a word: its connection and its
// media stop. The PBX ends the call for the customer.
func TestSeatDies(t *testing.T) {
	t.Parallel()
	p := startPBX(t, func(c *Config) { c.MediaTimeout = 1500 * time.Millisecond })
	s := startSeat(t, p, "101")
	c, in := callSeat(t, customer(t, p, "opus"), s)
	s.pump.Drop(in.leg)
	in.leg.Close()
	wait(t, c.Done(), "end of the customer's call")
	if c.EndedBy() != phone.Remote {
		t.Error(c.EndedBy())
	}
	wait(t, in.ended, "BYE")
}
