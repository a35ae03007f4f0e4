package sipua_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"deskset/firmware/sipua"
)

func TestInbound(t *testing.T) {
	registered(t, nil, func(r *rig) {
		d := r.l.Offer("call-1", `"From" <sip:100@pbx.test>`, offer,
			`P-Asserted-Identity: "O\"Hara \"" <sip:+4930123456@pbx.test>`, "X-Queue: support",
			"Alert-Info: <http://127.0.0.1>;info=alert-autoanswer", "X-Consent: yes;ref=1",
			"Record-Route: <sip:a;lr>, <sip:b;lr>", "Record-Route: <sip:c;lr>")
		r.l.Expect("100")
		in := next[sipua.Incoming](r)
		if in.From != "+4930123456" || in.Name != `O"Hara "` || in.Queue != "support" || !in.AutoAnswer || string(in.Offer) != offer {
			t.Errorf("%+v", in)
		}
		c := in.Call
		if c.ID() != "call-1" || !c.Inbound() || c.Header("x-consent") != "yes;ref=1" {
			t.Errorf("%s %s", c.ID(), c.Header("x-consent"))
		}
		r.must(c.Ringing())
		ring := r.l.Expect("180")
		r.must(c.Answer([]byte(answer)))
		ok := r.l.Expect("200")
		for _, m := range []string{"Via", "From", "Call-ID", "CSeq"} {
			if ring.Get(m) != ok.Get(m) || ok.Get(m) == "" {
				t.Errorf("%s: %q and %q", m, ring.Get(m), ok.Get(m))
			}
		}
		if ring.Tag("To") == "" || ring.Tag("To") != ok.Tag("To") || ok.Body != answer || ok.Get("Content-Type") != "application/sdp" {
			t.Errorf("%s", ok)
		}
		if ok.Get("Record-Route") != "<sip:a;lr>, <sip:b;lr>" || !strings.Contains(ok.Get("Contact"), ".invalid;transport=ws;ob>") {
			t.Errorf("%s", ok)
		}
		// RFC 3261 13.3.1.4: repeated until the ACK comes.
		began := time.Now()
		for range 3 {
			r.l.Expect("200")
		}
		if got := time.Since(began); got != 3500*time.Millisecond {
			t.Errorf("three repetitions after %v", got)
		}
		d.Settle(ok)
		d.Ack()
		next[sipua.Confirmed](r)
		r.quiet(20 * time.Second)
		if c.Answer([]byte(answer)) != sipua.ErrState || c.Ringing() != sipua.ErrState || c.Reject(486) != sipua.ErrState {
			t.Error("answered twice")
		}
		r.must(c.Hangup())
		next[sipua.Ended](r)
		bye := r.l.Expect("BYE")
		if bye.URI() != "sip:asterisk@192.0.2.1:8089;transport=ws" || bye.Get("To") != `"From" <sip:100@pbx.test>;tag=pbx` || bye.Tag("From") != ok.Tag("To") {
			t.Errorf("%s", bye)
		}
		var routes []string
		for _, h := range bye.Headers {
			if h[0] == "Route" {
				routes = append(routes, h[1])
			}
		}
		if strings.Join(routes, ",") != "<sip:a;lr>,<sip:b;lr>,<sip:c;lr>" {
			t.Errorf("routes %v", routes)
		}
		r.l.Respond(bye, 200, "", "")
		r.must(c.Hangup())
		r.l.Silent(time.Minute)
		for _, secret := range []string{"4930123456", "Hara", "secret", "m=audio"} {
			if strings.Contains(r.log.String(), secret) {
				t.Errorf("the log tells %q", secret)
			}
		}
		if !strings.Contains(r.log.String(), "**56") {
			t.Errorf("no masked number in the log:\n%s", r.log)
		}
	})
}

func TestHungUpByThePBX(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, d := r.inbound("a")
		d.Request("BYE", "", `Reason: Q.850;cause=16, SIP;cause=200;text="Call completed elsewhere"`)
		r.l.Expect("200")
		e := next[sipua.Ended](r)
		if !e.ByRemote || e.Call != c || e.Code != 200 || e.Reason != "Call completed elsewhere" {
			t.Errorf("%+v", e)
		}
		d.Request("BYE", "")
		r.l.Expect("481")
		if c.Hangup() != nil || c.AnswerReoffer([]byte("x")) != sipua.ErrState || c.Refer("1") != sipua.ErrState {
			t.Error("a call that is over can be used")
		}
		if _, err := c.Reinvite(r.t.Context(), []byte("x")); err != sipua.ErrState {
			t.Error(err)
		}
	})
}

