package seat

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/panel"
	"deskset/firmware/record"
	"deskset/firmware/sipua/sipuatest"
)

// TestOutboundCall, with ring-back; the agent hangs up.
func TestOutboundCall(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.do(console.Action{Kind: console.Dial, Target: "600"})
		m := s.l.Expect("INVITE")
		s.state(panel.Dialling)
		f := s.net.far(1000)
		s.l.Respond(m, 180, "far", "")
		if n := heard(s.head); n < 40 {
			t.Error("no ring-back is heard")
		}
		// Answered just before the sixth ring-back ends: it stays.
		time.Sleep(28500 * time.Millisecond)
		sdp, err := f.Answer(t.Context(), []byte(m.Body))
		must(t, err)
		s.l.Respond(m, 200, "far", string(sdp), "Contact: <sip:asterisk@192.0.2.1:8089;transport=ws>")
		s.l.Expect("ACK")
		s.state(panel.Talking)
		time.Sleep(2 * time.Second)
		if heard(s.head) < 45 || heard(f.head) < 45 {
			t.Error("they do not hear each other")
		}
		err = s.seat.Do(t.Context(), console.Action{Kind: console.Hangup})
		if e, ok := err.(*console.Error); !ok || e.Code != console.CodeConfirmHangup {
			t.Errorf("hanging up on a live call: %v", err)
		}
		s.do(console.Action{Kind: console.Hangup})
		s.byes()
		s.state(panel.WrapUp)
	})
}

// TestNobodyAnswers: six ring-backs, then CANCEL, R26.
func TestNobodyAnswers(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.do(console.Action{Kind: console.Dial, Target: "600"})
		m := s.l.Expect("INVITE")
		s.l.Respond(m, 180, "far", "")
		began := time.Now()
		c := s.l.Expect("CANCEL")
		if took := time.Since(began); took < 29*time.Second || took > 31*time.Second {
			t.Errorf("given up after %v", took)
		}
		s.l.Respond(c, 200, "", "")
		s.l.Respond(m, 487, "far", "")
		s.l.Expect("ACK")
		if v := s.state(panel.Ready); v.Notice != "no-answer" {
			t.Errorf("notice %q", v.Notice)
		}
		r := s.recordings(1)[0]
		if x := r.fact(t, record.Released, 0); x.By != "timer" {
			t.Errorf("%+v", x)
		}
		if x := r.fact(t, record.Dialled, 0); x.CallID != m.Get("Call-ID") {
			t.Errorf("%+v", x)
		}
	})
}

// TestEarlyMedia: what the PBX says before the answer is heard; the answer may
// describe the same far end anew, and no other one.
func TestEarlyMedia(t *testing.T) {
	for _, same := range []bool{true, false} {
		onStage(t, func(t *testing.T, s *stage) {
			s.do(console.Action{Kind: console.Dial, Target: "600"})
			m := s.l.Expect("INVITE")
			f, other := s.net.far(1000), s.net.far(500)
			sdp, err := f.Answer(t.Context(), []byte(m.Body))
			must(t, err)
			s.l.Respond(m, 183, "far", string(sdp))
			time.Sleep(time.Second)
			if heard(s.head) < 40 {
				t.Error("the early media is not heard")
			}
			if v := s.seat.View(); v.State != panel.Dialling {
				t.Errorf("early media made it %s", v.State)
			}
			answer := strings.Replace(string(sdp), "s=-", "s=other words", 1)
			if !same {
				b, err := other.Answer(t.Context(), []byte(m.Body))
				must(t, err)
				answer = string(b)
			}
			s.l.Respond(m, 200, "far", answer, "Contact: <sip:asterisk@192.0.2.1:8089;transport=ws>")
			s.l.Expect("ACK")
			if !same {
				s.byes()
				if v := s.state(panel.Ready); v.Notice != "call-failed" {
					t.Errorf("notice %q", v.Notice)
				}
				return
			}
			s.state(panel.Talking)
			time.Sleep(time.Second)
			if heard(s.head) < 45 || heard(f.head) < 45 {
				t.Error("they do not hear each other")
			}
			s.l.On(m, "far").Request("BYE", "")
			s.l.Expect("200")
			if r := s.recordings(1)[0]; !speaks(r.customer, 1000, 0) {
				t.Error("the far end is not recorded")
			}
		})
	}
}

// TestGivenUpBeforeTheInvite: no INVITE goes out for a consultation that the
// agent took back, and the customer is back.
func TestGivenUpBeforeTheInvite(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		f, d := s.talk("call-1")
		s.do(console.Action{Kind: console.Hold})
		s.reinvited(f)
		s.state(panel.Hold)
		s.do(console.Action{Kind: console.Consult, Target: "202"})
		s.do(console.Action{Kind: console.TransferCancel})
		var consult *sipuatest.Msg
		for s.seat.View().State != panel.Talking {
			m := s.l.Next()
			switch m.Method() {
			case "INVITE":
				if strings.Contains(m.URI(), "202@") { // it was out already
					consult = m
					continue
				}
				sdp, err := f.AnswerReoffer([]byte(m.Body))
				must(t, err)
				s.l.Respond(m, 200, "", string(sdp), "Contact: <sip:asterisk@192.0.2.1:8089;transport=ws>")
			case "CANCEL":
				s.l.Respond(m, 200, "", "")
				s.l.Respond(consult, 487, "far", "")
			case "ACK":
				time.Sleep(50 * time.Millisecond)
				synctest.Wait()
			default:
				t.Fatalf("%s", m)
			}
		}
		if heard(f.head) < 40 {
			t.Error("the customer does not hear")
		}
		d.Request("BYE", "")
		s.l.Expect("200")
		s.state(panel.WrapUp)
	})
}

