package sipua_test

import (
	"strings"
	"testing"
	"time"

	"deskset/firmware/sipua"
)

const toPBX = "Contact: <sip:asterisk@192.0.2.1:8089;transport=ws>"

func TestOutbound(t *testing.T) {
	registered(t, func(c *sipua.Config) { c.Display = `Desk "1"` }, func(r *rig) {
		c, err := r.ua.Invite("*78#", []byte(offer))
		r.must(err)
		m := r.l.Expect("INVITE")
		if m.URI() != "sip:*78%23@pbx.test" || m.Get("To") != "<sip:*78%23@pbx.test>" ||
			!strings.HasPrefix(m.Get("From"), `"Desk \"1\"" <sip:101@pbx.test>;tag=`) || m.Body != offer || c.Inbound() {
			t.Errorf("%s", m)
		}
		r.l.Respond(m, 401, "x", "", wwwAuthenticate("MD5", "1"))
		ack := r.l.Expect("ACK")
		if n, _ := ack.CSeq(); ack.Branch() != m.Branch() || ack.Tag("To") != "x" || n != 1 {
			t.Errorf("%s", ack)
		}
		again := r.l.Expect("INVITE")
		checkCredentials(t, again, "Authorization", md5hex)
		if n, _ := again.CSeq(); n != 2 || again.Branch() == m.Branch() || again.Tag("From") != m.Tag("From") || again.Get("Call-ID") != c.ID() {
			t.Errorf("%s", again)
		}
		r.l.Respond(again, 100, "", "")
		r.l.Respond(again, 180, "far", "")
		r.l.Respond(again, 183, "far", answer)
		if p := next[sipua.Progress](r); p.Code != 180 || p.SDP != nil {
			t.Errorf("%+v", p)
		}
		if p := next[sipua.Progress](r); p.Code != 183 || string(p.SDP) != answer {
			t.Errorf("%+v", p)
		}
		time.Sleep(5 * time.Minute) // Timer B must not end a ringing call
		r.l.Register(600)           // refresh 1, 510-540 s away: time passes
		r.l.Respond(again, 200, "far", "", toPBX, "Record-Route: <sip:one;lr>", "Record-Route: <sip:two;lr>")
		if a := next[sipua.Answered](r); string(a.SDP) != answer {
			t.Errorf("%+v", a)
		}
		ack = r.l.Expect("ACK")
		if n, _ := ack.CSeq(); n != 2 || ack.Branch() == again.Branch() || ack.URI() != "sip:asterisk@192.0.2.1:8089;transport=ws" ||
			ack.Get("Route") != "<sip:two;lr>" || ack.Get("Authorization") == "" {
			t.Errorf("%s", ack)
		}
		r.l.Respond(again, 200, "far", "", toPBX) // it did not see the ACK
		if b := r.l.Expect("ACK"); b.String() != ack.String() {
			t.Errorf("another ACK:\n%s", b)
		}
		r.hungUp(c)
	})
}

func TestStrictRouter(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, err := r.ua.Invite("600", []byte(offer))
		r.must(err)
		r.l.Respond(r.l.Expect("INVITE"), 200, "far", answer, toPBX, "Record-Route: <sip:old.example>")
		next[sipua.Answered](r)
		m := r.l.Expect("ACK")
		if m.URI() != "sip:old.example" || m.Get("Route") != "<sip:asterisk@192.0.2.1:8089;transport=ws>" {
			t.Errorf("%s", m)
		}
		r.hungUp(c)
	})
}

func TestOutboundRefused(t *testing.T) {
	for _, c := range []struct {
		code    int
		headers []string
		reason  string
	}{
		{486, []string{`Reason: Q.850;cause=17;text="User busy"`}, "User busy"},
		{302, []string{"Contact: <sip:premium@evil>"}, "Because"},
		{603, nil, "Because"},
		{407, nil, "Because"}, // a challenge that cannot be answered
	} {
		registered(t, nil, func(r *rig) {
			call, err := r.ua.Invite("600", []byte(offer))
			r.must(err)
			r.l.Respond(r.l.Expect("INVITE"), c.code, "far", "", c.headers...)
			r.l.Expect("ACK")
			if e := next[sipua.Failed](r); e.Call != call || e.Code != c.code || e.Reason != c.reason {
				t.Errorf("%+v", e)
			}
			r.quiet(time.Minute)
			r.l.Silent(time.Minute)
		})
	}
}

func TestOutboundUnanswered(t *testing.T) {
	registered(t, nil, func(r *rig) {
		began := time.Now()
		_, err := r.ua.Invite("600", []byte(offer))
		r.must(err)
		r.l.Expect("INVITE")
		if e := next[sipua.Failed](r); e.Code != 408 || time.Since(began) != 32*time.Second {
			t.Errorf("%+v after %v", e, time.Since(began))
		}
	})
}