func TestReject(t *testing.T) {
	registered(t, nil, func(r *rig) {
		d := r.l.Offer("a", "<sip:anonymous@anonymous.invalid>", offer)
		r.l.Expect("100")
		in := next[sipua.Incoming](r)
		if in.From != "" {
			t.Errorf("withheld number as %q", in.From)
		}
		if in.Call.Reject(200) != sipua.ErrState {
			t.Error("rejected with 200")
		}
		r.must(in.Call.Reject(486))
		r.l.Expect("486")
		if e := next[sipua.Ended](r); e.ByRemote || e.Code != 486 {
			t.Errorf("%+v", e)
		}
		d.Repeat(offer) // the answer got lost
		r.l.Expect("486")
		d.AckRefusal()
		r.l.Silent(time.Minute)
	})
}

func TestCancel(t *testing.T) {
	registered(t, nil, func(r *rig) {
		d := r.l.Offer("a", "<sip:5551234@pbx.test>", offer)
		r.l.Expect("100")
		c := next[sipua.Incoming](r).Call
		r.must(c.Ringing())
		r.l.Expect("180")
		d.Cancel(`Reason: SIP;cause=200;text="Call completed elsewhere"`)
		if m := r.l.Expect("200"); !strings.HasSuffix(m.Get("CSeq"), "CANCEL") {
			t.Errorf("%s", m)
		}
		if m := r.l.Expect("487"); !strings.HasSuffix(m.Get("CSeq"), "INVITE") {
			t.Errorf("%s", m)
		}
		d.AckRefusal()
		if e := next[sipua.Ended](r); !e.ByRemote || e.Code != 200 {
			t.Errorf("%+v", e)
		}
		if c.Answer([]byte(answer)) != sipua.ErrState {
			t.Error("answered a cancelled call")
		}
		d.Cancel()
		r.l.Expect("481")
	})
}

// CANCEL that crosses our 200: the call stands until the BYE.
func TestCancelRace(t *testing.T) {
	registered(t, nil, func(r *rig) {
		d := r.l.Offer("a", "<sip:5551234@pbx.test>", offer)
		r.l.Expect("100")
		c := next[sipua.Incoming](r).Call
		r.must(c.Answer([]byte(answer)))
		d.Cancel()
		ok := r.l.Expect("200")
		if m := r.l.Expect("200"); !strings.HasSuffix(m.Get("CSeq"), "CANCEL") || m.Tag("To") != ok.Tag("To") {
			t.Errorf("%s", m)
		}
		d.Settle(ok)
		d.Ack()
		next[sipua.Confirmed](r)
		d.Request("BYE", "")
		r.l.Expect("200")
		if e := next[sipua.Ended](r); !e.ByRemote {
			t.Errorf("%+v", e)
		}
	})
}

func TestNoAck(t *testing.T) {
	registered(t, nil, func(r *rig) {
		r.l.Offer("a", "<sip:5551234@pbx.test>", offer)
		r.l.Expect("100")
		c := next[sipua.Incoming](r).Call
		began := time.Now()
		r.must(c.Answer([]byte(answer)))
		e := next[sipua.Ended](r)
		if time.Since(began) != 32*time.Second || e.ByRemote {
			t.Errorf("after %v: %+v", time.Since(began), e)
		}
		n := 0
		for {
			m := r.l.Next()
			if m.Method() == "BYE" {
				r.l.Respond(m, 481, "", "")
				break
			}
			n++
		}
		if n != 11 { // 0, .5, 1.5, 3.5, 7.5, 11.5, ... 31.5
			t.Errorf("200 sent %d times", n)
		}
	})
}

