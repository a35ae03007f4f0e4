package sipua_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"deskset/firmware/sipua"
	"deskset/firmware/sipua/wsflow"
)

// The tests of this file speak to a real PBX. It needs accounts 101 and 102
// (password "secret", WebRTC) that may call each other, 601 which hangs up by
// itself within a minute, and 600, which stays:
//
//	DESKSET_SIPUA_PBX=wss://127.0.0.1:8089/ws DESKSET_SIPUA_CA=ca.crt go test -run RealPBX
//
// No media flows; the descriptions are those of a WebRTC end.
type realSeat struct {
	t   *testing.T
	ua  *sipua.UA
	cut atomic.Pointer[sipua.Conn]
	n   atomic.Int32
}

func newRealSeat(t *testing.T, user string, change func(*sipua.Config)) *realSeat {
	t.Helper()
	url := os.Getenv("DESKSET_SIPUA_PBX")
	if url == "" {
		t.Skip("no real PBX: set DESKSET_SIPUA_PBX to its WebSocket address")
	}
	roots := x509.NewCertPool()
	if ca := os.Getenv("DESKSET_SIPUA_CA"); ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			t.Fatal(err)
		}
		roots.AppendCertsFromPEM(pem)
	}
	s := &realSeat{t: t}
	cfg := sipua.Config{
		URL: url, Insecure: true, User: user, Password: "secret", Domain: "127.0.0.1",
		Instance: "urn:uuid:00000000-0000-4000-8000-000000000" + user, Expires: time.Minute,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("seat", user),
		Dial: func(ctx context.Context, url string) (sipua.Conn, error) {
			c, err := wsflow.Dial(ctx, url, wsflow.Options{TLS: &tls.Config{RootCAs: roots}, Insecure: true, MaxMessage: sipua.MaxMessage})
			if err != nil {
				return nil, err
			}
			conn := sipua.Conn(c)
			if os.Getenv("DESKSET_SIPUA_TRACE") != "" {
				conn = traced{conn, t, user}
			}
			s.cut.Store(&conn)
			return conn, nil
		},
	}
	if change != nil {
		change(&cfg)
	}
	s.ua = runReal(t, cfg)
	return s
}

type traced struct {
	sipua.Conn
	t    *testing.T
	user string
}

func (c traced) Read(ctx context.Context) ([]byte, error) {
	b, err := c.Conn.Read(ctx)
	c.t.Logf("%s <- %s", c.user, b)
	return b, err
}

func (c traced) Write(ctx context.Context, b []byte) error {
	c.t.Logf("%s -> %s", c.user, b)
	return c.Conn.Write(ctx, b)
}

// description is what a WebRTC end would offer or, with setup, answer.
func (s *realSeat) description(setup, direction string) []byte {
	n := s.n.Add(1)
	return []byte(strings.ReplaceAll(fmt.Sprintf(`v=0
o=- 4611733054 %d IN IP4 127.0.0.1
s=-
t=0 0
m=audio 40000 UDP/TLS/RTP/SAVPF 0 101
c=IN IP4 127.0.0.1
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=rtcp-mux
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host
a=fingerprint:sha-256 5B:01:3D:1A:A1:0A:AA:11:5F:3A:F2:84:8E:8B:0C:51:5A:5F:4C:5C:4E:4B:0B:1C:91:9A:1B:0C:51:5A:5F:4C
a=setup:%s
a=mid:0
a=%s
`, n, setup, direction), "\n", "\r\n"))
}

