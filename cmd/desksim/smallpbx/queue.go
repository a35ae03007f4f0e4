package smallpbx

import (
	"context"
	"slices"
	"time"
)

// busy tells whether an extension is in a call.
func (c *core) busy(ext string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.legs {
		if l.user == ext {
			return true
		}
	}
	return false
}

// members are the queue's, in the order of this round.
func (c *core) members() []string {
	m := c.cfg.Queue.Members
	if m == nil {
		c.mu.Lock()
		now := time.Now()
		for _, b := range c.bindings {
			if _, ws := b.flow.(*wsFlow); ws && b.alive(now) && !slices.Contains(m, b.user) {
				m = append(m, b.user)
			}
		}
		c.mu.Unlock()
		slices.Sort(m)
	}
	return m
}

// queue is 700: the caller waits with music while members are offered the call,
// one after another or all at once, round after round.
func (c *core) queue(ctx context.Context, l *leg) int {
	if err := l.answer(ctx); err != nil {
		return 0
	}
	q := c.cfg.Queue
	c.mu.Lock()
	l.app = "queue"
	l.sing(holdTone)
	c.mu.Unlock()
	wait, cancel := context.WithTimeout(ctx, q.MaxWait)
	defer cancel()
	for wait.Err() == nil {
		for _, exts := range c.round() {
			b, _ := c.reach(wait, l, exts, q.RingTime, q.Name, nil)
			if b != nil {
				if !c.bridge(l, b) {
					b.hangup("the caller is gone")
				}
				return 0
			}
			if wait.Err() != nil {
				break
			}
		}
		select {
		case <-time.After(q.Retry):
		case <-wait.Done():
		}
	}
	l.hangup("waited too long")
	return 0
}

// round is who is offered a call next: free members, in turn.
func (c *core) round() [][]string {
	var free []string
	for _, m := range c.members() {
		if t, code := c.locate(m); code == 0 && !c.busy(t.ext) {
			free = append(free, m)
		}
	}
	if len(free) == 0 {
		return nil
	}
	if c.cfg.Queue.RingAll {
		return [][]string{free}
	}
	c.mu.Lock()
	first := c.queueNext % len(free)
	c.queueNext++
	c.mu.Unlock()
	var out [][]string
	for i := range free {
		out = append(out, []string{free[(first+i)%len(free)]})
	}
	return out
}