// The callee must wait for the ACK before it sends BYE.
func TestHangUpBeforeAck(t *testing.T) {
	registered(t, nil, func(r *rig) {
		d := r.l.Offer("a", "<sip:5551234@pbx.test>", offer)
		r.l.Expect("100")
		c := next[sipua.Incoming](r).Call
		r.must(c.Answer([]byte(answer)))
		r.must(c.Hangup())
		next[sipua.Ended](r)
		d.Settle(r.l.Expect("200"))
		d.Ack()
		r.l.Respond(r.l.Expect("BYE"), 200, "", "")
		r.quiet(time.Minute)
	})
	// And if the ACK never comes, the BYE goes out all the same.
	registered(t, nil, func(r *rig) {
		r.l.Offer("a", "<sip:5551234@pbx.test>", offer)
		r.l.Expect("100")
		c := next[sipua.Incoming](r).Call
		r.must(c.Answer([]byte(answer)))
		r.must(c.Hangup())
		next[sipua.Ended](r)
		began := time.Now()
		m := r.l.Next()
		for ; m.Code() == 200; m = r.l.Next() {
		}
		if m.Method() != "BYE" || time.Since(began) != 32*time.Second {
			t.Errorf("after %v %s", time.Since(began), m)
		}
		r.l.Respond(m, 200, "", "")
		time.Sleep(time.Minute)
		if left := r.ua.Leftovers(); left != "" {
			t.Error(left)
		}
	})
}

// BYE crossing BYE: both are answered, 481 is success.
func TestByeCrossing(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, d := r.inbound("a")
		r.must(c.Hangup())
		next[sipua.Ended](r)
		d.Request("BYE", "")
		bye := r.l.Expect("BYE")
		r.l.Expect("200")
		r.l.Respond(bye, 481, "", "")
		r.quiet(time.Minute)
		r.l.Silent(time.Minute)
	})
}

func TestRefusedInvites(t *testing.T) {
	registered(t, nil, func(r *rig) {
		for name, c := range map[string]struct {
			body    string
			headers []string
			code    string
			want    string
		}{
			"no offer":         {"", nil, "488", "Warning"},
			"another body":     {"x", []string{"Content-Type: text/plain"}, "415", "Accept"},
			"100rel":           {offer, []string{"Require: timer, 100rel, foo"}, "420", "Unsupported"},
			"unknown Replaces": {offer, []string{"Replaces: x;to-tag=1;from-tag=2"}, "481", ""},
			"short session":    {offer, []string{"Session-Expires: 30", "Supported: timer"}, "422", "Min-SE"},
		} {
			d := r.l.Offer(strings.ReplaceAll(name, " ", "-"), "<sip:5551234@pbx.test>", c.body, c.headers...)
			m := r.l.Expect(c.code)
			if c.want != "" && m.Get(c.want) == "" {
				t.Errorf("%s: %s", name, m)
			}
			d.AckRefusal()
		}
		r.quiet(time.Minute)
		// A merged request: the same INVITE by another way.
		d := r.l.Offer("m", "<sip:5551234@pbx.test>", offer)
		r.l.Expect("100")
		c := next[sipua.Incoming](r).Call
		d.Repeat(offer)
		r.l.Expect("100")
		d.Elsewhere(offer)
		r.l.Expect("482")
		r.must(c.Hangup())
		r.l.Expect("480")
		next[sipua.Ended](r)
	})
}

func TestReplaces(t *testing.T) {
	registered(t, nil, func(r *rig) {
		old, od := r.inbound("old")
		tag := od.To[strings.Index(od.To, ";tag=")+5:]
		d := r.l.Offer("new", "<sip:777@pbx.test>", offer, "Require: replaces", "Replaces: old;from-tag=pbx;to-tag="+tag)
		r.l.Expect("100")
		in := next[sipua.Incoming](r)
		if in.Replaces != old {
			t.Fatalf("%+v", in)
		}
		r.must(in.Call.Answer([]byte(answer)))
		if e := next[sipua.Ended](r); e.Call != old {
			t.Errorf("%+v", e)
		}
		d.Settle(r.l.Expect("200"))
		r.l.Respond(r.l.Expect("BYE"), 200, "", "")
		d.Ack()
		if e := next[sipua.Confirmed](r); e.Call != in.Call {
			t.Errorf("%+v", e)
		}
	})
}

