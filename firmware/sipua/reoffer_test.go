package sipua_test

import (
	"strings"
	"testing"
	"time"

	"deskset/firmware/sipua"
)

func TestReoffer(t *testing.T) {
	for _, inbound := range []bool{true, false} {
		registered(t, nil, func(r *rig) {
			c, d := r.outboundOrInbound(inbound)
			d.Contact = "<sip:moved@192.0.2.7>"
			d.Request("INVITE", "changed", `P-Asserted-Identity: "Next" <sip:888@pbx.test>`)
			if e := next[sipua.Identity](r); e.From != "888" {
				t.Errorf("%+v", e)
			}
			if e := next[sipua.Reoffer](r); e.Call != c || string(e.SDP) != "changed" {
				t.Errorf("%+v", e)
			}
			r.l.Expect("100")
			// While it is open another one gets 500, and ours waits.
			res := reinvite(r, c, "ours")
			r.l.Silent(time.Second)
			r.must(c.AnswerReoffer([]byte("agreed")))
			m := r.l.Expect("200")
			if m.Body != "agreed" {
				t.Errorf("%s", m)
			}
			r.l.Expect("200") // repeated
			r.l.Expect("200")
			d.Ack()
			mine := r.l.Expect("INVITE")
			if mine.URI() != "sip:moved@192.0.2.7" {
				t.Errorf("%s", mine)
			}
			r.l.Respond(mine, 200, "", "ok", d.Contact)
			r.l.Expect("ACK")
			if got := <-res; got != "ok" {
				t.Error(got)
			}
			if c.AnswerReoffer([]byte("x")) != sipua.ErrState || c.RejectReoffer(488) != sipua.ErrState {
				t.Error("answered twice")
			}
			r.hungUp(c)
		})
	}
}

func TestReofferByUpdate(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, d := r.inbound("a")
		d.Request("UPDATE", "changed")
		next[sipua.Reoffer](r)
		d.Request("UPDATE", "again")
		if m := r.l.Expect("500"); m.Get("Retry-After") == "" {
			t.Errorf("%s", m)
		}
		r.must(c.AnswerReoffer([]byte("agreed")))
		if m := r.l.Expect("200"); m.Body != "agreed" || !strings.HasSuffix(m.Get("CSeq"), "UPDATE") {
			t.Errorf("%s", m)
		}
		r.l.Silent(time.Minute)
	})
}

func TestReofferRefused(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, d := r.inbound("a")
		d.Request("INVITE", "")
		r.l.Expect("488") // no offer
		d.AckRefusal()
		d.Request("INVITE", "x", "Content-Type: text/plain")
		r.l.Expect("415")
		d.AckRefusal()
		d.Request("INVITE", "changed")
		next[sipua.Reoffer](r)
		r.l.Expect("100")
		if c.RejectReoffer(200) != sipua.ErrState {
			t.Error("refused with 200")
		}
		r.must(c.RejectReoffer(488))
		r.l.Expect("488")
		d.AckRefusal()
		// The seat forgets to answer.
		began := time.Now()
		d.Request("INVITE", "changed")
		next[sipua.Reoffer](r)
		r.l.Expect("100")
		r.l.Expect("488")
		if time.Since(began) != 10*time.Second {
			t.Errorf("after %v", time.Since(began))
		}
		d.AckRefusal()
		// The PBX takes it back.
		d.Request("INVITE", "changed")
		next[sipua.Reoffer](r)
		r.l.Expect("100")
		d.Cancel()
		r.l.Expect("200")
		r.l.Expect("487")
		d.AckRefusal()
		if c.AnswerReoffer([]byte("x")) != sipua.ErrState {
			t.Error("answered what was taken back")
		}
		// Hung up while it is open.
		d.Request("INVITE", "changed")
		next[sipua.Reoffer](r)
		r.l.Expect("100")
		r.must(c.Hangup())
		next[sipua.Ended](r)
		r.l.Expect("487")
		r.l.Respond(r.l.Expect("BYE"), 200, "", "")
		d.AckRefusal()
		r.quiet(time.Minute)
	})
}

