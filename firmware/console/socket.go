package console

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Close codes of a socket, beside those of RFC 6455.
const (
	closeEnded websocket.StatusCode = 4001 // the pairing has ended; the reason says why
	closeSlow  websocket.StatusCode = 4002 // the page did not read
)

// pingGap is how often a silent page is asked whether it is there.
const pingGap = 20 * time.Second

// getSocket pushes views and takes actions. Actions of one socket are done in
// their order, one at a time.
func (s *Server) getSocket(w http.ResponseWriter, r *http.Request) {
	sess := s.who(w, r)
	if sess == nil {
		return
	}
	if !s.door.enter(sess) {
		s.refuse(w, r, http.StatusTooManyRequests, &Error{Code: CodeRate, Text: "too many tabs"})
		return
	}
	defer s.door.exit(sess)
	if !s.hold() {
		s.refuse(w, r, http.StatusServiceUnavailable, &Error{Code: CodeFailed, Text: "the seat stops"})
		return
	}
	defer s.conns.Done()

	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	c.SetReadLimit(maxMessage)

	// The request's context is the server's: it ends with Run.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	p := &pusher{seat: s.cfg.Seat, door: &s.door, sess: sess, now: s.cfg.Now,
		write: func(ctx context.Context, b []byte) error { return c.Write(ctx, websocket.MessageText, b) }}

	var parts sync.WaitGroup
	parts.Go(func() { defer cancel(); s.readSocket(ctx, c, p) })
	parts.Go(func() { defer cancel(); keepAlive(ctx, c) })
	reason, err := p.run(ctx)
	switch {
	case reason != "":
		p.send(ctx, byeMessage{"bye", reason})
		c.Close(closeEnded, reason)
	case errors.Is(err, context.DeadlineExceeded):
		s.log.Info("console: page dropped, it does not read", "from", peer(r))
		c.Close(closeSlow, "slow")
	default:
		c.Close(websocket.StatusGoingAway, "")
	}
	cancel()
	parts.Wait()
}

// hold makes Run wait for a socket; false once it no longer does.
func (s *Server) hold() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.conns.Add(1)
	return true
}

// readSocket takes actions until the socket ends or says something that is no
// action at all.
func (s *Server) readSocket(ctx context.Context, c *websocket.Conn, p *pusher) {
	for {
		kind, b, err := c.Read(ctx)
		if err != nil {
			return
		}
		if kind != websocket.MessageText {
			c.Close(websocket.StatusUnsupportedData, "text only")
			return
		}
		id, a, err := decodeAction(b)
		if err != nil {
			c.Close(websocket.StatusPolicyViolation, "not an action")
			return
		}
		if p.send(ctx, replyMessage{"reply", id, s.do(ctx, p.sess, a)}) != nil {
			return
		}
	}
}

func keepAlive(ctx context.Context, c *websocket.Conn) {
	tick := time.NewTicker(pingGap)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		wait, cancel := context.WithTimeout(ctx, pingGap/2)
		err := c.Ping(wait)
		cancel()
		if err != nil {
			return
		}
	}
}
