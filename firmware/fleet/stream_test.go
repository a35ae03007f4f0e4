package fleet_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"deskset/firmware/fleet"

	"github.com/coder/websocket"
)

// stub is a centre's end of event streams: what a test sends goes to the seat.
type stub struct {
	send  chan string
	conns chan *websocket.Conn
	heard chan fleet.Message
	url   string
	ca    []byte
}

func newStub(t *testing.T) *stub {
	s := &stub{send: make(chan string, 16), conns: make(chan *websocket.Conn, 16), heard: make(chan fleet.Message, 256)}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		s.conns <- c
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			defer cancel()
			for {
				_, b, err := c.Read(ctx)
				if err != nil {
					return
				}
				if m, err := fleet.ParseMessage(b); err == nil {
					select {
					case s.heard <- m:
					default:
					}
				}
			}
		}()
		for {
			select {
			case text := <-s.send:
				if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	s.url, s.ca = srv.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	return s
}

func seatClient(t *testing.T, s *stub, name string) *fleet.Client {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cl, err := fleet.NewClient(fleet.ClientConfig{URL: s.url, CA: s.ca, Chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

type told struct {
	policies chan uint64
	link     chan bool
	refuse   chan error // what the Policy callback answers, once each
}

func run(t *testing.T, s *stub, key crypto.PublicKey, held uint64) (*fleet.Stream, *told) {
	t.Helper()
	o := &told{policies: make(chan uint64, 16), link: make(chan bool, 64), refuse: make(chan error, 16)}
	st, err := fleet.NewStream(fleet.StreamConfig{
		Client: seatClient(t, s, "S-1"), Centre: key, Held: held,
		State: func() fleet.SeatState { return fleet.SeatState{State: "ready"} },
		Policy: func(p *fleet.Policy, _ []byte) error {
			o.policies <- p.Version
			select {
			case err := <-o.refuse:
				return err
			default:
				return nil
			}
		},
		Link: func(up bool, _ error) { o.link <- up },
		Log:  slog.New(slog.DiscardHandler), Every: 20 * time.Millisecond, Silence: 500 * time.Millisecond,
		Backoff: fleet.Backoff{Base: time.Millisecond, Max: 5 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- st.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return st, o
}

func next[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// Only a policy of the pinned key, for this seat, and newer than the held one
// gets through.
func TestStreamTakesOnlyNewerPolicies(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := newStub(t)
	st, o := run(t, s, pub, 5)
	push := func(k crypto.Signer, p fleet.Policy) {
		b, err := fleet.Message{Policy: string(sealPolicy(t, k, p))}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		s.send <- string(b)
	}
	push(key, policy("S-1", 4))   // older
	push(key, policy("S-1", 5))   // the same
	push(other, policy("S-1", 9)) // not the centre's
	push(key, policy("S-2", 9))   // not this seat's
	push(key, fleet.Policy{Version: 9, Seat: "S-1"})
	s.send <- `{"policy":"garbage"}`
	s.send <- `{"something":"newer centres say"}`
	o.refuse <- errors.New("disk full")
	push(key, policy("S-1", 6)) // not taken up: held stays
	if v := next(t, "policy", o.policies); v != 6 {
		t.Fatalf("version %d got through", v)
	}
	push(key, policy("S-1", 6)) // so it is offered again
	push(key, policy("S-1", 8))
	for _, want := range []uint64{6, 8} {
		if v := next(t, "policy", o.policies); v != want {
			t.Fatalf("version %d, want %d", v, want)
		}
	}
	for end := time.Now().Add(5 * time.Second); st.Held() != 8; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("held %d", st.Held())
		}
	}
}

func TestStreamReportsAndAnswers(t *testing.T) {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := newStub(t)
	st, o := run(t, s, pub, 0)
	for range 3 {
		if m := next(t, "report", s.heard); m.State == nil || m.State.State != "ready" {
			t.Fatalf("%+v", m)
		}
	}
	s.send <- `{"ping":42}`
	for next(t, "pong", s.heard).Pong != 42 {
	}
	if !next(t, "link", o.link) || !st.Up() {
		t.Fatal("down")
	}
	// Silence ends it, and it comes back by itself.
	if next(t, "silence", o.link) {
		t.Fatal("up twice")
	}
	next(t, "first line", s.conns)
	next(t, "second line", s.conns)
	s.send <- `{"ping":43}`
	if !next(t, "link again", o.link) {
		t.Fatal("down twice")
	}
	// So does garbage.
	s.send <- `{"ping":1,"pong":2}`
	if next(t, "garbage", o.link) {
		t.Fatal("up twice")
	}
}