// consulted is a customer on hold and a colleague on the line.
func (s *stage) consulted() (customer, colleague *far, d, c *sipuatest.Dialog) {
	s.t.Helper()
	customer, d = s.talk("call-1")
	s.do(console.Action{Kind: console.Consult, Target: "202"})
	s.reinvited(customer)
	colleague = s.net.far(600)
	c = s.answers(colleague, "colleague")
	s.until("consultation", func(v panel.View) bool {
		return len(v.Calls) == 2 && v.Calls[1].Phase == "consult" && !v.Calls[1].Answered.IsZero()
	})
	time.Sleep(300 * time.Millisecond)
	if heard(colleague.head) < 40 || heard(customer.head) > 0 {
		s.t.Error("the agent does not speak to the colleague alone")
	}
	return customer, colleague, d, c
}

// TestConsultAndBack by each of the three who can end it.
func TestConsultAndBack(t *testing.T) {
	for _, how := range []string{"page", "key", "colleague"} {
		onStage(t, func(t *testing.T, s *stage) {
			customer, _, d, c := s.consulted()
			switch how {
			case "page":
				s.do(console.Action{Kind: console.TransferCancel})
				s.byes()
			case "key":
				time.Sleep(time.Second)
				s.press(panel.Answer)
				s.byes()
			case "colleague":
				c.Request("BYE", "")
				s.l.Expect("200")
				v := s.until("alone", func(v panel.View) bool { return len(v.Calls) == 1 })
				if v.State != panel.Hold {
					t.Errorf("the colleague hung up: %s", v.State)
				}
				time.Sleep(time.Second)
				s.press(panel.Answer)
			}
			s.reinvited(customer)
			s.state(panel.Talking)
			if heard(customer.head) < 40 || heard(s.head) < 40 {
				t.Errorf("back by %s, and they do not hear each other", how)
			}
			d.Request("BYE", "")
			s.l.Expect("200")
			s.state(panel.WrapUp)
			rs := s.recordings(2)
			by := map[string]string{"page": "agent", "key": "agent", "colleague": "customer"}[how]
			if x := rs[1].fact(t, record.Released, 0); x.By != by {
				t.Errorf("%s: %+v", how, x)
			}
			if speaks(rs[0].agent, 440, 2) {
				t.Error("the consultation is in the customer's recording")
			}
		})
	}
}

// notify tells how a transfer went.
func notify(d *sipuatest.Dialog, code string, last bool) {
	state := "active;expires=60"
	if last {
		state = "terminated;reason=noresource"
	}
	d.Request("NOTIFY", "SIP/2.0 "+code+"\r\n", "Event: refer", "Subscription-State: "+state, "Content-Type: message/sipfrag")
}

// TestAttendedTransfer: both legs go, the record says where the customer went.
func TestAttendedTransfer(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		_, _, d, _ := s.consulted()
		s.do(console.Action{Kind: console.TransferComplete})
		m := s.l.Expect("REFER")
		if !strings.Contains(m.Get("Refer-To"), "Replaces=") {
			t.Errorf("Refer-To %s", m.Get("Refer-To"))
		}
		s.l.Respond(m, 202, "", "")
		notify(d, "200 OK", true)
		s.l.Expect("200")
		s.byes()
		s.byes()
		if v := s.state(panel.WrapUp); v.Notice != "transferred" {
			t.Errorf("notice %q", v.Notice)
		}
		r := s.recordings(2)[0]
		if x := r.fact(t, record.Transferred, 0); x.To != "202" || x.Text != "attended" {
			t.Errorf("%+v", x)
		}
		if x := r.fact(t, record.Released, 0); x.By != "seat" || x.Text != "transferred" {
			t.Errorf("%+v", x)
		}
	})
}

// TestTransferRefused: the customer stays, as he was.
func TestTransferRefused(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		f, d := s.talk("call-1")
		s.do(console.Action{Kind: console.TransferBlind, Target: "202"})
		s.l.Respond(s.l.Expect("REFER"), 202, "", "")
		notify(d, "100 Trying", false)
		s.l.Expect("200")
		notify(d, "486 Busy Here", true)
		s.l.Expect("200")
		if v := s.until("told", func(v panel.View) bool { return v.Notice == "transfer-failed" }); v.State != panel.Talking {
			t.Errorf("%s", v.State)
		}
		if heard(f.head) < 45 || heard(s.head) < 45 {
			t.Error("they do not hear each other")
		}
		s.do(console.Action{Kind: console.TransferBlind, Target: "202"})
		s.l.Respond(s.l.Expect("REFER"), 202, "", "")
		notify(d, "200 OK", true)
		s.l.Expect("200")
		s.byes()
		s.state(panel.WrapUp)
		if x := s.recordings(1)[0].fact(t, record.Transferred, 0); x.Text != "blind" || x.To != "202" {
			t.Errorf("%+v", x)
		}
	})
}