func TestAnswerWithoutDescription(t *testing.T) {
	registered(t, nil, func(r *rig) {
		_, err := r.ua.Invite("600", []byte(offer))
		r.must(err)
		r.l.Respond(r.l.Expect("INVITE"), 200, "far", "", toPBX)
		r.l.Expect("ACK")
		r.l.Respond(r.l.Expect("BYE"), 200, "", "")
		if e := next[sipua.Failed](r); e.Code != 488 {
			t.Errorf("%+v", e)
		}
	})
}

// CANCEL waits for a provisional answer, then 487 ends the call.
func TestCancelOurs(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, err := r.ua.Invite("600", []byte(offer))
		r.must(err)
		m := r.l.Expect("INVITE")
		r.must(c.Cancel())
		next[sipua.Ended](r)
		r.l.Silent(time.Second)
		r.l.Respond(m, 180, "far", "")
		x := r.l.Expect("CANCEL")
		if n, _ := x.CSeq(); n != 1 || x.Branch() != m.Branch() || x.URI() != m.URI() || x.Get("To") != m.Get("To") {
			t.Errorf("%s", x)
		}
		r.l.Respond(x, 200, "far", "")
		r.l.Respond(m, 487, "far", "")
		r.l.Expect("ACK")
		r.quiet(time.Minute)
	})
}

// The 200 crosses our CANCEL: it is acknowledged and hung up.
func TestCancelOursTooLate(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, err := r.ua.Invite("600", []byte(offer))
		r.must(err)
		m := r.l.Expect("INVITE")
		r.l.Respond(m, 180, "far", "")
		next[sipua.Progress](r)
		r.must(c.Hangup())
		next[sipua.Ended](r)
		x := r.l.Expect("CANCEL")
		r.l.Respond(m, 200, "far", answer, toPBX)
		r.l.Respond(x, 481, "", "")
		r.l.Expect("ACK")
		bye := r.l.Expect("BYE")
		if bye.Tag("To") != "far" {
			t.Errorf("%s", bye)
		}
		r.l.Respond(bye, 200, "", "")
		r.quiet(time.Minute)
	})
}

// Hung up while the challenge is on its way: the INVITE is not repeated.
func TestCancelOursBeforeChallenge(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, err := r.ua.Invite("600", []byte(offer))
		r.must(err)
		m := r.l.Expect("INVITE")
		r.must(c.Hangup())
		next[sipua.Ended](r)
		r.l.Respond(m, 401, "", "", wwwAuthenticate("MD5", "1"))
		r.l.Expect("ACK")
		r.l.Silent(time.Minute)
	})
}

func TestFork(t *testing.T) {
	registered(t, nil, func(r *rig) {
		c, err := r.ua.Invite("600", []byte(offer))
		r.must(err)
		m := r.l.Expect("INVITE")
		r.l.Respond(m, 183, "one", "early of one")
		next[sipua.Progress](r)
		r.l.Respond(m, 180, "two", "")
		next[sipua.Progress](r)
		// A request of one branch while the call rings.
		d := r.l.On(m, "two")
		d.Request("UPDATE", "", `P-Asserted-Identity: <sip:702@pbx.test>`)
		r.l.Expect("200")
		next[sipua.Identity](r)
		d.Request("INFO", "")
		r.l.Expect("200")
		r.l.Respond(m, 200, "two", answer, toPBX)
		r.l.Respond(m, 200, "one", answer, "Contact: <sip:second@192.0.2.9>")
		if a := next[sipua.Answered](r); string(a.SDP) != answer {
			t.Errorf("%+v", a)
		}
		if ack := r.l.Expect("ACK"); ack.Tag("To") != "two" {
			t.Errorf("%s", ack)
		}
		if ack := r.l.Expect("ACK"); ack.Tag("To") != "one" || ack.URI() != "sip:second@192.0.2.9" {
			t.Errorf("%s", ack)
		}
		bye := r.l.Expect("BYE")
		if bye.Tag("To") != "one" || bye.URI() != "sip:second@192.0.2.9" {
			t.Errorf("%s", bye)
		}
		r.l.Respond(bye, 200, "", "")
		r.quiet(time.Minute)
		r.hungUp(c)
	})
}

func TestByeWhileRinging(t *testing.T) {
	registered(t, nil, func(r *rig) {
		_, err := r.ua.Invite("600", []byte(offer))
		r.must(err)
		m := r.l.Expect("INVITE")
		r.l.Respond(m, 183, "far", answer)
		next[sipua.Progress](r)
		r.l.On(m, "far").Request("BYE", "")
		r.l.Expect("200")
		next[sipua.Failed](r)
		x := r.l.Expect("CANCEL")
		r.l.Respond(x, 200, "", "")
		r.l.Respond(m, 487, "far", "")
		r.l.Expect("ACK")
		r.quiet(time.Minute)
	})
	registered(t, nil, func(r *rig) {
		d := r.l.Offer("a", "<sip:1@pbx.test>", offer)
		r.l.Expect("100")
		c := next[sipua.Incoming](r).Call
		r.must(c.Ringing())
		d.Settle(r.l.Expect("180"))
		invite := d.Seq
		d.Request("BYE", "")
		r.l.Expect("200")
		if e := next[sipua.Ended](r); !e.ByRemote {
			t.Errorf("%+v", e)
		}
		r.l.Expect("487")
		d.Seq = invite
		d.AckRefusal()
		r.l.Silent(time.Minute)
	})
}

