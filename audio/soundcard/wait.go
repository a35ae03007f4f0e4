package soundcard

import (
	"context"
	"time"

	"deskset/audio/pcm"
)

const (
	// grace is how late a frame of the device may be before the monotonic clock
	// stands in for it; a period and 10 ms if that is longer.
	grace = 30 * time.Millisecond
	// early is how far ahead of the pace a frame of the device may be. More means
	// that it was stood in for already.
	early = 30 * time.Millisecond
	// idle is the pause after which Wait starts afresh instead of catching up.
	idle = 250 * time.Millisecond
	// pull is the share of a device frame's offset by which the pace follows the
	// device's clock.
	pull = 64
)

// pace is what Wait remembers; only the consumer touches it.
type pace struct {
	due    time.Time // when the next frame is due by the monotonic clock
	before time.Time // the last call
	owed   int       // frames the device has ready beyond the one returned
}

// Wait blocks until the next 20 ms frame is due and returns nil: when the headset
// has recorded it, or, while there is no headset (or it stalls), by the
// monotonic clock without drift. After a stall it returns as often as frames
// were missed. It returns ctx's error within 50 ms of its end. One consumer.
func (c *Card) Wait(ctx context.Context) error {
	p := &c.pace
	now := time.Now()
	if now.Sub(p.before) > idle {
		c.clock.poll() // throw away what gathered in the pause
		p.owed, p.due = 0, now.Add(pcm.FrameTime)
		c.consumer.fresh = true
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.owed > 0 {
			p.owed--
			if p.take(time.Now()) {
				break
			}
			continue // it has been stood in for
		}
		s := c.cur.Load()
		limit := p.due
		if s != nil {
			limit = limit.Add(max(grace, c.period+10*time.Millisecond))
		}
		if time.Now().Before(limit) {
			p.owed = c.clock.wait(limit)
			continue
		}
		// Late: it may be the caller that was, with frames waiting.
		if p.owed = c.clock.poll(); p.owed > 0 {
			continue
		}
		if s != nil {
			c.poke()
		}
		p.due = p.due.Add(pcm.FrameTime)
		break
	}
	if s := c.cur.Load(); s != nil && s.earStalled(c.period) {
		c.poke()
	}
	p.before = time.Now()
	return nil
}

// take moves the pace on by a frame of the device; false if the frame is one
// that the monotonic clock has stood in for.
func (p *pace) take(now time.Time) bool {
	ahead := p.due.Sub(now)
	if ahead > early {
		return false
	}
	p.due = p.due.Add(pcm.FrameTime - ahead/pull)
	return true
}

func (s *stream) earStalled(period time.Duration) bool {
	_, ear := s.silentFor()
	return ear > stallPeriods*period
}
