package soundcard

import (
	"context"
	"errors"
	"time"
)

// attempt is the outcome of one try to open the headset.
type attempt struct {
	stream *stream
	dev    device
	err    error
}

// acquire tries until the headset is open; it returns nil when ctx ends first.
// There is at most one try at a time: if one hangs (a stopped PulseAudio
// server), its outcome is waited for, while Wait keeps the pace of the call.
func (c *Card) acquire(ctx context.Context, changed <-chan struct{}) (*stream, device) {
	began := time.Now()
	var said string
	for {
		got := c.try()
		slow := time.NewTimer(firstPeriod)
		var a attempt
		for waiting := true; waiting; {
			select {
			case a = <-got:
				waiting = false
			case <-slow.C:
				c.announce(Lost, "the sound server does not answer")
				c.log.Warn("opening the headset hangs", "backend", c.cfg.Backend)
			case <-ctx.Done():
				slow.Stop()
				c.close(unwanted(got))
				return nil, nil
			}
		}
		slow.Stop()
		if a.err == nil {
			return a.stream, a.dev
		}
		c.announce(Lost, a.err.Error())
		if said != a.err.Error() {
			said = a.err.Error()
			c.log.Debug("headset not opened", "id", c.cfg.Capture, "err", a.err)
		}
		wait := time.NewTimer(retry(time.Since(began), errors.Is(a.err, errAway)))
		select {
		case <-wait.C:
		case <-changed:
		case <-ctx.Done():
		}
		wait.Stop()
		if ctx.Err() != nil {
			return nil, nil
		}
	}
}

// unwanted is the device of a try that nobody waits for any more.
type unwanted <-chan attempt

func (got unwanted) close() {
	if a := <-got; a.err == nil {
		a.stream.dead.Store(1)
		a.dev.close()
	}
}

func (c *Card) try() <-chan attempt {
	got := make(chan attempt, 1)
	clk, _ := c.clock.(*fdClock) // a virtual headset ticks its clock itself
	go func() {
		s, dev, err := c.opener.open(func() *stream {
			return newStream(clk, c.cfg.EarChannels, c.cfg.Backend == ALSA)
		})
		got <- attempt{s, dev, err}
	}()
	return got
}

// retry is the pause between two tries, by how long the headset has been away:
// a jolted plug returns within seconds, a headset taken home tomorrow. A device
// that is there but cannot be opened (busy, no permission) is asked seldom, as
// the sound libraries lose some memory each time.
func retry(away time.Duration, absent bool) time.Duration {
	switch {
	case away < 5*time.Second:
		return 100 * time.Millisecond
	case !absent:
		return 2 * time.Second
	case away < time.Minute:
		return 250 * time.Millisecond
	}
	return 500 * time.Millisecond
}
