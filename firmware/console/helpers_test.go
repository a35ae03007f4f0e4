package console_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/console/consoletest"
)

// clock is a wall clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2025, 3, 3, 8, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

var testCert = sync.OnceValues(func() (tls.Certificate, error) {
	dir, err := os.MkdirTemp("", "deskset-console")
	if err != nil {
		return tls.Certificate{}, err
	}
	defer os.RemoveAll(dir)
	cert, _, err := console.SelfSigned(dir, []string{"localhost", "127.0.0.1", "seat.test"}, time.Now())
	return cert, err
})

// serve runs a console on a port of its own until the test ends.
func serve(t *testing.T, seat console.Seat, change func(*console.Config)) *console.Server {
	t.Helper()
	cert, err := testCert()
	if err != nil {
		t.Fatal(err)
	}
	cfg := console.Config{Addr: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Seat: seat, Now: time.Now}
	if change != nil {
		change(&cfg)
	}
	s, err := console.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

// client is one browser, as far as HTTP goes.
type client struct {
	t      *testing.T
	base   string // https://127.0.0.1:port
	http   *http.Client
	change func(*http.Request) // before each request is sent
}

func newClient(t *testing.T, s *console.Server) *client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	return &client{t: t, base: "https://" + s.Addr().String(), http: &http.Client{Jar: jar, Transport: tr, Timeout: 10 * time.Second}}
}

type answer struct {
	status int
	header http.Header
	body   []byte
	code   string // of a refusal
	pair   struct {
		State   string
		Code    string
		Seconds int
	}
}

func (c *client) ask(method, path, body string) answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if method != "GET" {
		r.Header.Set("Origin", c.base)
		r.Header.Set("Content-Type", "application/json")
	}
	if c.change != nil {
		c.change(r)
	}
	res, err := c.http.Do(r)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: b}
	if bytes.HasPrefix(b, []byte("{")) {
		var m struct{ Error struct{ Code string } }
		json.Unmarshal(b, &m)
		a.code = m.Error.Code
		json.Unmarshal(b, &a.pair)
	}
	return a
}

// pair goes the whole way: a code, the key on the desk, a cookie.
func (c *client) pair(s *console.Server) {
	c.t.Helper()
	if a := c.ask("POST", "/api/pair", ""); a.status != 200 || a.pair.State != "waiting" {
		c.t.Fatalf("start: %d %s", a.status, a.body)
	}
	if !s.KeyPressed("help") {
		c.t.Fatal("the key was not for the browser")
	}
	if a := c.ask("POST", "/api/pair/claim", ""); a.status != 200 || a.pair.State != "paired" {
		c.t.Fatalf("claim: %d %s", a.status, a.body)
	}
}

// signedIn is a fake seat with agent 1024 at work.
func signedIn(t *testing.T) *consoletest.Fake {
	t.Helper()
	f := consoletest.NewFake(nil)
	if err := f.Do(t.Context(), console.Action{Kind: console.SignIn, Agent: "1024"}); err != nil {
		t.Fatal(err)
	}
	return f
}
