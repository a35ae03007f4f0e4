// Package centretest runs a whole small centre on the loopback for tests, with
// enrolled seats and sealed recordings as a seat makes them.
package centretest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"deskset/firmware/centre"
	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/roster"
	"deskset/firmware/fleet"
	"deskset/firmware/vault/sealed"
)

// Env is a serving centre.
type Env struct {
	Dir    string
	Centre *centre.Centre
	URL    string
	CA     []byte
	Voice  *sealed.PrivateKey // the primary offline key
	Key    crypto.PublicKey   // the centre's, as seats pin it
	Stop   func()             // waits until nothing is served any more
	log    *slog.Logger
	now    func() time.Time
}

// Option changes a centre before it serves.
type Option func(*Env)

// Clock sets the centre's clock.
func Clock(now func() time.Time) Option { return func(e *Env) { e.now = now } }

// LogTo lets a test read what the centre logs, at every level.
func LogTo(w io.Writer) Option {
	return func(e *Env) { e.log = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})) }
}

// New makes a centre with voice keys and serves it until the test ends.
func New(t testing.TB, opts ...Option) *Env {
	t.Helper()
	e := &Env{Dir: filepath.Join(t.TempDir(), "centre"), now: time.Now, log: Log(t)}
	for _, o := range opts {
		o(e)
	}
	if _, err := centre.Init(e.Dir, "centre-1", []string{"127.0.0.1"}, e.now()); err != nil {
		t.Fatal(err)
	}
	keys := t.TempDir()
	if _, err := authority.MakeVoiceKeys(keys); err != nil {
		t.Fatal(err)
	}
	c, err := centre.Open(e.Dir, e.now, e.log)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := os.ReadFile(filepath.Join(keys, "voice.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AddVoice(t.Context(), pub); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(keys, "primary.key"))
	if err != nil {
		t.Fatal(err)
	}
	if e.Voice, err = sealed.ParsePrivate(b); err != nil {
		t.Fatal(err)
	}
	e.CA, e.Key = c.Keys.CA(), c.Public()
	e.Serve(t, "127.0.0.1:0")
	return e
}

// Serve opens the centre's directory and serves it, again after Stop.
func (e *Env) Serve(t testing.TB, addr string) {
	t.Helper()
	var err error
	if e.Centre, err = centre.Open(e.Dir, e.now, e.log); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	e.URL = "https://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Centre.Serve(ctx, l) }()
	stopped := false
	e.Stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("centre: %v", err)
		}
	}
	t.Cleanup(e.Stop)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if r, err := centre.Serving(e.Dir); err == nil && r.URL() == e.URL {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the centre does not begin to serve")
		}
	}
}

// Seat is an enrolled seat.
type Seat struct {
	Name   string
	Key    *ecdsa.PrivateKey
	Reply  fleet.EnrolReply
	Client *fleet.Client
	Policy *fleet.Policy
}

// Token adds a seat and returns its enrolment token.
func (e *Env) Token(t testing.TB, name string) string {
	t.Helper()
	a, err := e.Centre.Roster.Add(t.Context(), roster.New{Name: name, URL: "wss://pbx.example/ws", User: "8001", Password: "secret-of-the-pbx"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return a.Token
}

// Enrol adds a seat and enrols it over the network.
func (e *Env) Enrol(t testing.TB, name string) *Seat {
	t.Helper()
	return e.With(t, name, e.Token(t, name))
}

// With enrols a seat by a token.
func (e *Env) With(t testing.TB, name, token string) *Seat {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := fleet.Enrol(t.Context(), fleet.EnrolConfig{URL: e.URL, CA: e.CA, Token: token, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if reply.Seat != name {
		t.Fatalf("enrolled as %q", reply.Seat)
	}
	s := &Seat{Name: name, Key: key, Reply: reply}
	if s.Policy, err = fleet.OpenPolicy(e.Key, name, []byte(reply.PolicyJWS)); err != nil {
		t.Fatal(err)
	}
	s.Connect(t, e)
	return s
}

// Connect makes the seat's client anew, e.g. after the centre has moved.
func (s *Seat) Connect(t testing.TB, e *Env) {
	t.Helper()
	var err error
	if s.Client, err = fleet.NewClient(fleet.ClientConfig{URL: e.URL, CA: e.CA, Chain: []byte(s.Reply.Chain), Key: s.Key}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Client.Close)
}

// Auditor makes an auditor's client.
func (e *Env) Auditor(t testing.TB, name string) *fleet.Client {
	t.Helper()
	b, err := e.Centre.AddAuditor(t.Context(), name, e.URL, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Log writes to the test's output.
func Log(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Default fills in what New would, for an Env of a directory made otherwise.
func (e *Env) Default(t testing.TB) {
	e.now, e.log = time.Now, Log(t)
}
