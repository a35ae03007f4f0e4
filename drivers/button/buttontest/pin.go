// Package buttontest is a GPIO line without hardware that behaves as periph's
// gpioioctl does, not as its interface says.
package buttontest

import (
	"errors"
	"sync"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// Pin is a line that a test sets.
type Pin struct {
	mu     sync.Mutex
	level  gpio.Level
	edges  chan struct{} // the kernel's queue: 16 edges, then they are lost
	input  bool
	Pull   gpio.Pull
	Misuse int // waits with a timeout that the hardware gets wrong
}

// New makes a line at a level.
func New(l gpio.Level) *Pin { return &Pin{level: l, edges: make(chan struct{}, 16)} }

// Set changes the level from outside; edges beyond 16 unread ones are lost.
func (p *Pin) Set(l gpio.Level) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.level == l {
		return
	}
	p.level = l
	select {
	case p.edges <- struct{}{}:
	default:
	}
}

// Lose changes the level without an edge, as a full queue does.
func (p *Pin) Lose(l gpio.Level) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.level = l
}

func (p *Pin) In(pull gpio.Pull, edge gpio.Edge) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if edge != gpio.BothEdges {
		return errors.New("a key needs both edges")
	}
	p.input, p.Pull = true, pull
	return nil
}

func (p *Pin) Read() gpio.Level {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.level
}

// WaitForEdge: a negative timeout returns at once, zero waits for ever.
func (p *Pin) WaitForEdge(timeout time.Duration) bool {
	if timeout <= 0 {
		p.mu.Lock()
		p.Misuse++
		p.mu.Unlock()
		if timeout < 0 {
			return false
		}
		<-p.edges
		return true
	}
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case <-p.edges:
		return true
	case <-t.C:
		return false
	}
}

// Halt does nothing to a wait under way, as on the real one.
func (p *Pin) Halt() error { return nil }