func (s *realSeat) drop() { s.t.Helper(); (*s.cut.Load()).Close(cancelled()) }

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// connect makes a call from a to b through the PBX; both ends are returned.
func connect(t *testing.T, a, b *realSeat) (out, in *sipua.Call) {
	t.Helper()
	user := "102"
	out, err := a.ua.Invite(user, a.description("actpass", "sendrecv"))
	if err != nil {
		t.Fatal(err)
	}
	offer := nextReal[sipua.Incoming](t, b.ua)
	in = offer.Call
	if offer.From != "101" || !strings.Contains(string(offer.Offer), "fingerprint") {
		t.Errorf("%+v", offer)
	}
	if err := in.Ringing(); err != nil {
		t.Error(err)
	}
	for ringing := false; !ringing; {
		ringing = nextReal[sipua.Progress](t, a.ua).Code == 180
	}
	if err := in.Answer(b.description("active", "sendrecv")); err != nil {
		t.Error(err)
	}
	nextReal[sipua.Confirmed](t, b.ua)
	if e := nextReal[sipua.Answered](t, a.ua); !strings.Contains(string(e.SDP), "m=audio") {
		t.Errorf("%+v", e)
	}
	return out, in
}

func pair(t *testing.T) (a, b *realSeat) {
	t.Helper()
	a, b = newRealSeat(t, "101", nil), newRealSeat(t, "102", nil)
	nextReal[sipua.Registered](t, a.ua)
	nextReal[sipua.Registered](t, b.ua)
	return a, b
}

// ended passes over what else a call tells and waits for its end.
func ended(t *testing.T, s *realSeat) sipua.Ended {
	t.Helper()
	for {
		select {
		case e := <-s.ua.Events():
			switch e := e.(type) {
			case sipua.Ended:
				return e
			case sipua.Reoffer:
				if err := e.Call.AnswerReoffer(s.description("active", "sendrecv")); err != nil {
					t.Log("answer a re-offer:", err)
				}
			case sipua.Failed, sipua.Lost:
				t.Fatalf("%T %+v", e, e)
			}
		case <-time.After(40 * time.Second):
			t.Fatal("no end")
		}
	}
}

func TestRealPBXRegistration(t *testing.T) {
	a := newRealSeat(t, "101", nil)
	nextReal[sipua.Registered](t, a.ua)
	a.drop()
	nextReal[sipua.Lost](t, a.ua)
	if e := nextReal[sipua.Registered](t, a.ua); !e.Recovered {
		t.Errorf("%+v", e)
	}
	wrong := newRealSeat(t, "102", func(c *sipua.Config) { c.Password = "wrong" })
	if e := nextReal[sipua.Lost](t, wrong.ua); !strings.Contains(e.Err.Error(), "password") {
		t.Errorf("%v", e.Err)
	}
}

func TestRealPBXCall(t *testing.T) {
	a, b := pair(t)
	out, in := connect(t, a, b)
	// Hold and resume from either end.
	for _, direction := range []string{"sendonly", "sendrecv"} {
		for s, c := range map[*realSeat]*sipua.Call{a: out, b: in} {
			answer, err := c.Reinvite(t.Context(), s.description("actpass", direction))
			if err != nil || !strings.Contains(string(answer), "m=audio") {
				t.Fatalf("%s: %s, %v", direction, answer, err)
			}
		}
	}
	if err := out.Hangup(); err != nil {
		t.Error(err)
	}
	nextReal[sipua.Ended](t, a.ua)
	if e := ended(t, b); !e.ByRemote || e.Call != in {
		t.Errorf("%+v", e)
	}
}

func TestRealPBXCancelAndBusy(t *testing.T) {
	a, b := pair(t)
	out, err := a.ua.Invite("102", a.description("actpass", "sendrecv"))
	if err != nil {
		t.Fatal(err)
	}
	in := nextReal[sipua.Incoming](t, b.ua).Call
	if err := in.Ringing(); err != nil {
		t.Error(err)
	}
	nextReal[sipua.Progress](t, a.ua)
	out.Hangup()
	nextReal[sipua.Ended](t, a.ua)
	if e := ended(t, b); !e.ByRemote {
		t.Errorf("%+v", e)
	}
	if out, err = a.ua.Invite("102", a.description("actpass", "sendrecv")); err != nil {
		t.Fatal(err)
	}
	in = nextReal[sipua.Incoming](t, b.ua).Call
	if err := in.Reject(486); err != nil {
		t.Error(err)
	}
	nextReal[sipua.Ended](t, b.ua)
	if e := nextReal[sipua.Failed](t, a.ua); e.Code != 486 || e.Call != out {
		t.Errorf("%+v", e)
	}
}

