package siplite

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

// wire is an unreliable network of two endpoints in virtual time: drop decides
// for each message whether it is lost.
type wire struct {
	mu    sync.Mutex
	count map[string]int // messages by start line's first word(s)
	drop  func(label string, n int) bool
	wg    sync.WaitGroup
}

type end struct {
	w    *wire
	name string
	peer *Endpoint
	back *end
	safe bool
	done chan struct{}
}

func (e *end) Send(msg []byte) error {
	m, err := sip.ParseMessage(msg)
	if err != nil {
		return err
	}
	label := ""
	switch m := m.(type) {
	case *sip.Request:
		label = string(m.Method)
	case *sip.Response:
		label = string(m.CSeq().MethodName) + " " + Phrase(m.StatusCode)
	}
	e.w.mu.Lock()
	e.w.count[label]++
	lost := e.w.drop != nil && e.w.drop(label, e.w.count[label])
	e.w.mu.Unlock()
	if lost {
		return nil
	}
	e.w.wg.Go(func() {
		time.Sleep(time.Millisecond)
		e.peer.Receive(e.back, msg)
	})
	return nil
}
func (e *end) Reliable() bool        { return e.safe }
func (e *end) Transport() string     { return "UDP" }
func (e *end) Local() string         { return e.name + ":5060" }
func (e *end) Remote() string        { return e.back.name + ":5060" }
func (e *end) Done() <-chan struct{} { return e.done }

// pair is a caller (a) and a called one (b) with its handler.
func pair(t *testing.T, drop func(string, int) bool, handle func(*Incoming)) (a, b *Endpoint, toB *end, w *wire) {
	w = &wire{count: map[string]int{}, drop: drop}
	log := slog.New(slog.DiscardHandler)
	a = New(Config{Handle: func(in *Incoming) { in.Respond(405, "", nil) }, Log: log})
	b = New(Config{Handle: handle, Log: log})
	toB, toA := &end{w: w, name: "127.0.0.1", peer: b}, &end{w: w, name: "127.0.0.2", peer: a}
	toB.back, toA.back = toA, toB
	t.Cleanup(func() { a.Close(); b.Close(); w.wg.Wait() })
	return a, b, toB, w
}

func dialogTo(e *Endpoint, f Flow, handle func(*Incoming)) *Dialog {
	return e.NewDialog(DialogConfig{
		Flow:    func(context.Context) (Flow, error) { return f, nil },
		Contact: func(f Flow) sip.Uri { return UserURI("a", f.Local()) }, Handle: handle,
	}, Party{"A", UserURI("a", "127.0.0.1")}, Party{"", UserURI("b", "127.0.0.2")}, UserURI("b", "127.0.0.2"))
}

// TestLossyCall makes a whole call while the first of every message is lost.
func TestLossyCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bDialog *Dialog
		var invite *Incoming
		bye := make(chan struct{})
		accept := func(e *Endpoint) func(*Incoming) {
			return func(in *Incoming) {
				if in.Req.Method != sip.INVITE {
					in.Respond(405, "", nil)
					return
				}
				d, err := e.AcceptDialog(in, DialogConfig{
					Flow:    func(context.Context) (Flow, error) { return in.Flow, nil },
					Contact: func(f Flow) sip.Uri { return UserURI("b", f.Local()) },
					Handle: func(in *Incoming) {
						in.Respond(200, "", nil)
						close(bye)
					},
				})
				if err != nil {
					t.Error(err)
					return
				}
				bDialog, invite = d, in
				in.Respond(180, "", nil)
				in.Respond(200, "", []byte("answer"), d.ContactHeader(in.Flow))
			}
		}
		var b *Endpoint
		a, b, toB, w := pair(t, func(_ string, n int) bool { return n == 1 }, func(in *Incoming) { accept(b)(in) })
		d := dialogTo(a, toB, func(in *Incoming) { in.Respond(200, "", nil) })
		res, err := d.Request(t.Context(), sip.INVITE, []byte("offer"), nil)
		if err != nil || res.StatusCode != 200 || string(res.Body()) != "answer" {
			t.Fatalf("%v %v", res, err)
		}
		if err := d.Ack(t.Context(), res, nil); err != nil {
			t.Fatal(err)
		}
		<-invite.Acked()
		if bDialog.RemoteTag() != d.LocalTag() || d.RemoteTag() != bDialog.LocalTag() {
			t.Error("tags differ")
		}
		res, err = d.Request(t.Context(), sip.BYE, nil, nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%v %v", res, err)
		}
		<-bye
		d.Close()
		bDialog.Close()
		time.Sleep(2 * Timeout)
		w.mu.Lock()
		if w.count["ACK"] < 2 || w.count["INVITE"] < 2 || w.count["INVITE"] > 3 {
			t.Errorf("%v", w.count)
		}
		w.mu.Unlock()
		for _, e := range []*Endpoint{a, b} {
			e.mu.Lock()
			if n := len(e.clients) + len(e.servers) + len(e.invites) + len(e.dialogs); n != 0 {
				t.Errorf("%d things remembered", n)
			}
			e.mu.Unlock()
		}
	})
}

func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, toB, w := pair(t, func(string, int) bool { return true }, nil)
		d := dialogTo(a, toB, nil)
		start := time.Now()
		_, err := d.Request(t.Context(), sip.OPTIONS, nil, nil)
		if !errors.Is(err, ErrTimeout) || time.Since(start) != Timeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		// 0.5, 1, 2, then each 4 s: RFC 3261 section 17.1.2.2.
		if n := w.count["OPTIONS"]; n != 11 {
			t.Errorf("sent %d times", n)
		}
	})
}

