// Package button reads keys and switches on GPIO lines through periph and
// tells each edge. It does not debounce: periph has none to offer (its
// constant is unused and gpioutil.Debounce ignores its argument), and the
// seat's own keypad does it with the time in hand.
//
// What periph's gpioioctl does otherwise than its interface says is dealt with
// here, in one place:
//   - WaitForEdge(-1) returns at once and WaitForEdge(0) waits for ever: only
//     positive timeouts are used.
//   - A wait that timed out and one that was halted look the same, and edges
//     can be lost in the kernel's queue of 16: after every wait the level is
//     read and told if it is not what was told last.
//   - Only named lines are found by name: lines are (chip label, offset).
package button

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"
)

// poll bounds one wait, and so how long a lost edge stays unseen.
const poll = 500 * time.Millisecond

// Pin is what a key needs of a GPIO line.
type Pin interface {
	In(pull gpio.Pull, edge gpio.Edge) error
	Read() gpio.Level
	WaitForEdge(timeout time.Duration) bool
	Halt() error
}

// Line says where a key is wired.
type Line struct {
	Name      string // given back with each edge
	Chip      string // label of the GPIO chip
	Offset    int    // of the line on it
	ActiveLow bool   // pressed is low
	Pull      gpio.Pull
}

// Key is a line with its pin.
type Key struct {
	Line Line
	Pin  Pin
}

// Open finds the pins of the lines. The driver must have been initialised
// (host.Init).
func Open(lines []Line) ([]Key, error) {
	var keys []Key
	for _, l := range lines {
		p, err := find(l.Chip, l.Offset)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", l.Name, err)
		}
		keys = append(keys, Key{l, p})
	}
	return keys, nil
}

func find(label string, offset int) (*gpioioctl.GPIOLine, error) {
	var have []string
	for _, c := range gpioioctl.Chips {
		if c.Label() != label && c.Name() != label {
			have = append(have, c.Label())
			continue
		}
		if p := c.ByNumber(offset); p != nil {
			return p, nil
		}
		return nil, fmt.Errorf("GPIO chip %s has no line %d", label, offset)
	}
	return nil, fmt.Errorf("no GPIO chip %q here; there are %q", label, have)
}

// Run tells every edge of the keys until ctx ends; it returns at most half a
// second later. The level of each key is told once at the start if it is
// pressed. edge is called from one goroutine a key.
func Run(ctx context.Context, keys []Key, edge func(name string, pressed bool)) error {
	for _, k := range keys {
		if err := k.Pin.In(k.Line.Pull, gpio.BothEdges); err != nil {
			return fmt.Errorf("key %s: %w", k.Line.Name, err)
		}
	}
	var wg sync.WaitGroup
	for _, k := range keys {
		wg.Go(func() { k.watch(ctx, edge) })
	}
	wg.Wait()
	var errs []error
	for _, k := range keys {
		errs = append(errs, k.Pin.Halt())
	}
	return errors.Join(errs...)
}

func (k Key) watch(ctx context.Context, edge func(string, bool)) {
	told := false
	for ctx.Err() == nil {
		if now := bool(k.Pin.Read()) != k.Line.ActiveLow; now != told {
			told = now
			edge(k.Line.Name, now)
		}
		k.Pin.WaitForEdge(poll)
	}
}
