package sipua_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskset/firmware/sipua"
	"deskset/firmware/sipua/sipuatest"
)

const (
	offer  = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
	answer = "v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
)

// rig is a user agent at a scripted PBX, in a bubble of virtual time.
type rig struct {
	t    *testing.T
	pbx  *sipuatest.PBX
	ua   *sipua.UA
	l    *sipuatest.Link // the current connection
	log  *logBuffer
	stop func() // ends Run and waits
}

func config(pbx *sipuatest.PBX) sipua.Config {
	return sipua.Config{
		URL: "wss://pbx.test:8089/ws", Domain: "pbx.test", User: "101", Password: "secret",
		Instance: "urn:uuid:00000000-0000-4000-8000-000000000101", Expires: 10 * time.Minute,
		Dial: pbx.Dial,
	}
}

// run starts a user agent in a bubble and then f; at its end Run must return.
func run(t *testing.T, change func(*sipua.Config), f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, pbx: sipuatest.New(t), log: &logBuffer{}}
		cfg := config(r.pbx)
		cfg.Log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if change != nil {
			change(&cfg)
		}
		var err error
		if r.ua, err = sipua.New(cfg); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.ua.Run(ctx) }()
		var once sync.Once
		r.stop = func() {
			once.Do(func() {
				cancel()
				began := time.Now()
				if err := <-done; err != nil {
					t.Errorf("Run: %v", err)
				}
				if d := time.Since(began); d > 4*time.Second {
					t.Errorf("Run took %v to end", d)
				}
			})
		}
		defer r.stop()
		f(r)
	})
}

// registered is run with a first registration done.
func registered(t *testing.T, change func(*sipua.Config), f func(r *rig)) {
	t.Helper()
	run(t, change, func(r *rig) {
		r.l = r.pbx.Accept()
		r.l.Register(600)
		next[sipua.Registered](r)
		f(r)
	})
}

// next is the next event, which must be a T.
func next[T sipua.Event](r *rig) T {
	r.t.Helper()
	select {
	case e := <-r.ua.Events():
		v, ok := e.(T)
		if !ok {
			r.t.Fatalf("event %T %+v, want %T", e, e, v)
		}
		return v
	case <-time.After(sipuatest.Patience):
		var want T
		r.t.Fatalf("no event, want %T", want)
		panic("unreachable")
	}
}

// quiet fails on an event within d.
func (r *rig) quiet(d time.Duration) {
	r.t.Helper()
	select {
	case e := <-r.ua.Events():
		r.t.Fatalf("event %T %+v, want none", e, e)
	case <-time.After(d):
	}
}

// reconnect cuts the connection and registers on the next one.
func (r *rig) reconnect() {
	r.t.Helper()
	r.l.Cut()
	next[sipua.Lost](r)
	r.l = r.pbx.Accept()
	r.l.Register(600)
	if e := next[sipua.Registered](r); !e.Recovered {
		r.t.Error("Registered after an outage without Recovered")
	}
}

// inbound makes a call that stands.
func (r *rig) inbound(id string) (*sipua.Call, *sipuatest.Dialog) {
	r.t.Helper()
	d := r.l.Offer(id, `"Jane" <sip:5551234@pbx.test>`, offer, "Allow: INVITE, ACK, BYE, CANCEL, UPDATE")
	r.l.Expect("100")
	c := next[sipua.Incoming](r).Call
	r.must(c.Answer([]byte(answer)))
	d.Settle(r.l.Expect("200"))
	d.Ack()
	next[sipua.Confirmed](r)
	return c, d
}

// outbound makes a call that stands.
func (r *rig) outbound() (*sipua.Call, *sipuatest.Dialog) {
	r.t.Helper()
	c, err := r.ua.Invite("600", []byte(offer))
	r.must(err)
	inv := r.l.Expect("INVITE")
	r.l.Respond(inv, 200, "far", answer, "Contact: <sip:asterisk@192.0.2.1:8089;transport=ws>", "Allow: INVITE, UPDATE")
	next[sipua.Answered](r)
	r.l.Expect("ACK")
	return c, r.l.On(inv, "far")
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// hungUp expects BYE, answers it and the end of the call.
func (r *rig) hungUp(c *sipua.Call) {
	r.t.Helper()
	r.must(c.Hangup())
	if e := next[sipua.Ended](r); e.ByRemote || e.Call != c {
		r.t.Errorf("ended %+v", e)
	}
	r.l.Respond(r.l.Expect("BYE"), 200, "", "")
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var errRefused = errors.New("connection refused")

var _ io.Writer = (*logBuffer)(nil)

func wwwAuthenticate(algorithm, nonce string, more ...string) string {
	return fmt.Sprintf(`WWW-Authenticate: Digest realm="asterisk", nonce=%q, qop="auth", algorithm=%s%s`, nonce, algorithm, strings.Join(more, ""))
}

func (r *rig) outboundOrInbound(inbound bool) (*sipua.Call, *sipuatest.Dialog) {
	r.t.Helper()
	if inbound {
		return r.inbound("a")
	}
	return r.outbound()
}