func TestCancelWaitsForProvisional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cancelled := false
		a, _, toB, w := pair(t, func(l string, n int) bool { return l == "CANCEL" && n == 1 }, func(in *Incoming) {
			go func() {
				time.Sleep(300 * time.Millisecond)
				in.Respond(180, "", nil)
				<-in.Cancelled()
				cancelled = true
			}()
		})
		d := dialogTo(a, toB, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		res, err := d.Request(ctx, sip.INVITE, nil, nil)
		if err != nil || res.StatusCode != 487 {
			t.Fatalf("%v %v", res, err)
		}
		synctest.Wait()
		if !cancelled || w.count["CANCEL"] != 2 {
			t.Errorf("cancelled %v, %v", cancelled, w.count)
		}
	})
}

func TestCancelCrossesAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, toB, _ := pair(t, nil, func(in *Incoming) {
			in.Respond(180, "", nil)
			go func() {
				time.Sleep(100*time.Millisecond + 500*time.Microsecond) // at 101.5 ms: the CANCEL is on its way
				in.Respond(200, "", nil, &sip.ContactHeader{Address: UserURI("b", "127.0.0.2")})
			}()
		})
		d := dialogTo(a, toB, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 101*time.Millisecond)
		defer cancel()
		res, err := d.Request(ctx, sip.INVITE, nil, nil)
		if err != nil || res.StatusCode != 200 || ctx.Err() == nil {
			t.Fatalf("%v %v", res, err)
		}
		if err := d.Ack(t.Context(), res, nil); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFlowGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, toB, _ := pair(t, func(string, int) bool { return true }, nil)
		toB.safe, toB.done = true, make(chan struct{})
		d := dialogTo(a, toB, nil)
		go func() { time.Sleep(time.Second); close(toB.done) }()
		if _, err := d.Request(t.Context(), sip.BYE, nil, nil); !errors.Is(err, ErrFlowGone) {
			t.Error(err)
		}
	})
}

func TestStrays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handled := 0
		a, b, toB, w := pair(t, nil, func(in *Incoming) { handled++; in.Respond(200, "", nil) })
		d := dialogTo(a, toB, nil)
		d.remoteTag = "nobody"
		res, err := d.Request(t.Context(), sip.BYE, nil, nil)
		if err != nil || res.StatusCode != 481 || handled != 0 {
			t.Errorf("BYE of no dialog: %v %v", res, err)
		}
		b.Receive(toB.back, []byte("\r\n\r\n"))
		for _, bad := range []string{"", "garbage", "INVITE sip:a@b SIP/2.0\r\n\r\n", "SIP/2.0 999 What\r\n\r\n",
			"BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"} {
			if b.Receive(toB.back, []byte(bad)) == nil {
				t.Errorf("took %q", bad)
			}
		}
		if w.count["INVITE"] != 0 {
			t.Error(w.count)
		}
	})
}

func TestDigest(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for _, md5 := range []bool{false, true} {
		v := NewVerifier("here", func(u string) (string, bool) { return "secret", u == "101" })
		v.Now = func() time.Time { return now }
		v.MD5Only = md5
		req := func() *sip.Request { return sip.NewRequest(sip.REGISTER, UserURI("", "127.0.0.1")) }
		user, challenges := v.Check(req())
		if user != "" || len(challenges) != map[bool]int{false: 2, true: 1}[md5] {
			t.Fatalf("%q %v", user, challenges)
		}
		res := sip.NewResponse(401, "")
		for _, c := range challenges {
			res.AppendHeader(c)
		}
		try := func(user, password string) string {
			r := req()
			h, err := Authorize(r, res, user, password)
			if err != nil {
				t.Fatal(err)
			}
			r.AppendHeader(h)
			got, _ := v.Check(r)
			return got
		}
		if try("101", "secret") != "101" || try("101", "wrong") != "" || try("102", "secret") != "" {
			t.Error("who is who?")
		}
		if _, err := Authorize(req(), res, "101", ""); err == nil {
			t.Error("signed without a password")
		}
		now = now.Add(NonceLife)
		r := req()
		h, _ := Authorize(r, res, "101", "secret")
		r.AppendHeader(h)
		user, challenges = v.Check(r)
		if user != "" || !containsStale(challenges) {
			t.Errorf("old nonce: %q %v", user, challenges)
		}
	}
}

func containsStale(hs []sip.Header) bool {
	for _, h := range hs {
		if h.Name() == "WWW-Authenticate" && len(h.Value()) > 0 {
			for i := range h.Value() {
				if i+10 <= len(h.Value()) && h.Value()[i:i+10] == "stale=true" {
					return true
				}
			}
		}
	}
	return false
}

func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		msg, err := Parse(data)
		if err != nil {
			return
		}
		// What was let in can be answered, matched and printed.
		_ = branchOf(msg) + msg.CallID().Value() + tagOf(msg.To().Params)
		if req, ok := msg.(*sip.Request); ok {
			_ = inviteKey(req)
			v := NewVerifier("r", func(string) (string, bool) { return "p", true })
			if user, _ := v.Check(req); user != "" {
				t.Errorf("signed as %q without knowing a nonce", user)
			}
			log := slog.New(slog.DiscardHandler)
			e := New(Config{Handle: func(in *Incoming) { in.Respond(200, "", nil) }, Log: log})
			w := &wire{count: map[string]int{}, drop: func(string, int) bool { return true }}
			back := &end{w: w, name: "127.0.0.1", safe: true}
			back.back = back
			e.Receive(back, data)
			e.Close()
		}
		if _, err := Parse(render(msg)); err != nil {
			t.Logf("not read back: %v", err) // sipgo prints some odd values differently
		}
	})
}