func TestRealPBXFlowLoss(t *testing.T) {
	a, b := pair(t)
	out, in := connect(t, a, b)
	b.drop()
	nextReal[sipua.Lost](t, b.ua)
	if e := nextReal[sipua.Registered](t, b.ua); !e.Recovered {
		t.Errorf("%+v", e)
	}
	if _, err := in.Reinvite(t.Context(), b.description("actpass", "sendrecv")); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	out.Hangup()
	if e := ended(t, b); !e.ByRemote || time.Since(began) > 2*time.Second {
		t.Errorf("%+v after %v", e, time.Since(began))
	}
	nextReal[sipua.Ended](t, a.ua)

	// Hung up while the flow is down: no ghost.
	out, in = connect(t, a, b)
	b.drop()
	nextReal[sipua.Lost](t, b.ua)
	in.Hangup()
	nextReal[sipua.Ended](t, b.ua)
	nextReal[sipua.Registered](t, b.ua)
	if e := ended(t, a); !e.ByRemote || e.Call != out {
		t.Errorf("%+v", e)
	}
}

func TestRealPBXBlindTransfer(t *testing.T) {
	a, b := pair(t)
	_, in := connect(t, a, b)
	// Somewhere that sounds: Asterisk tells of a transfer by what it plays. In
	// the first milliseconds, before both legs are bridged, it answers 400.
	code := 400
	for range 20 {
		if err := in.Refer("601"); err != nil {
			t.Fatal(err)
		}
		if code = transferred(t, b); code != 400 {
			break
		}
	}
	if code != 200 {
		t.Errorf("transfer ended with %d", code)
	}
	in.Hangup()
	ended(t, b)
}

// transferred waits for the end of a transfer.
func transferred(t *testing.T, s *realSeat) int {
	t.Helper()
	for {
		select {
		case e := <-s.ua.Events():
			switch e := e.(type) {
			case sipua.ReferStatus:
				if e.Done {
					return e.Code
				}
			case sipua.Reoffer:
				e.Call.AnswerReoffer(s.description("active", "sendrecv"))
			case sipua.Identity:
			default:
				t.Fatalf("%T %+v", e, e)
			}
		case <-time.After(40 * time.Second):
			t.Fatal("the transfer does not end")
		}
	}
}

func TestRealPBXAttendedTransfer(t *testing.T) {
	a, b := pair(t)
	out, in := connect(t, a, b)
	if _, err := in.Reinvite(t.Context(), b.description("actpass", "sendonly")); err != nil {
		t.Fatal(err)
	}
	consult, err := b.ua.Invite("600", b.description("actpass", "sendrecv"))
	if err != nil {
		t.Fatal(err)
	}
	nextReal[sipua.Answered](t, b.ua)
	if err := in.ReferReplaces(consult); err != nil {
		t.Fatal(err)
	}
	if code := transferred(t, b); code != 200 {
		t.Errorf("transfer ended with %d", code)
	}
	in.Hangup()
	consult.Hangup()
	ended(t, b)
	ended(t, b)
	// The customer is in the echo now and stays there.
	select {
	case e := <-a.ua.Events():
		if _, over := e.(sipua.Ended); over {
			t.Errorf("%T %+v", e, e)
		}
	case <-time.After(2 * time.Second):
	}
	out.Hangup()
	ended(t, a)
}

func TestRealPBXHangsUp(t *testing.T) {
	a := newRealSeat(t, "101", nil)
	nextReal[sipua.Registered](t, a.ua)
	if _, err := a.ua.Invite("601", a.description("actpass", "sendrecv")); err != nil {
		t.Fatal(err)
	}
	nextReal[sipua.Answered](t, a.ua)
	if e := ended(t, a); !e.ByRemote {
		t.Errorf("%+v", e)
	}
}
