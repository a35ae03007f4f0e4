package centre

import (
	"sync"
	"time"
)

// limiter slows down who tries wrong tokens: one address by itself, and all
// together. Right ones cost nothing, so a whole floor may enrol in a morning.
type limiter struct {
	now func() time.Time

	mu   sync.Mutex
	from map[string]*bucket
	all  bucket
}

// Wrong tokens at once, and how fast they are forgiven.
const (
	oneBurst, oneEvery = 10, 30 * time.Second
	allBurst, allEvery = 200, time.Second
	maxAddresses       = 10_000
)

type bucket struct {
	fails float64
	at    time.Time
}

func (b *bucket) drain(now time.Time, every time.Duration) {
	b.fails = max(0, b.fails-now.Sub(b.at).Seconds()/every.Seconds())
	b.at = now
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, from: map[string]*bucket{}}
}

// blocked says how long an address must wait, 0 if it may try.
func (l *limiter) blocked(from string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.all.drain(now, allEvery)
	wait := time.Duration(0)
	if l.all.fails > allBurst-1 {
		wait = allEvery
	}
	if b := l.from[from]; b != nil {
		b.drain(now, oneEvery)
		if b.fails > oneBurst-1 {
			wait = oneEvery
		}
	}
	return wait
}

func (l *limiter) failed(from string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.from[from]
	if b == nil {
		l.prune(now)
		b = &bucket{at: now}
		l.from[from] = b
	}
	b.drain(now, oneEvery)
	b.fails++
	l.all.drain(now, allEvery)
	l.all.fails++
}

// prune keeps the list short: first those forgiven, then whoever.
func (l *limiter) prune(now time.Time) {
	if len(l.from) < maxAddresses {
		return
	}
	for a, b := range l.from {
		if b.drain(now, oneEvery); b.fails == 0 {
			delete(l.from, a)
		}
	}
	for a := range l.from {
		if len(l.from) < maxAddresses {
			return
		}
		delete(l.from, a)
	}
}
