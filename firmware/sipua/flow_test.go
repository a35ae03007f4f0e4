package sipua_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"deskset/firmware/sipua"
)

// Every event comes in the order in which the messages came.
func TestOrder(t *testing.T) {
	registered(t, nil, func(r *rig) {
		const n = 60
		for i := range n {
			r.l.Offer(fmt.Sprintf("order-%02d", i), fmt.Sprintf("<sip:%d@pbx.test>", i), offer)
		}
		calls := map[string]*sipua.Call{}
		for i := range n {
			m := r.l.Expect("100")
			in := next[sipua.Incoming](r)
			if want := fmt.Sprintf("order-%02d", i); in.Call.ID() != want || m.Get("Call-ID") != want {
				t.Fatalf("%s and %s, want %s", m.Get("Call-ID"), in.Call.ID(), want)
			}
			calls[in.Call.ID()] = in.Call
		}
		for i := range n { // nobody takes events meanwhile: none is dropped
			r.must(calls[fmt.Sprintf("order-%02d", i)].Reject(486))
			r.l.Expect("486")
		}
		for i := range n {
			if e := next[sipua.Ended](r); e.Call.ID() != fmt.Sprintf("order-%02d", i) {
				t.Fatalf("%d: %s", i, e.Call.ID())
			}
		}
	})
}

func TestTooManyCalls(t *testing.T) {
	registered(t, nil, func(r *rig) {
		for i := range 64 {
			r.l.Offer(fmt.Sprint("c", i), "<sip:1@pbx.test>", offer)
			r.l.Expect("100")
			next[sipua.Incoming](r)
		}
		r.l.Offer("one too many", "<sip:1@pbx.test>", offer)
		r.l.Expect("503")
		r.quiet(time.Minute)
	})
}

// Rubbish is skipped and counted; the flow and the calls live on.
func TestRubbish(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, d := r.inbound("a")
		rubbish := []string{
			"x", "\x00\x01\x02", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SIP/2.0 200 OK\r\n", "SIP/2.0 200 OK\r\n\r\n",
			"SIP/2.0 999 No\r\nVia: SIP/2.0/WS a;branch=b\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n",
			"INVITE sip:101@x SIP/2.0\r\nVia: SIP/2.0/WS a;branch=b\r\n", // half a message
			"INVITE sip:101@x SIP/2.0\r\nVia: SIP/2.0/WS a;branch=b\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 500\r\n\r\nv=0",
			"INVITE sip:101@x SIP/2.0\r\n\r\n",
			"ACK sip:101@x SIP/2.0\r\nVia: SIP/2.0/WS a;branch=b\r\nCall-ID: 1\r\nCSeq: 1 ACK\r\n\r\n",
			"INVITE sip:101@x SIP/3.0\r\nVia: SIP/2.0/WS a;branch=b\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n",
			"SIP/2.0 200 OK\r\nVia: SIP/2.0/WS a;branch=b\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 99999999999 INVITE\r\n\r\n",
			strings.Repeat("\r\n", 3) + "y",
		}
		for _, m := range rubbish {
			r.l.Send([]byte(m))
		}
		r.l.SendError(fmt.Errorf("%w: 70000 bytes", sipua.ErrOversized))
		// A request that can be answered gets its 400.
		r.l.Send([]byte("OPTIONS sip:101@x SIP/2.0\r\nVia: SIP/2.0/WS a;branch=b\r\nFrom: <<>\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"))
		r.l.Expect("400")
		r.l.Send([]byte("INVITE sip:101@x SIP/2.0\r\nVia: SIP/2.0/WS a;branch=b\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 BYE\r\n\r\n"))
		r.l.Expect("400")
		d.Request("OPTIONS", "")
		r.l.Expect("200")
		if s := r.ua.Stats(); s.Unparsable != uint64(len(rubbish))+2 || s.Oversized != 1 || s.Flows != 1 {
			t.Errorf("%+v", s)
		}
		// A response to nothing of ours, and one with a stolen branch.
		r.l.Send([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/WS a;branch=b\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"))
		r.quiet(time.Second)
		r.hungUp(c)
		if n := strings.Count(r.log.String(), "PBX skipped"); n > 5 {
			t.Errorf("%d lines in the log", n)
		}
	})
}

