// Package lamp drives the panel's lamps on GPIO lines through periph. It only
// writes: with periph's gpioioctl, Read or Func on an output line requests the
// line again as an input with a pull-up, and the lamp goes out.
package lamp

import (
	"fmt"
	"sync"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"
)

// Out is all that a lamp may touch of a GPIO line.
type Out interface {
	Out(gpio.Level) error
}

// Line says where one colour of a lamp is wired.
type Line struct {
	Lamp      string // "beacon", "dnd", ...
	Part      string // "red", "green", "blue"; empty: the lamp has one colour
	Chip      string // label of the GPIO chip
	Offset    int
	ActiveLow bool // lit is low
}

// Wire is a line with its output.
type Wire struct {
	Line Line
	Out  Out
}

// Panel is all lamps. Its methods may be called from any goroutine.
type Panel struct {
	mu    sync.Mutex
	lamps map[string][]Wire
}

// Open finds the lines' pins, all dark. The driver must have been initialised
// (host.Init).
func Open(lines []Line) (*Panel, error) {
	var wires []Wire
	for _, l := range lines {
		var out Out
		for _, c := range gpioioctl.Chips {
			if c.Label() == l.Chip || c.Name() == l.Chip {
				if p := c.ByNumber(l.Offset); p != nil {
					out = p
				}
			}
		}
		if out == nil {
			return nil, fmt.Errorf("lamp %s: no line %d at a GPIO chip %q", l.Lamp, l.Offset, l.Chip)
		}
		wires = append(wires, Wire{l, out})
	}
	return New(wires)
}

// New makes a panel of wires, all dark.
func New(wires []Wire) (*Panel, error) {
	p := &Panel{lamps: map[string][]Wire{}}
	for _, w := range wires {
		p.lamps[w.Line.Lamp] = append(p.lamps[w.Line.Lamp], w)
	}
	for name := range p.lamps {
		if err := p.Set(name, "off"); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// mixes are the colours of a three-colour lamp, each of red, green and blue on
// or off.
var mixes = map[string][3]bool{
	"off": {}, "red": {true, false, false}, "green": {false, true, false}, "blue": {false, false, true},
	"yellow": {true, true, false}, "amber": {true, true, false}, "purple": {true, false, true},
	"cyan": {false, true, true}, "white": {true, true, true}, "on": {true, true, true},
}

// Set shows a colour. A lamp of one colour is lit by anything but "off"; a
// lamp that is not wired is none of ours. Amber and yellow are one on a lamp
// without brightness; the lamp of the key tells them apart.
func (p *Panel) Set(lamp, colour string) error {
	mix, ok := mixes[colour]
	if !ok {
		return fmt.Errorf("lamp %s: no colour %q", lamp, colour)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.lamps[lamp] {
		lit := colour != "off"
		switch w.Line.Part {
		case "red":
			lit = mix[0]
		case "green":
			lit = mix[1]
		case "blue":
			lit = mix[2]
		}
		if err := w.Out.Out(gpio.Level(lit != w.Line.ActiveLow)); err != nil {
			return fmt.Errorf("lamp %s: %w", lamp, err)
		}
	}
	return nil
}
