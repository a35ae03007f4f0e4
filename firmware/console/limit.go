package console

import (
	"sync"
	"time"
)

// bucket is a token bucket: rate a second, burst at once. The zero last fills
// it.
type bucket struct {
	rate, burst float64
	have        float64
	last        time.Time
}

func (b *bucket) take(now time.Time) bool {
	if b.last.IsZero() {
		b.have = b.burst
	} else if dt := now.Sub(b.last); dt > 0 {
		b.have = min(b.burst, b.have+b.rate*dt.Seconds())
	}
	b.last = now
	if b.have < 1 {
		return false
	}
	b.have--
	return true
}

// Classes of what a peer that is not paired may ask for, per address.
var (
	askToPair = class{"pair", 6.0 / 60, 3}  // a new code
	askAtAll  = class{"ask", 60.0 / 60, 30} // anything without a valid cookie: guesses
)

type class struct {
	name        string
	rate, burst float64
}

// limiter holds the buckets of all peers. It forgets the idle ones, and when
// too many peers come at once it lets no new one in: the seat has one agent.
type limiter struct {
	now func() time.Time
	mu  sync.Mutex
	all map[limitKey]*bucket
}

type limitKey struct{ class, peer string }

const maxPeers = 1024

func (l *limiter) allow(c class, peer string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	k := limitKey{c.name, peer}
	b := l.all[k]
	if b == nil {
		if len(l.all) >= maxPeers {
			for k, b := range l.all {
				if now.Sub(b.last) > 10*time.Minute {
					delete(l.all, k)
				}
			}
		}
		if len(l.all) >= maxPeers {
			return false
		}
		if l.all == nil {
			l.all = map[limitKey]*bucket{}
		}
		b = &bucket{rate: c.rate, burst: c.burst}
		l.all[k] = b
	}
	return b.take(now)
}
