package smallpbx

import (
	"context"
	"time"

	"github.com/emiago/sipgo/sip"
)

// apps are the extensions that the PBX answers itself.
var apps = map[string]func(c *core, ctx context.Context, l *leg, ext string) int{
	"600": (*core).echo, "601": (*core).announce, "602": (*core).earlyRing, "603": (*core).onlyRing, "604": (*core).alwaysBusy,
}

func (c *core) echo(ctx context.Context, l *leg, ext string) int {
	if err := l.answer(ctx); err != nil {
		return 0
	}
	c.mu.Lock()
	l.app = ext
	if !l.ended {
		l.route.Store(&link{to: l.out})
	}
	c.mu.Unlock()
	return 0
}

// announceTime is how long the announcement lasts.
const announceTime = 5 * time.Second

func (c *core) announce(ctx context.Context, l *leg, ext string) int {
	if err := l.answer(ctx); err != nil {
		return 0
	}
	c.mu.Lock()
	l.app = ext
	l.sing(announcement)
	c.mu.Unlock()
	c.start(func() {
		select {
		case <-time.After(announceTime):
			l.hangup("announcement over")
		case <-l.done:
		case <-c.ctx.Done():
		}
	})
	return 0
}

func (c *core) earlyRing(ctx context.Context, l *leg, _ string) int {
	if err := l.early(ctx); err != nil {
		return sip.StatusNotAcceptableHere
	}
	c.mu.Lock()
	l.sing(ringBack)
	c.mu.Unlock()
	return c.waitRinging(ctx)
}

func (c *core) onlyRing(ctx context.Context, l *leg, _ string) int {
	l.progress()
	return c.waitRinging(ctx)
}

func (c *core) waitRinging(ctx context.Context) int {
	select {
	case <-time.After(c.cfg.RingTime):
		return sip.StatusTemporarilyUnavailable
	case <-ctx.Done():
		return 0
	}
}

func (c *core) alwaysBusy(context.Context, *leg, string) int { return sip.StatusBusyHere }
