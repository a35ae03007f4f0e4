package soundcard

import (
	"sync/atomic"
	"time"
)

// clock carries "one more frame is there" from the capture callback to Wait.
type clock interface {
	// wait returns the number of frames since the last call, sleeping until there
	// is one or the deadline is reached (then 0).
	wait(deadline time.Time) int
	// poll is wait without sleeping.
	poll() int
	// close ends a wait and all later ones at their deadlines. Frames that still
	// come are counted.
	close()
}

// chanClock is the same made of a channel, for virtual time.
type chanClock struct {
	n    atomic.Int64
	wake chan struct{}
}

func newChanClock() *chanClock { return &chanClock{wake: make(chan struct{}, 1)} }

func (c *chanClock) tick(frames int) {
	if frames == 0 {
		return
	}
	c.n.Add(int64(frames))
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *chanClock) wait(deadline time.Time) int {
	if n := c.n.Swap(0); n > 0 {
		return int(n)
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	for {
		select {
		case <-c.wake:
			if n := c.n.Swap(0); n > 0 { // else they were taken before
				return int(n)
			}
		case <-t.C:
			return int(c.n.Swap(0))
		}
	}
}

func (c *chanClock) poll() int { return int(c.n.Swap(0)) }

func (c *chanClock) close() {}