// The ACK of a re-INVITE never comes: the session is ended.
func TestReofferNoAck(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, d := r.inbound("a")
		d.Request("INVITE", "changed")
		next[sipua.Reoffer](r)
		r.l.Expect("100")
		r.must(c.AnswerReoffer([]byte("agreed")))
		next[sipua.Ended](r)
		for m := r.l.Next(); m.Method() != "BYE"; m = r.l.Next() {
			if m.Code() != 200 {
				t.Fatalf("%s", m)
			}
		}
	})
}

func TestRefer(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, d := r.inbound("a")
		r.must(c.Refer("102"))
		m := r.l.Expect("REFER")
		if m.Get("Refer-To") != "<sip:102@pbx.test>" || m.Get("Referred-By") != "<sip:101@pbx.test>" {
			t.Errorf("%s", m)
		}
		if c.Refer("103") == nil {
			t.Error("two transfers at once")
		}
		r.l.Respond(m, 401, "", "", wwwAuthenticate("MD5", "1"))
		m = r.l.Expect("REFER")
		checkCredentials(t, m, "Authorization", md5hex)
		r.l.Respond(m, 202, "", "")
		if e := next[sipua.ReferStatus](r); e.Code != 202 || e.Done {
			t.Errorf("%+v", e)
		}
		notify := func(state, fragment string) {
			d.Request("NOTIFY", fragment, "Event: refer;id=2", "Subscription-State: "+state, "Content-Type: message/sipfrag;version=2.0")
			r.l.Expect("200")
		}
		notify("active;expires=60", "SIP/2.0 100 Trying\r\n")
		if e := next[sipua.ReferStatus](r); e.Code != 100 || e.Done {
			t.Errorf("%+v", e)
		}
		notify("terminated;reason=noresource", "SIP/2.0 200 OK\r\n")
		if e := next[sipua.ReferStatus](r); e.Code != 200 || !e.Done || e.Call != c {
			t.Errorf("%+v", e)
		}
		notify("terminated", "SIP/2.0 200 OK\r\n")
		r.quiet(time.Minute)

		r.must(c.Refer("sip:103@elsewhere"))
		r.l.Respond(r.l.Expect("REFER"), 603, "", "")
		if e := next[sipua.ReferStatus](r); e.Code != 603 || !e.Done {
			t.Errorf("%+v", e)
		}
		// Ended without a result, and never ended.
		r.must(c.Refer("104"))
		r.l.Respond(r.l.Expect("REFER"), 202, "", "")
		next[sipua.ReferStatus](r)
		notify("terminated;reason=timeout", "")
		if e := next[sipua.ReferStatus](r); e.Code != 500 || !e.Done {
			t.Errorf("%+v", e)
		}
		for _, heard := range []bool{false, true} {
			r.must(c.Refer("105"))
			began, patience := time.Now(), 32*time.Second
			r.l.Respond(r.l.Expect("REFER"), 202, "", "")
			next[sipua.ReferStatus](r)
			if heard {
				notify("active", "SIP/2.0 180 Ringing\r\n")
				next[sipua.ReferStatus](r)
				patience = 3 * time.Minute
			}
			if e := next[sipua.ReferStatus](r); e.Code != 408 || !e.Done || time.Since(began) != patience {
				t.Errorf("%+v after %v", e, time.Since(began))
			}
		}
		r.hungUp(c)
	})
}

func TestReferReplaces(t *testing.T) {
	registered(t, nil, func(r *rig) {
		customer, _ := r.inbound("customer@pbx;x")
		consult, d := r.outbound()
		r.must(customer.ReferReplaces(consult))
		m := r.l.Expect("REFER")
		tag := d.To[strings.Index(d.To, ";tag=")+5:]
		want := "<sip:600@pbx.test?Replaces=" + consult.ID() + "%3Bto-tag%3Dfar%3Bfrom-tag%3D" + tag + ">"
		if m.Get("Refer-To") != want || m.Get("Call-ID") != customer.ID() {
			t.Errorf("%s\nwant %s", m, want)
		}
		r.l.Respond(m, 202, "", "")
		if e := next[sipua.ReferStatus](r); e.Call != customer {
			t.Errorf("%+v", e)
		}
		r.hungUp(consult)
		if customer.ReferReplaces(consult) != sipua.ErrState || customer.ReferReplaces(customer) != sipua.ErrState || customer.ReferReplaces(nil) != sipua.ErrState {
			t.Error("joined with a call that is over")
		}
	})
}

