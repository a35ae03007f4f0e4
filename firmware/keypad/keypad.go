// Package keypad turns the raw edges of the panel's keys into touches, presses
// and holds. Pure: time comes in with each edge, and the caller calls Tick at
// Deadline.
//
// A key acts on its first edge (Touch: a lamp may answer at once) and is then
// locked for 10 ms, so that a bouncing contact makes one edge. Only a key that
// is still down 5 ms after its first edge is a Press, which may do what cannot
// be taken back; else Untouch follows.
package keypad

import (
	"slices"
	"time"

	"deskset/firmware/panel"
)

// The debouncer's figures.
const (
	Lockout = 10 * time.Millisecond
	Confirm = 5 * time.Millisecond
	Stuck   = 30 * time.Second // a key held this long is a fault
)

// Holds are the keys that act when held, and for how long.
var Holds = map[panel.Key]time.Duration{
	panel.RecPause: time.Second,
	panel.Help:     3 * time.Second,
}

// Kind of what a key did.
type Kind uint8

const (
	Touch     Kind = iota // first edge
	Untouch               // it was not held for Confirm
	Press                 // held for Confirm
	LongPress             // a key of Holds reached its time
	StuckDown             // held for Stuck
	Release               // let go after a Press
	StuckFree             // let go after StuckDown
)

var kindNames = [...]string{"touch", "untouch", "press", "long-press", "stuck", "release", "free"}

func (k Kind) String() string { return kindNames[k] }

// Event is something a key did.
type Event struct {
	Kind Kind
	Key  panel.Key
	At   time.Duration
	Long bool // of Release: the key had reached its time before
}

// Keypad is the state of all keys. The zero value has every key up.
type Keypad struct {
	keys map[panel.Key]*key
	now  time.Duration
}

type key struct {
	raw    bool          // level of the last edge
	down   bool          // after debouncing
	locked time.Duration // edges before this wait
	since  time.Duration // of down
	passed Kind          // how far this press has come: Touch, Press, LongPress, StuckDown
}

// Edge takes the level of a key at a moment. Repeating a level does no harm,
// so a driver may re-read its lines when it fears to have lost an edge. A key
// that the panel does not have is none.
func (p *Keypad) Edge(k panel.Key, down bool, at time.Duration) []Event {
	out := p.Tick(at)
	if !slices.Contains(allKeys, k) {
		return out
	}
	if p.keys == nil {
		p.keys = make(map[panel.Key]*key)
	}
	x := p.keys[k]
	if x == nil {
		x = &key{}
		p.keys[k] = x
	}
	x.raw = down
	return append(out, x.settle(k, p.now)...)
}

// Tick lets time act on every key, in the panel's order.
func (p *Keypad) Tick(now time.Duration) []Event {
	var out []Event
	for {
		at := p.Deadline()
		if at == 0 || at > now {
			break
		}
		p.now = at
		for _, k := range allKeys {
			if x := p.keys[k]; x != nil {
				out = append(out, x.pass(k, at)...)
			}
		}
	}
	p.now = max(p.now, now)
	return out
}

// Deadline is when the next Tick is due; 0: never.
func (p *Keypad) Deadline() time.Duration {
	var soon time.Duration
	for k, x := range p.keys {
		if at := x.due(k, p.now); at != 0 && (soon == 0 || at < soon) {
			soon = at
		}
	}
	return soon
}

var allKeys = append(append([]panel.Key{}, panel.Keys...), panel.Inputs...)

// settle follows the raw level where the lock allows it.
func (x *key) settle(k panel.Key, at time.Duration) []Event {
	if x.raw == x.down || at < x.locked {
		return nil
	}
	x.locked = at + Lockout
	x.down = x.raw
	if x.down {
		x.since, x.passed = at, Touch
		return []Event{{Kind: Touch, Key: k, At: at}}
	}
	switch x.passed {
	case Touch:
		return []Event{{Kind: Untouch, Key: k, At: at}}
	case StuckDown:
		return []Event{{Kind: StuckFree, Key: k, At: at}}
	default:
		return []Event{{Kind: Release, Key: k, At: at, Long: x.passed == LongPress}}
	}
}

// due is the next moment at which time alone changes this key.
func (x *key) due(k panel.Key, now time.Duration) time.Duration {
	var soon time.Duration
	add := func(t time.Duration) {
		if t > now && (soon == 0 || t < soon) {
			soon = t
		}
	}
	if x.raw != x.down {
		add(max(x.locked, now+1))
	}
	if x.down {
		switch x.passed {
		case Touch:
			add(x.since + Confirm)
		case Press:
			if h, ok := Holds[k]; ok {
				add(x.since + h)
			}
			add(x.since + Stuck)
		case LongPress:
			add(x.since + Stuck)
		}
	}
	return soon
}

func (x *key) pass(k panel.Key, at time.Duration) []Event {
	var out []Event
	if x.down && x.passed == Touch && at >= x.since+Confirm {
		if x.raw {
			x.passed = Press
			out = append(out, Event{Kind: Press, Key: k, At: at})
		} else { // up at the moment that counts: nothing happened yet
			x.down = false
			out = append(out, Event{Kind: Untouch, Key: k, At: at})
		}
	}
	if h, ok := Holds[k]; ok && x.down && x.raw && x.passed == Press && at >= x.since+h {
		x.passed = LongPress
		out = append(out, Event{Kind: LongPress, Key: k, At: at})
	}
	if x.down && x.raw && (x.passed == Press || x.passed == LongPress) && at >= x.since+Stuck {
		x.passed = StuckDown
		out = append(out, Event{Kind: StuckDown, Key: k, At: at})
	}
	return append(out, x.settle(k, at)...)
}
