package fleet

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// StreamConfig says what the event stream needs and tells. The functions are
// called from the stream's own goroutines, one at a time each; they must not
// block for long.
type StreamConfig struct {
	Client *Client
	Centre crypto.PublicKey // pinned at enrolment; signs policies
	Held   uint64           // version of the policy that the seat holds, 0: none

	State  func() SeatState                  // what to report; asked on each Notify and each 2 s
	Policy func(p *Policy, doc []byte) error // a newer policy, verified; an error keeps the held version
	Hold   func(LegalHold)                   // may be nil
	Link   func(up bool, why error)          // may be nil; why is the last error when down
	Log    *slog.Logger

	Every   time.Duration // between reports, default 2 s
	Silence time.Duration // nothing from the centre for so long: the link is down; default 4 s
	Backoff Backoff       // between attempts
}

// Stream keeps one event stream to the centre.
type Stream struct {
	c      StreamConfig
	held   atomic.Uint64
	up     atomic.Bool
	notify chan struct{}
}

// NewStream checks the configuration; it starts nothing.
func NewStream(c StreamConfig) (*Stream, error) {
	if c.Client == nil || c.Client.Seat() == "" || c.Centre == nil || c.State == nil || c.Policy == nil || c.Log == nil {
		return nil, errors.New("event stream: client with certificate, centre key, State, Policy and Log are needed")
	}
	if c.Every <= 0 {
		c.Every = 2 * time.Second
	}
	if c.Silence <= 0 {
		c.Silence = 4 * time.Second
	}
	s := &Stream{c: c, notify: make(chan struct{}, 1)}
	s.held.Store(c.Held)
	return s, nil
}

// Notify asks for a report now. It never blocks.
func (s *Stream) Notify() {
	select {
	case s.notify <- struct{}{}:
	default:
	}
}

// Up says whether the centre is reached now.
func (s *Stream) Up() bool { return s.up.Load() }

// Held is the version of the newest policy accepted.
func (s *Stream) Held() uint64 { return s.held.Load() }

// Run keeps the stream until ctx ends, and returns ctx's error.
func (s *Stream) Run(ctx context.Context) error {
	for {
		err := s.session(ctx)
		if ctx.Err() != nil {
			s.link(false, ctx.Err())
			return ctx.Err()
		}
		s.link(false, err)
		s.c.Log.Info("event stream down", "err", err)
		if err := s.c.Backoff.Wait(ctx); err != nil {
			return err
		}
	}
}

func (s *Stream) link(up bool, why error) {
	if s.up.Swap(up) != up && s.c.Link != nil {
		s.c.Link(up, why)
	}
}

// DialStream opens the bare event stream.
func (c *Client) DialStream(ctx context.Context) (*websocket.Conn, error) {
	u := *c.base
	u.Path = strings.TrimSuffix(u.Path, "/") + PathStream
	conn, _, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: c.http})
	if err != nil {
		return nil, fmt.Errorf("event stream: %w", err)
	}
	conn.SetReadLimit(MaxMessage)
	return conn, nil
}

// session is one connection, from dial to loss. It always returns an error.
func (s *Stream) session(ctx context.Context) error {
	dial, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := s.c.Client.DialStream(dial)
	if err != nil {
		return err
	}
	defer conn.CloseNow()

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	pongs := make(chan int64, 8)
	var wg sync.WaitGroup
	wg.Go(func() { stop(s.read(ctx, conn, pongs)) })
	wg.Go(func() { stop(s.write(ctx, conn, pongs)) })
	<-ctx.Done()
	conn.CloseNow() // frees a read in flight
	wg.Wait()
	return context.Cause(ctx)
}

func (s *Stream) read(ctx context.Context, conn *websocket.Conn, pongs chan<- int64) error {
	for {
		one, cancel := context.WithTimeout(ctx, s.c.Silence)
		typ, b, err := conn.Read(one)
		silent := one.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case silent:
			return fmt.Errorf("event stream: nothing heard from the centre for %v", s.c.Silence)
		case err != nil:
			return fmt.Errorf("event stream: %w", err)
		case typ != websocket.MessageText:
			return errors.New("event stream: the centre sent a binary message")
		}
		s.c.Backoff.Reset()
		s.link(true, nil)
		m, err := ParseMessage(b)
		switch {
		case errors.Is(err, ErrUnknownMessage):
		case err != nil:
			return fmt.Errorf("event stream: %w", err)
		case m.Ping != 0:
			select {
			case pongs <- m.Ping:
			case <-ctx.Done():
				return ctx.Err()
			}
		case m.Policy != "":
			s.accept([]byte(m.Policy))
		case m.Hold != nil && s.c.Hold != nil:
			s.c.Hold(*m.Hold)
		}
	}
}

// accept takes a policy if it is for this seat, signed, and newer than the
// held one. Anything else leaves the held one in force.
func (s *Stream) accept(doc []byte) {
	p, err := OpenPolicy(s.c.Centre, s.c.Client.Seat(), doc)
	switch {
	case err != nil:
		s.c.Log.Warn("policy refused", "err", err)
		return
	case p.Version == s.held.Load():
		return // sent again after a reconnection
	case p.Version < s.held.Load():
		s.c.Log.Warn("policy refused: it is older than the held one", "version", p.Version, "held", s.held.Load())
		return
	}
	if err := s.c.Policy(p, doc); err != nil {
		s.c.Log.Error("policy not taken up", "version", p.Version, "err", err)
		return
	}
	s.held.Store(p.Version)
}

func (s *Stream) write(ctx context.Context, conn *websocket.Conn, pongs <-chan int64) error {
	tick := time.NewTicker(s.c.Every)
	defer tick.Stop()
	state := true // report at once
	for {
		if state {
			st := s.c.State()
			if err := s.send(ctx, conn, Message{State: &st}); err != nil {
				return err
			}
			state = false
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case n := <-pongs:
			if err := s.send(ctx, conn, Message{Pong: n}); err != nil {
				return err
			}
		case <-tick.C:
			state = true
		case <-s.notify:
			state = true
		}
	}
}

func (s *Stream) send(ctx context.Context, conn *websocket.Conn, m Message) error {
	b, err := m.Encode()
	if err != nil {
		return fmt.Errorf("event stream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.Silence)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, b); err != nil {
		return fmt.Errorf("event stream: %w", err)
	}
	return nil
}