func TestSessionTimer(t *testing.T) {
	t.Run("the PBX refreshes", func(t *testing.T) {
		registered(t, nil, func(r *rig) {
			d := r.l.Offer("a", "<sip:1@pbx.test>", offer, "Session-Expires: 90", "Supported: timer")
			r.l.Expect("100")
			c := next[sipua.Incoming](r).Call
			r.must(c.Answer([]byte(answer)))
			m := r.l.Expect("200")
			if m.Get("Session-Expires") != "90;refresher=uac" || m.Get("Require") != "timer" {
				t.Errorf("%s", m)
			}
			d.Settle(m)
			d.Ack()
			next[sipua.Confirmed](r)
			for range 5 {
				time.Sleep(45 * time.Second)
				d.Request("UPDATE", "", "Session-Expires: 90;refresher=uac", "Supported: timer")
				if m := r.l.Expect("200"); m.Get("Session-Expires") != "90;refresher=uac" {
					t.Errorf("%s", m)
				}
			}
			began := time.Now()
			if e := next[sipua.Ended](r); time.Since(began) != 60*time.Second || e.ByRemote {
				t.Errorf("%+v after %v", e, time.Since(began))
			}
			r.l.Respond(r.l.Expect("BYE"), 200, "", "")
		})
	})
	t.Run("we refresh by UPDATE", func(t *testing.T) {
		run(t, func(c *sipua.Config) { c.Expires = 24 * time.Hour }, func(r *rig) {
			r.l = r.pbx.Accept()
			r.l.Register(86400)
			next[sipua.Registered](r)
			c, err := r.ua.Invite("600", []byte(offer))
			r.must(err)
			inv := r.l.Expect("INVITE")
			r.l.Respond(inv, 200, "far", answer, toPBX, "Session-Expires: 1800;refresher=uac", "Require: timer", "Allow: INVITE, UPDATE")
			r.l.Expect("ACK")
			next[sipua.Answered](r)
			began := time.Now()
			m := r.l.Next()
			if d := time.Since(began); d != 900*time.Second || m.Method() != "UPDATE" || m.Get("Session-Expires") != "1800;refresher=uac" || m.Body != "" {
				t.Errorf("after %v: %s", d, m)
			}
			r.l.Respond(m, 422, "", "", "Min-SE: 3600")
			m = r.l.Next()
			if m.Get("Session-Expires") != "3600;refresher=uac" {
				t.Errorf("%s", m)
			}
			r.l.Respond(m, 405, "", "")
			// Not spoken after all: what holds is offered again.
			m = r.l.Next()
			if m.Method() != "INVITE" || m.Body != offer || m.Get("Session-Expires") != "3600;refresher=uac" {
				t.Errorf("%s", m)
			}
			r.l.Respond(m, 200, "", answer, toPBX) // and the timer is switched off
			r.l.Expect("ACK")
			r.l.Silent(4 * time.Hour)
			r.hungUp(c)
		})
	})
	t.Run("the call is unknown at the refresh", func(t *testing.T) {
		registered(t, nil, func(r *rig) {
			d := r.l.Offer("a", "<sip:1@pbx.test>", offer, "Session-Expires: 90;refresher=uas", "Supported: timer", "Allow: UPDATE")
			r.l.Expect("100")
			c := next[sipua.Incoming](r).Call
			r.must(c.Answer([]byte(answer)))
			m := r.l.Expect("200")
			if m.Get("Session-Expires") != "90;refresher=uas" {
				t.Errorf("%s", m)
			}
			d.Settle(m)
			d.Ack()
			next[sipua.Confirmed](r)
			r.l.Respond(r.l.Expect("UPDATE"), 481, "", "")
			if e := next[sipua.Ended](r); !e.ByRemote {
				t.Errorf("%+v", e)
			}
			r.l.Respond(r.l.Expect("BYE"), 481, "", "")
		})
	})
}
