// Package virtual is a panel without hardware: its keys are pressed and its
// lamps are watched over a unix socket. desksim and the stories use it; a seat
// on a real board never opens the socket.
//
// Each side sends JSON objects, one a line. To the board: {"line":"answer",
// "down":true}. From the board, once for every lamp when a peer connects and
// then at each change: {"lamp":"beacon","shows":"green"}.
package virtual

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// maxLine bounds one message of a peer, in bytes.
const maxLine = 4 << 10

// Edge is what a peer sends.
type Edge struct {
	Line string `json:"line"`
	Down bool   `json:"down"`
}

// Shows is what a peer gets.
type Shows struct {
	Lamp  string `json:"lamp"`
	Shows string `json:"shows"`
}

// ParseEdge reads one line from a peer.
func ParseEdge(b []byte) (Edge, error) {
	var e Edge
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("virtual board: %w", err)
	}
	if e.Line == "" {
		return e, errors.New(`virtual board: no "line" in message`)
	}
	return e, nil
}

// Board is the panel. Make it with New.
type Board struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex
	lamps []Shows // in the order in which they were first set
	peers map[*peer]struct{}
}

type peer struct {
	conn net.Conn
	out  chan Shows
}

// New makes a board whose socket will be at path.
func New(path string, log *slog.Logger) *Board {
	return &Board{path: path, log: log, peers: map[*peer]struct{}{}}
}

// Path of the socket.
func (b *Board) Path() string { return b.path }

// Set shows a colour, "off" or "on" at a lamp.
func (b *Board) Set(lamp, shows string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Shows{lamp, shows}
	for i := range b.lamps {
		if b.lamps[i].Lamp == lamp {
			if b.lamps[i].Shows == shows {
				return nil
			}
			b.lamps[i] = s
			b.tell(s)
			return nil
		}
	}
	b.lamps = append(b.lamps, s)
	b.tell(s)
	return nil
}

// tell drops a peer that does not read; mu is held.
func (b *Board) tell(s Shows) {
	for p := range b.peers {
		select {
		case p.out <- s:
		default:
			delete(b.peers, p)
			p.conn.Close()
		}
	}
}

// Run serves the socket until ctx ends; edge is called for each message, from
// one goroutine a peer. When a peer leaves, the lines it held are let go.
func (b *Board) Run(ctx context.Context, edge func(line string, down bool)) error {
	if err := os.MkdirAll(filepath.Dir(b.path), 0o755); err != nil {
		return fmt.Errorf("virtual board: %w", err)
	}
	if err := os.Remove(b.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("virtual board: %w", err)
	}
	ln, err := net.Listen("unix", b.path)
	if err != nil {
		return fmt.Errorf("virtual board: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	if err := os.Chmod(b.path, 0o600); err != nil { // a key is its owner's to press
		ln.Close()
		return fmt.Errorf("virtual board: %w", err)
	}
	var peers sync.WaitGroup
	defer peers.Wait()
	for {
		c, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("virtual board: %w", err)
		}
		p := &peer{conn: c, out: make(chan Shows, 256)}
		b.mu.Lock()
		for _, s := range b.lamps {
			p.out <- s
		}
		b.peers[p] = struct{}{}
		b.mu.Unlock()
		ctx, cancel := context.WithCancel(ctx)
		peers.Go(func() { b.write(ctx, p) })
		peers.Go(func() { defer cancel(); b.read(ctx, p, edge) })
	}
}

func (b *Board) read(ctx context.Context, p *peer, edge func(string, bool)) {
	stop := context.AfterFunc(ctx, func() { p.conn.Close() })
	defer stop()
	defer p.conn.Close()
	held := map[string]bool{}
	sc := bufio.NewScanner(p.conn)
	sc.Buffer(make([]byte, 0, maxLine), maxLine)
	for sc.Scan() {
		e, err := ParseEdge(sc.Bytes())
		if err != nil {
			b.log.Warn("virtual board: message skipped", "err", err)
			continue
		}
		held[e.Line] = e.Down
		edge(e.Line, e.Down)
	}
	for line, down := range held {
		if down {
			edge(line, false)
		}
	}
	b.mu.Lock()
	delete(b.peers, p)
	b.mu.Unlock()
}

func (b *Board) write(ctx context.Context, p *peer) {
	enc := json.NewEncoder(p.conn)
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-p.out:
			if p.conn.SetWriteDeadline(time.Now().Add(time.Second)) != nil || enc.Encode(s) != nil {
				p.conn.Close()
				return
			}
		}
	}
}