// RFC 5626 section 4.4.1: a double CRLF is a ping, answered by one.
func TestCRLFKeepAlive(t *testing.T) {
	registered(t, nil, func(r *rig) {
		r.l.Send([]byte("\r\n\r\n"))
		if b := r.l.Raw(); string(b) != "\r\n" {
			t.Errorf("%q", b)
		}
		r.l.Send([]byte("\r\n"))
		r.l.Send(nil)
		r.l.Silent(time.Minute)
		if s := r.ua.Stats(); s.Unparsable != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The flow breaks in a call and comes back: the call stands, the target is
// refreshed, and the PBX's hang-up finds its way.
func TestFlowLossInCall(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, d := r.inbound("a")
		first := r.l
		r.l.Cut()
		if e := next[sipua.Lost](r); e.Err == nil {
			t.Error("Lost without a cause")
		}
		if _, err := c.Reinvite(r.t.Context(), []byte("refresh")); !errors.Is(err, sipua.ErrFlowLost) {
			t.Error(err)
		}
		if _, err := r.ua.Invite("600", []byte(offer)); !errors.Is(err, sipua.ErrFlowLost) {
			t.Error(err)
		}
		if c.Refer("102") == nil {
			t.Error("transferred without a connection")
		}
		r.l = r.pbx.Accept()
		m := r.l.Expect("REGISTER")
		r.l.Respond(m, 401, "", "", wwwAuthenticate("MD5", "1"))
		if m = r.l.Register(600); !strings.Contains(m.Get("Contact"), "reg-id=1") {
			t.Errorf("%s", m)
		}
		if e := next[sipua.Registered](r); !e.Recovered {
			t.Errorf("%+v", e)
		}
		res := reinvite(r, c, "refresh")
		m = r.l.Expect("INVITE")
		if !strings.Contains(m.Get("Contact"), ".invalid") {
			t.Errorf("%s", m)
		}
		r.l.Respond(m, 200, "", "refreshed", toPBX)
		r.l.Expect("ACK")
		if got := <-res; got != "refreshed" {
			t.Error(got)
		}
		first.Send([]byte("BYE sip:x SIP/2.0\r\n\r\n")) // nobody reads the old one
		d.Move(r.l)
		d.Request("BYE", "")
		r.l.Expect("200")
		if e := next[sipua.Ended](r); !e.ByRemote || e.Call != c {
			t.Errorf("%+v", e)
		}
	})
}

// The flow breaks while our re-INVITE is on its way.
func TestFlowLossInReinvite(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, _ := r.inbound("a")
		res := reinvite(r, c, "hold")
		r.l.Expect("INVITE")
		r.reconnect()
		if got := <-res; got != sipua.ErrFlowLost.Error() {
			t.Error(got)
		}
		res = reinvite(r, c, "hold")
		r.l.Respond(r.l.Expect("INVITE"), 200, "", "held", toPBX)
		r.l.Expect("ACK")
		if got := <-res; got != "held" {
			t.Error(got)
		}
	})
}

// Hung up while the flow is down: the BYE goes out after the recovery, again
// after the next one, until it is answered.
func TestPendingBye(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, _ := r.inbound("a")
		r.l.Cut()
		next[sipua.Lost](r)
		r.must(c.Hangup())
		next[sipua.Ended](r)
		r.l = r.pbx.Accept()
		m := r.l.Expect("REGISTER") // and nothing before it
		r.l.Respond(m, 200, "", "", "Contact: "+m.ContactURI()+";expires=600")
		next[sipua.Registered](r)
		r.l.Expect("BYE")
		r.reconnect()
		bye := r.l.Expect("BYE")
		r.l.Respond(bye, 481, "", "")
		r.reconnect()
		r.l.Silent(time.Minute)
	})
}

// A BYE that broke with its flow, and a PBX that never answers it: given up
// 32 s after the recovery.
func TestPendingByeGivenUp(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, _ := r.outbound()
		r.must(c.Hangup())
		next[sipua.Ended](r)
		r.l.Expect("BYE")
		r.reconnect()
		r.l.Expect("BYE")
		time.Sleep(33 * time.Second)
		r.reconnect()
		r.l.Silent(time.Minute)
	})
}

