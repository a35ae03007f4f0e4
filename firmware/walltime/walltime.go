// Package walltime says how far the clock may be trusted. A seat's own clock is
// wrong every morning, and the network's time can be forged; what it believes
// is a time that the centre has signed in answer to something fresh: a receipt
// names a recording's random id, which nobody could know before. From then on
// the monotonic clock counts. It is late by what the answer took on its way,
// never early, so nothing is deleted too soon.
package walltime

import (
	"sync"
	"time"
)

// Clock is the seat's knowledge of the time. Its methods may be called from any
// goroutine.
type Clock struct {
	now func() time.Time

	mu     sync.Mutex
	signed time.Time // newest time the centre signed
	at     time.Time // reading of now when it came
}

// New makes a clock that trusts nothing yet. now must carry a monotonic
// reading, as time.Now does.
func New(now func() time.Time) *Clock { return &Clock{now: now} }

// Learn takes a time that the centre has signed just now in answer to
// something fresh, its signature verified. An older one changes nothing.
func (c *Clock) Learn(signed time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.read(); !ok || signed.After(t) {
		c.signed, c.at = signed, c.now()
	}
}

// Now is the time, and whether it may be trusted. Untrusted, it is the
// machine's own.
func (c *Clock) Now() (t time.Time, trusted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

func (c *Clock) read() (time.Time, bool) {
	now := c.now()
	if c.signed.IsZero() {
		return now, false
	}
	return c.signed.Add(now.Sub(c.at)), true
}
