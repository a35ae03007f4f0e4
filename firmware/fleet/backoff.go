package fleet

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff spreads retries with full jitter: the n-th wait is uniform in
// (0, min(Max, Base * 2^n)]. The zero value begins at 250 ms and stops growing
// at 15 s. It is not safe for concurrent use.
type Backoff struct {
	Base, Max time.Duration
	tries     int
}

// Reset starts over, after a success.
func (b *Backoff) Reset() { b.tries = 0 }

// Next is how long to wait now.
func (b *Backoff) Next() time.Duration {
	base, top := b.Base, b.Max
	if base <= 0 {
		base = 250 * time.Millisecond
	}
	if top <= 0 {
		top = 15 * time.Second
	}
	ceil := top
	if b.tries < 20 && base<<b.tries < top {
		ceil = base << b.tries
	}
	b.tries++
	return time.Duration(rand.Int64N(int64(ceil))) + 1
}

// Wait sleeps for Next, or until ctx ends and says why.
func (b *Backoff) Wait(ctx context.Context) error {
	t := time.NewTimer(b.Next())
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
