package seat

import (
	"errors"
	"sync"
	"time"

	"deskset/firmware/media"
)

// soundPatience is how long the pump's clock may stand still in a call. The
// headset's own watchdog has done what it can by then.
const soundPatience = 5 * time.Second

// soundCheck finds a pump that hangs.
type soundCheck struct {
	mu    sync.Mutex
	leg   *media.Leg
	clock int64
	since time.Duration // when both were seen first
}

func (c *soundCheck) check(p *media.Pump, now time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	leg, clock := p.Leg(), p.Clock()
	if leg == nil || leg != c.leg || clock != c.clock {
		c.leg, c.clock, c.since = leg, clock, now
		return nil
	}
	if now-c.since > soundPatience {
		return errors.New("the sound of a call stands still")
	}
	return nil
}
