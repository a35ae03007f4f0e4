package virtual

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Hand works a board from outside: it presses keys and sees lamps.
type Hand struct {
	conn net.Conn
	mu   sync.Mutex
	seen map[string]string
	news chan struct{}
	gone bool // the board hung up
}

// Reach connects to the board at path.
func Reach(ctx context.Context, path string) (*Hand, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("reach virtual board: %w", err)
	}
	h := &Hand{conn: c, seen: map[string]string{}, news: make(chan struct{})}
	go h.read()
	return h, nil
}

// Line sets a key down or up.
func (h *Hand) Line(line string, down bool) error {
	b, err := json.Marshal(Edge{line, down})
	if err != nil {
		return err
	}
	_, err = h.conn.Write(append(b, '\n'))
	return err
}

// Lamp is what a lamp shows now; empty before the board said so.
func (h *Hand) Lamp(lamp string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[lamp]
}

// Await waits until ok, called at each change with the lamps as they are, says
// true.
func (h *Hand) Await(ctx context.Context, ok func(lamp func(string) string) bool) error {
	for {
		h.mu.Lock()
		done := ok(func(l string) string { return h.seen[l] })
		news, gone := h.news, h.gone
		h.mu.Unlock()
		switch {
		case done:
			return nil
		case gone:
			return errors.New("the virtual board has hung up")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		}
	}
}

// Close lets go of every key.
func (h *Hand) Close() error { return h.conn.Close() }

func (h *Hand) read() {
	sc := bufio.NewScanner(h.conn)
	for sc.Scan() {
		var s Shows
		if json.Unmarshal(sc.Bytes(), &s) != nil {
			continue
		}
		h.mu.Lock()
		h.seen[s.Lamp] = s.Shows
		close(h.news)
		h.news = make(chan struct{})
		h.mu.Unlock()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = true
	close(h.news)
	h.news = make(chan struct{})
}