func TestFlowLossWhileRinging(t *testing.T) {
	registered(t, nil, func(r *rig) {
		d := r.l.Offer("a", "<sip:1@pbx.test>", offer)
		r.l.Expect("100")
		c := next[sipua.Incoming](r).Call
		r.l.Cut()
		if e := next[sipua.Ended](r); e.Call != c {
			t.Errorf("%+v", e)
		}
		next[sipua.Lost](r)
		if c.Answer([]byte(answer)) != sipua.ErrState {
			t.Error("answered without a connection")
		}
		r.l = r.pbx.Accept()
		r.l.Register(600)
		next[sipua.Registered](r)
		r.l.Expect("480") // in case the PBX still waits
		d.Move(r.l)
		d.AckRefusal()
		r.l.Silent(time.Minute)
	})
}

func TestFlowLossWhileCalling(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, err := r.ua.Invite("600", []byte(offer))
		r.must(err)
		m := r.l.Expect("INVITE")
		r.l.Respond(m, 180, "far", "")
		next[sipua.Progress](r)
		r.l.Cut()
		if e := next[sipua.Failed](r); e.Call != c || e.Code != 503 {
			t.Errorf("%+v", e)
		}
		next[sipua.Lost](r)
		r.l = r.pbx.Accept()
		r.l.Register(600)
		next[sipua.Registered](r)
		x := r.l.Expect("CANCEL")
		if x.Branch() != m.Branch() {
			t.Errorf("%s", x)
		}
		// It was answered meanwhile: hung up.
		r.l.Respond(m, 200, "far", answer, toPBX)
		r.l.Expect("ACK")
		bye := r.l.Expect("BYE")
		r.l.Respond(x, 481, "", "")
		r.l.Respond(bye, 200, "", "")
		r.reconnect()
		r.l.Silent(time.Minute)
	})
}

// The 200 is repeated on the new flow, and its ACK there counts.
func TestFlowLossBeforeAck(t *testing.T) {
	registered(t, nil, func(r *rig) {
		d := r.l.Offer("a", "<sip:1@pbx.test>", offer)
		r.l.Expect("100")
		c := next[sipua.Incoming](r).Call
		r.must(c.Answer([]byte(answer)))
		d.Settle(r.l.Expect("200"))
		r.reconnect()
		r.l.Expect("200")
		d.Move(r.l)
		d.Ack()
		if e := next[sipua.Confirmed](r); e.Call != c {
			t.Errorf("%+v", e)
		}
		r.l.Silent(time.Minute)
	})
}

// A re-offer whose flow broke is forgotten.
func TestFlowLossInReoffer(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, d := r.inbound("a")
		d.Request("INVITE", "changed")
		next[sipua.Reoffer](r)
		r.l.Expect("100")
		r.reconnect()
		if c.AnswerReoffer([]byte("x")) != sipua.ErrState {
			t.Error("answered on a new flow")
		}
		d.Move(r.l)
		d.Request("INVITE", "changed")
		next[sipua.Reoffer](r)
		r.l.Expect("100")
		r.must(c.AnswerReoffer([]byte("agreed")))
		r.l.Expect("200")
		d.Ack()
		r.hungUp(c)
	})
}

// The end of Run hangs up what stands, then unregisters.
func TestEndInCall(t *testing.T) {
	registered(t, nil, func(r *rig) {
		r.inbound("a")
		r.l.Offer("b", "<sip:1@pbx.test>", offer)
		r.l.Expect("100")
		next[sipua.Incoming](r)
		done := make(chan struct{})
		go func() { r.stop(); close(done) }()
		for range 2 {
			if m := r.l.Next(); m.Method() == "BYE" {
				r.l.Respond(m, 200, "", "")
			} else if m.Code() != 480 {
				t.Fatalf("%s", m)
			}
			next[sipua.Ended](r)
		}
		m := r.l.Expect("REGISTER")
		r.l.Respond(m, 200, "", "")
		<-done
	})
}

// The end of Run without a flow still ends every call.
func TestEndInOutage(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, _ := r.inbound("a")
		r.pbx.Down(errRefused)
		r.l.Cut()
		next[sipua.Lost](r)
		next[sipua.Lost](r)
		r.stop()
		if e := next[sipua.Ended](r); e.Call != c {
			t.Errorf("%+v", e)
		}
		if _, open := <-r.ua.Events(); open {
			t.Error("an event after the end")
		}
		if _, err := c.Reinvite(r.t.Context(), []byte("x")); err != sipua.ErrState || c.Hangup() != nil {
			t.Error("a call outlived Run")
		}
	})
}
