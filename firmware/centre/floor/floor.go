// Package floor knows how the seats stand at this moment: who is connected,
// what each reports, and since when one is gone.
package floor

import (
	"slices"
	"sync"
	"time"

	"deskset/firmware/fleet"
)

// Line is one seat on the floor. It names the agent and no customer.
type Line struct {
	Seat   string           `json:"seat"`
	Online bool             `json:"online"`
	Since  time.Time        `json:"since"`            // online or offline since then; zero: never seen
	State  *fleet.SeatState `json:"state,omitempty"`  // the last report; old if offline
	RTTMs  float64          `json:"rtt_ms,omitempty"` // of the last ping
	Alarms []string         `json:"alarms,omitempty"` // of the seat and of the centre about it
}

// Floor is safe for concurrent use.
type Floor struct {
	now func() time.Time

	mu    sync.Mutex
	seats map[string]*place
}

type place struct {
	line Line
	link *Link
	last time.Time // when the last report came
}

// Link is one seat's connection.
type Link struct {
	f    *Floor
	seat string
	out  chan fleet.Message
	gone chan struct{} // closed: another connection of the seat took over
}

// New is an empty floor.
func New(now func() time.Time) *Floor { return &Floor{now: now, seats: map[string]*place{}} }

// Join notes a seat's connection. A connection that it already has is told to
// go: the newer one is right, for a seat that lost its network does not know
// that the old one is dead.
func (f *Floor) Join(seat string) *Link {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.seats[seat]
	if p == nil {
		p = &place{line: Line{Seat: seat}}
		f.seats[seat] = p
	}
	if p.link != nil {
		close(p.link.gone)
	}
	if !p.line.Online {
		p.line.Online, p.line.Since = true, f.now().UTC()
	}
	p.link = &Link{f: f, seat: seat, out: make(chan fleet.Message, 64), gone: make(chan struct{})}
	return p.link
}

// Replaced is closed when a newer connection of the seat took over.
func (l *Link) Replaced() <-chan struct{} { return l.gone }

// Out is what Send gave for this connection.
func (l *Link) Out() <-chan fleet.Message { return l.out }

// Leave notes that the connection is gone.
func (l *Link) Leave() {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	if p := l.f.seats[l.seat]; p.link == l {
		p.link = nil
		p.line.Online, p.line.Since, p.line.RTTMs = false, l.f.now().UTC(), 0
	}
}

// Report notes what the seat says of itself.
func (l *Link) Report(s fleet.SeatState) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	if p := l.f.seats[l.seat]; p.link == l {
		p.line.State, p.last = &s, l.f.now()
	}
}

// Pong notes how long a ping took.
func (l *Link) Pong(rtt time.Duration) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	if p := l.f.seats[l.seat]; p.link == l && rtt >= 0 {
		p.line.RTTMs = float64(rtt.Microseconds()) / 1000
	}
}

// Send gives a message to the seat's connection; false if it has none or does
// not keep up (what matters is sent again at the next connection).
func (f *Floor) Send(seat string, m fleet.Message) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.seats[seat]
	if p == nil || p.link == nil {
		return false
	}
	select {
	case p.link.out <- m:
		return true
	default:
		return false
	}
}

// Lines lists the named seats and what is known of them, in that order.
func (f *Floor) Lines(seats []string) []Line {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Line, 0, len(seats))
	for _, name := range seats {
		l := Line{Seat: name}
		if p := f.seats[name]; p != nil {
			l = p.line
			if l.State != nil {
				s := *l.State
				s.Since += f.now().Sub(p.last).Milliseconds()
				l.State = &s
				l.Alarms = slices.Clone(s.Alarms)
			}
		}
		out = append(out, l)
	}
	return out
}
