package sipua

import (
	"context"
	"strings"
	"testing"
)

// nowhere is a connection that swallows what is written.
type nowhere struct{}

func (nowhere) Read(ctx context.Context) ([]byte, error)    { <-ctx.Done(); return nil, ctx.Err() }
func (nowhere) Write(ctx context.Context, msg []byte) error { return nil }
func (nowhere) Ping(ctx context.Context) error              { return nil }
func (nowhere) Close(ctx context.Context) error             { return nil }

// fuzzed is a user agent with calls in several states, ready for any message.
func fuzzed(t *testing.T) (*UA, *flow) {
	u, err := New(Config{URL: "wss://pbx.test/ws", User: "101", Domain: "pbx.test", Password: "secret", Instance: "urn:uuid:1"})
	if err != nil {
		t.Fatal(err)
	}
	u.running = true
	f := newFlow(nowhere{}, u.cfg.PingEvery, u.cfg.PingTimeout, u.receive, u.oversized)
	u.flow, u.bound, u.registered = f, true, true
	u.reg.callID, u.reg.tag = "reg", "tag-reg"
	for _, s := range []callState{ringing, accepted, up} {
		m, err := parseMessage([]byte(strings.ReplaceAll(invite, "call-new", "call-"+string(rune('0'+s)))))
		if err != nil {
			t.Fatal(err)
		}
		c := &Call{u: u, id: m.CallID, invite: m, state: s, d: fromInvite(m, "ours")}
		c.server = u.newServer(m, "ours")
		u.calls[c.key()] = c
		if s == accepted {
			u.answer(c.server, 200, u.sessionHeaders(), []byte("v=0"))
			c.awaitAck(c.server)
		}
		if s == up {
			u.forgetServer(c.server)
			c.refer = &referral{timer: u.after(referSilence, func() {})}
		}
	}
	u.mu.Lock()
	ex, err := u.do(&request{
		method: "INVITE", uri: "sip:600@pbx.test", from: "<sip:101@pbx.test>;tag=ours", to: "<sip:600@pbx.test>",
		callID: "call-out", seq: 1, branch: "z9hG4bKours", next: func() uint32 { return 2 },
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &Call{u: u, out: true, id: "call-out", state: calling, early: map[string][]byte{}, ex: ex}
	c.d = dialog{callID: "call-out", localTag: "ours", local: u.from, remote: "<sip:600@pbx.test>", target: "sip:600@pbx.test", seq: 1}
	ex.on = c.answered
	u.calls[c.key()] = c
	u.mu.Unlock()
	return u, f
}

const invite = "INVITE sip:101@x.invalid;transport=ws SIP/2.0\r\n" +
	"Via: SIP/2.0/WSS 192.0.2.1:8089;rport;branch=z9hG4bKcall-new\r\n" +
	"From: \"Jane\" <sip:5551234@pbx.test>;tag=theirs\r\nTo: <sip:101@pbx.test>\r\n" +
	"Call-ID: call-new\r\nCSeq: 5 INVITE\r\nContact: <sip:pbx@192.0.2.1>\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"

func seeds(f *testing.F) {
	f.Add([]byte(invite))
	in := strings.Replace(invite, "To: <sip:101@pbx.test>", "t: <sip:101@pbx.test> ; tag=ours", 1)
	for _, method := range []string{"BYE", "CANCEL", "ACK", "UPDATE", "INVITE", "NOTIFY", "REFER", "OPTIONS", "X"} {
		for _, call := range []string{"call-1", "call-2", "call-3", "call-out"} {
			f.Add([]byte(strings.NewReplacer("INVITE", method, "call-new", call).Replace(in)))
		}
	}
	for _, code := range []string{"100", "183", "200", "302", "401", "407", "486", "491"} {
		f.Add([]byte("SIP/2.0 " + code + " Text\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bKours\r\nFrom: <sip:101@pbx.test>;tag=ours\r\n" +
			"To: <sip:600@pbx.test>;tag=far\r\nCall-ID: call-out\r\nCSeq: 1 INVITE\r\nContact: <sip:pbx@192.0.2.1>\r\n" +
			"Record-Route: <sip:a;lr>, <sip:b>\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"))
	}
	f.Add([]byte(strings.Replace(invite, "Contact:", "P-Asserted-Identity: \"A\" <tel:+4930>\r\nDiversion: x\r\nReason: SIP;cause=200\r\nSession-Expires: 90;refresher=uas\r\nk: timer\r\nReplaces: call-3;to-tag=ours;from-tag=theirs\r\nm:", 1)))
	f.Add([]byte("\r\n\r\n"))
	f.Add([]byte("INVITE sip:a SIP/2.0\r\nVia: ,\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nFrom: \"\\\r\n\r\n"))
}

// FuzzReceive gives any bytes to a user agent in the middle of its calls: it
// must not fall, and whatever it says must itself be a SIP message.
func FuzzReceive(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		u, flow := fuzzed(t)
		u.receive(flow, b)
		u.receive(flow, b) // a repetition
		u.mu.Lock()
		for _, c := range u.calls {
			c.hangup("end of the test")
		}
		u.over = true
		for _, c := range u.calls {
			c.stopTimers()
		}
		for _, c := range u.clients {
			c.timer.Stop()
		}
		u.mu.Unlock()
		for {
			select {
			case out := <-flow.out:
				if strings.HasPrefix(string(out), "SIP/2.0 400 ") {
					continue // to a malformed request, whose headers it repeats
				}
				if _, err := parseMessage(out); err != nil {
					t.Fatalf("sent %q: %v", out, err)
				}
				continue
			default:
			}
			break
		}
		overs := map[*Call]int{}
		for _, e := range u.events.take() {
			switch e := e.(type) {
			case Ended:
				overs[e.Call]++
			case Failed:
				overs[e.Call]++
			}
		}
		for c, n := range overs {
			if n > 1 {
				t.Fatalf("call %s ended %d times", c.id, n)
			}
		}
	})
}

func FuzzParseMessage(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			return
		}
		m.caller()
		m.queue([]string{"X-Queue", "Diversion"})
		m.autoAnswer()
		m.cause()
		m.contact()
		m.list("Contact")
		sessionExpires(m)
		fragmentStatus(m.Body)
		if m.request() && !strings.HasPrefix(string(b), m.Method+" "+m.URI+" ") && strings.HasPrefix(string(b), m.Method) {
			t.Fatalf("URI %q of %q", m.URI, b)
		}
		for _, h := range m.headers {
			if strings.ContainsAny(h.Value, "\r\n") {
				t.Fatalf("line break in %q", h)
			}
		}
	})
}
