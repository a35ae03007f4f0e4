package centre

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/floor"
	"deskset/firmware/fleet"

	"github.com/coder/websocket"
)

// Times of the event stream.
const (
	pingEvery  = time.Second
	silenceMax = 4 * time.Second // nothing heard for so long: the seat is offline
	writeMax   = 4 * time.Second
	burst      = 100 // messages of a seat at once, refilled by 20 a second
	refill     = 20
)

// handleStream is one seat's event stream, until it is lost.
func (s *server) handleStream(w http.ResponseWriter, r *http.Request, h authority.Holder) {
	conn, err := websocket.Accept(w, r, nil) // answers errors itself
	if err != nil {
		s.log.Info("event stream refused", "seat", h.Name, "err", err)
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(fleet.MaxMessage)
	link := s.Floor.Join(h.Name)
	defer link.Leave()
	s.log.Info("seat is online", "seat", h.Name)
	ctx, stop := context.WithCancelCause(r.Context())
	defer stop(nil)
	var wg sync.WaitGroup
	wg.Go(func() { stop(s.hear(ctx, conn, link)) })
	wg.Go(func() { stop(s.tell(ctx, conn, link, h)) })
	select {
	case <-ctx.Done():
	case <-s.done:
		stop(errors.New("the centre stops"))
	}
	conn.CloseNow()
	wg.Wait()
	s.log.Info("seat is offline", "seat", h.Name, "err", context.Cause(ctx))
}

// hear reads what the seat says.
func (s *server) hear(ctx context.Context, conn *websocket.Conn, link *floor.Link) error {
	allowed, last := float64(burst), s.now()
	for {
		one, cancel := context.WithTimeout(ctx, silenceMax)
		typ, b, err := conn.Read(one)
		silent := one.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case silent:
			return fmt.Errorf("nothing heard for %v", silenceMax)
		case err != nil:
			return err
		case typ != websocket.MessageText:
			return errors.New("the seat sent a binary message")
		}
		now := s.now()
		allowed = min(burst, allowed+refill*now.Sub(last).Seconds()) - 1
		if last = now; allowed < 0 {
			return errors.New("the seat sends too many messages")
		}
		m, err := fleet.ParseMessage(b)
		switch {
		case errors.Is(err, fleet.ErrUnknownMessage):
		case err != nil:
			return err
		case m.State != nil:
			link.Report(*m.State)
		case m.Pong != 0:
			link.Pong(time.Duration(now.UnixNano() - m.Pong))
		default:
			return errors.New("the seat sent what only the centre may send")
		}
	}
}

// tell pings, and sends a policy as soon as there is a newer one.
func (s *server) tell(ctx context.Context, conn *websocket.Conn, link *floor.Link, h authority.Holder) error {
	send := func(m fleet.Message) error {
		b, err := m.Encode()
		if err != nil {
			return err
		}
		one, cancel := context.WithTimeout(ctx, writeMax)
		defer cancel()
		return conn.Write(one, websocket.MessageText, b)
	}
	for _, hold := range s.holdsOf(h.Name) {
		if err := send(fleet.Message{Hold: &hold}); err != nil {
			return err
		}
	}
	var version uint64
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		if err := s.Roster.Admit(ctx, h); err != nil {
			return err
		}
		v, doc, err := s.Roster.Policy(ctx, h.Name)
		switch {
		case err != nil:
			s.log.Warn("no policy for the seat", "seat", h.Name, "err", err) // it keeps the one it has
		case v != version:
			if err := send(fleet.Message{Policy: string(doc)}); err != nil {
				return err
			}
			version = v
		}
		if err := send(fleet.Message{Ping: s.now().UnixNano()}); err != nil {
			return err
		}
		if err := s.pause(ctx, t.C, link, send); err != nil {
			return err
		}
	}
}

// pause sends what is queued until the next tick.
func (s *server) pause(ctx context.Context, tick <-chan time.Time, link *floor.Link, send func(fleet.Message) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-link.Replaced():
			return errors.New("a newer connection of the seat took over")
		case m := <-link.Out():
			if err := send(m); err != nil {
				return err
			}
		case <-tick:
			return nil
		}
	}
}
