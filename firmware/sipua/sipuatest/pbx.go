// Package sipuatest is a PBX for tests: it answers by a script what a user
// agent says over an in-memory connection, so that hours of signalling pass in
// virtual time (testing/synctest). It shares no code with the user agent.
package sipuatest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"deskset/firmware/sipua"
)

// Patience is how long Expect waits, in virtual time.
const Patience = time.Hour

// PBX takes connections. Set Down to refuse them.
type PBX struct {
	tb    testing.TB
	links chan *Link

	mu    sync.Mutex
	down  error
	dials int
}

// New makes one that accepts.
func New(tb testing.TB) *PBX {
	return &PBX{tb: tb, links: make(chan *Link, 64)}
}

// Down makes the next dials fail with err; nil lets them through again.
func (p *PBX) Down(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = err
}

// Dials tells how often a connection was tried.
func (p *PBX) Dials() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials
}

// Dial is for sipua.Config.Dial.
func (p *PBX) Dial(ctx context.Context, url string) (sipua.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dials++
	if p.down != nil {
		return nil, p.down
	}
	l := &Link{
		pbx: p, tb: p.tb,
		toUA: make(chan any, 256), toPBX: make(chan []byte, 256),
		cut: make(chan struct{}), pings: make(chan struct{}, 256),
	}
	p.links <- l
	return l, nil
}

// Accept waits for the next connection.
func (p *PBX) Accept() *Link {
	p.tb.Helper()
	select {
	case l := <-p.links:
		return l
	case <-time.After(Patience):
		p.tb.Fatal("no connection came")
		return nil
	}
}

// Link is one connection, seen from both ends: the user agent's as a
// sipua.Conn, the PBX's by the methods that take messages.
type Link struct {
	pbx   *PBX
	tb    testing.TB
	toUA  chan any // []byte or error
	toPBX chan []byte
	cut   chan struct{}
	pings chan struct{}

	mu     sync.Mutex
	err    error
	deaf   bool // pings get no pong
	closed bool // by the user agent, politely
}

// Read is the user agent's.
func (l *Link) Read(ctx context.Context) ([]byte, error) {
	// What was sent before the cut is still read.
	select {
	case v := <-l.toUA:
		return item(v)
	default:
	}
	select {
	case v := <-l.toUA:
		return item(v)
	case <-l.cut:
		return nil, l.reason()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func item(v any) ([]byte, error) {
	if err, ok := v.(error); ok {
		return nil, err
	}
	return v.([]byte), nil
}

func (l *Link) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Write is the user agent's.
func (l *Link) Write(ctx context.Context, msg []byte) error {
	select {
	case <-l.cut:
		return l.reason()
	default:
	}
	select {
	case l.toPBX <- append([]byte(nil), msg...):
		return nil
	case <-l.cut:
		return l.reason()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ping is the user agent's.
func (l *Link) Ping(ctx context.Context) error {
	select {
	case l.pings <- struct{}{}:
	default:
	}
	l.mu.Lock()
	deaf := l.deaf
	l.mu.Unlock()
	if !deaf {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.cut:
		return l.reason()
	}
}

// Close is the user agent's.
func (l *Link) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = ctx.Err() == nil
	l.mu.Unlock()
	l.end(errors.New("closed by the user agent"))
	return nil
}

func (l *Link) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		close(l.cut)
	}
}

// Cut breaks the connection as a lost TCP does.
func (l *Link) Cut() { l.end(io.ErrUnexpectedEOF) }

// Deafen leaves pings unanswered from now on, as a dead network does.
func (l *Link) Deafen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf = true
}

// Gone waits until the connection is over and tells whether the user agent
// closed it politely.
func (l *Link) Gone() (politely bool) {
	l.tb.Helper()
	select {
	case <-l.cut:
	case <-time.After(Patience):
		l.tb.Fatal("the connection stays open")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// Send gives raw bytes to the user agent.
func (l *Link) Send(b []byte) { l.toUA <- b }

// SendError makes the user agent's next Read fail with err.
func (l *Link) SendError(err error) { l.toUA <- err }

// Next is the user agent's next message, whatever it is.
func (l *Link) Next() *Msg {
	l.tb.Helper()
	b := l.Raw()
	m, err := Parse(b)
	if err != nil {
		l.tb.Fatalf("the user agent sent %q: %v", b, err)
	}
	return m
}

// Raw is the next message as bytes.
func (l *Link) Raw() []byte {
	l.tb.Helper()
	select {
	case b := <-l.toPBX:
		return b
	default:
	}
	select {
	case b := <-l.toPBX:
		return b
	case <-l.cut:
		l.tb.Fatalf("waiting for a message, the connection ended: %v", l.reason())
	case <-time.After(Patience):
		l.tb.Fatal("waiting for a message, none came")
	}
	return nil
}

// Silent fails if the user agent says anything within d.
func (l *Link) Silent(d time.Duration) {
	l.tb.Helper()
	select {
	case b := <-l.toPBX:
		l.tb.Fatalf("expected silence, got %s", b)
	case <-time.After(d):
	}
}

// Expect is Next, which must be a request of this method, or a response when
// want is a code such as "200".
func (l *Link) Expect(want string) *Msg {
	l.tb.Helper()
	m := l.Next()
	if m.Method() != want && fmt.Sprint(m.Code()) != want {
		l.tb.Fatalf("expected %s, got\n%s", want, m)
	}
	return m
}

// Respond answers a request; headers are "Name: value". A To tag is added from
// 101 on: toTag, or one of its own when that is "".
func (l *Link) Respond(req *Msg, code int, toTag, body string, headers ...string) {
	l.toUA <- req.Response(code, toTag, body, headers...)
}

// Register answers one REGISTER without challenge, for expires seconds.
func (l *Link) Register(expires int) *Msg {
	l.tb.Helper()
	m := l.Expect("REGISTER")
	l.Respond(m, 200, "", "", fmt.Sprintf("Contact: %s;expires=%d", m.ContactURI(), expires))
	return m
}

// Try is Next for a PBX that expects nothing: ok is false when nothing came
// within d or the connection is over.
func (l *Link) Try(d time.Duration) (m *Msg, ok bool) {
	l.tb.Helper()
	select {
	case b := <-l.toPBX:
		m, err := Parse(b)
		if err != nil {
			l.tb.Errorf("the user agent sent %q: %v", b, err)
		}
		return m, err == nil
	case <-l.cut:
	case <-time.After(d):
	}
	return nil, false
}

// Over tells whether the connection has ended.
func (l *Link) Over() bool {
	select {
	case <-l.cut:
		return true
	default:
		return false
	}
}

// TryAccept is Accept with a patience of its own.
func (p *PBX) TryAccept(d time.Duration) (*Link, bool) {
	select {
	case l := <-p.links:
		return l, true
	case <-time.After(d):
		return nil, false
	}
}