func TestQueueName(t *testing.T) {
	for _, c := range []struct{ header, want string }{
		{"X-Queue: Sales & Care", "Sales & Care"},
		{`X-Queue: "quoted"`, "quoted"},
		{`Diversion: <sip:700@pbx>;reason=unconditional, <sip:x@y>`, "700"},
		{`Diversion: "Support" <sip:700@pbx>;reason=unconditional`, "Support"},
		{"X-Other: y", ""},
	} {
		registered(t, nil, func(r *rig) {
			r.l.Offer("a", "<sip:5551234@pbx.test>", offer, c.header)
			r.l.Expect("100")
			if in := next[sipua.Incoming](r); in.Queue != c.want {
				t.Errorf("%s: %q", c.header, in.Queue)
			}
		})
	}
	registered(t, func(c *sipua.Config) { c.QueueHeaders = []string{"X-Other"} }, func(r *rig) {
		r.l.Offer("a", "<tel:+49-30-1;phone-context=x>", offer, "X-Queue: no", "X-Other: yes", "Answer-Mode: Auto")
		r.l.Expect("100")
		if in := next[sipua.Incoming](r); in.Queue != "yes" || in.From != "+49-30-1" || !in.AutoAnswer {
			t.Errorf("%+v", in)
		}
	})
}

func TestOutOfDialog(t *testing.T) {
	registered(t, nil, func(r *rig) {
		for method, code := range map[string]string{
			"OPTIONS": "200", "BYE": "481", "UPDATE": "481", "INFO": "481", "NOTIFY": "481", "PRACK": "481",
			"SUBSCRIBE": "405", "PUBLISH": "405", "MESSAGE": "405", "REGISTER": "405", "BREW": "501",
		} {
			d := r.l.Offer("call-"+method, "<sip:1@pbx.test>", "") // refused: no offer
			r.l.Expect("488")
			d.AckRefusal()
			d.Request(method, "")
			m := r.l.Expect(code)
			if m.Get("Allow") == "" && code != "481" {
				t.Errorf("%s: %s", method, m)
			}
			if m.Tag("To") == "" {
				t.Errorf("%s without To tag", code)
			}
			d.To += ";tag=unknown"
			d.Request(method, "")
			r.l.Expect("481")
		}
		d := r.l.Offer("r", "<sip:1@pbx.test>", "")
		r.l.Expect("488")
		d.Request("REFER", "", "Refer-To: <sip:666@evil>")
		r.l.Expect("603")
		if e := next[sipua.Referred](r); e.Call != nil || !strings.Contains(e.Target, "666") {
			t.Errorf("%+v", e)
		}
	})
}

func TestInDialog(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, d := r.inbound("a")
		for _, m := range []struct{ method, code string }{
			{"OPTIONS", "200"}, {"INFO", "200"}, {"MESSAGE", "200"}, {"NOTIFY", "200"}, {"UPDATE", "200"},
			{"PRACK", "481"}, {"SUBSCRIBE", "405"}, {"BREW", "501"}, {"REFER", "603"},
		} {
			d.Request(m.method, "")
			r.l.Expect(m.code)
		}
		if e := next[sipua.Referred](r); e.Call != c {
			t.Errorf("%+v", e)
		}
		d.Seq -= 3
		d.Request("INFO", "")
		r.l.Expect("500") // out of order
		d.Seq += 3
		d.Request("INFO", "", "Require: foo")
		r.l.Expect("420")
		// The PBX connects another party.
		d.Request("UPDATE", "", `P-Asserted-Identity: "Bob" <sip:777@pbx.test>`)
		r.l.Expect("200")
		if e := next[sipua.Identity](r); e.From != "777" || e.Name != "Bob" {
			t.Errorf("%+v", e)
		}
		d.Request("UPDATE", "", `P-Asserted-Identity: "Bob" <sip:777@pbx.test>`)
		r.l.Expect("200")
		d.From = strings.Replace(d.From, "tag=pbx", "tag=other", 1)
		d.Request("BYE", "")
		r.l.Expect("481") // of another dialog
		r.quiet(time.Minute)
		if _, err := r.ua.Invite("not a number", []byte(offer)); err == nil || errors.Is(err, sipua.ErrFlowLost) {
			t.Error(err)
		}
	})
}