func TestServiceRoute(t *testing.T) {
	run(t, nil, func(r *rig) {
		r.l = r.pbx.Accept()
		m := r.l.Expect("REGISTER")
		r.l.Respond(m, 200, "", "", "Contact: "+m.ContactURI()+";expires=600", "Service-Route: <sip:edge;lr>")
		next[sipua.Registered](r)
		_, err := r.ua.Invite("600", []byte(offer))
		r.must(err)
		if m := r.l.Expect("INVITE"); m.Get("Route") != "<sip:edge;lr>" {
			t.Errorf("%s", m)
		}
	})
}

func TestReinvite(t *testing.T) {
	for _, c := range []struct {
		name    string
		inbound bool
	}{{"inbound call", true}, {"outbound call", false}} {
		t.Run(c.name, func(t *testing.T) {
			registered(t, nil, func(r *rig) {
				var call *sipua.Call
				if c.inbound {
					call, _ = r.inbound("a")
				} else {
					call, _ = r.outbound()
				}
				res := reinvite(r, call, "hold")
				m := r.l.Expect("INVITE")
				if m.Body != "hold" || m.Tag("To") == "" {
					t.Errorf("%s", m)
				}
				r.l.Respond(m, 100, "", "")
				r.l.Respond(m, 200, "", "held", "Contact: <sip:moved@192.0.2.7>")
				ack := r.l.Expect("ACK")
				n, _ := m.CSeq()
				if a, _ := ack.CSeq(); a != n || ack.URI() != "sip:moved@192.0.2.7" {
					t.Errorf("%s", ack)
				}
				if got := <-res; got != "held" {
					t.Error(got)
				}
				r.l.Respond(m, 200, "", "held", "Contact: <sip:moved@192.0.2.7>")
				r.l.Expect("ACK")

				res = reinvite(r, call, "refused")
				r.l.Respond(r.l.Expect("INVITE"), 488, "", "")
				r.l.Expect("ACK")
				if got := <-res; got != "the PBX refused: 488 Because" {
					t.Error(got)
				}

				// Two at once go one after the other.
				one, two := reinvite(r, call, "1"), reinvite(r, call, "2")
				for range 2 {
					m := r.l.Expect("INVITE")
					r.l.Silent(time.Second)
					r.l.Respond(m, 200, "", "to "+m.Body, toPBX)
					r.l.Expect("ACK")
				}
				if a, b := <-one, <-two; a != "to 1" || b != "to 2" {
					t.Error(a, b)
				}

				res = reinvite(r, call, "unknown")
				r.l.Respond(r.l.Expect("INVITE"), 481, "", "")
				r.l.Expect("ACK")
				if got := <-res; got != "the PBX refused: 481 Because" {
					t.Error(got)
				}
				if e := next[sipua.Ended](r); !e.ByRemote {
					t.Errorf("%+v", e)
				}
				r.l.Respond(r.l.Expect("BYE"), 481, "", "")
			})
		})
	}
}

// reinvite runs one apart; what comes is the answer or the error.
func reinvite(r *rig, c *sipua.Call, sdp string) <-chan string {
	res := make(chan string, 1)
	go func() {
		answer, err := c.Reinvite(r.t.Context(), []byte(sdp))
		if err != nil {
			res <- err.Error()
			return
		}
		res <- string(answer)
	}()
	return res
}

// Glare: both offer at once, both refuse with 491, the owner of the Call-ID
// waits longer (RFC 3261 section 14.1).
func TestGlare(t *testing.T) {
	for _, c := range []struct {
		name        string
		inbound     bool
		least, most time.Duration
	}{
		{"we made the Call-ID", false, 2100 * time.Millisecond, 4 * time.Second},
		{"they made it", true, 0, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 20 {
				registered(t, nil, func(r *rig) {
					call, d := r.outboundOrInbound(c.inbound)
					res := reinvite(r, call, "ours")
					m := r.l.Expect("INVITE")
					d.Request("INVITE", "theirs")
					r.l.Expect("491")
					d.AckRefusal()
					r.l.Respond(m, 491, "", "")
					r.l.Expect("ACK")
					began := time.Now()
					m = r.l.Expect("INVITE")
					if w := time.Since(began); w < c.least || w > c.most {
						t.Errorf("waited %v", w)
					}
					r.l.Respond(m, 200, "", "fine", toPBX)
					r.l.Expect("ACK")
					if got := <-res; got != "fine" {
						t.Error(got)
					}
				})
			}
		})
	}
}
