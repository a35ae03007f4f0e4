package upload

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The body of one request keeps to the rate while a call is on, from the
// moment it begins to the moment it ends.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy atomic.Bool
		busy.Store(true)
		start := time.Now()
		p := &paced{ctx: t.Context(), r: bytes.NewReader(make([]byte, 1<<20)), busy: busy.Load, rate: 128_000, closed: make(chan struct{})}
		n, err := io.CopyN(io.Discard, p, 256_000)
		if took := time.Since(start); n != 256_000 || err != nil || took < 2*time.Second || took > 2100*time.Millisecond {
			t.Errorf("%d bytes in %v, %v", n, took, err)
		}
		busy.Store(false)
		start = time.Now()
		rest, err := io.Copy(io.Discard, p)
		if took := time.Since(start); rest != 1<<20-256_000 || took > 100*time.Millisecond || err != nil {
			t.Errorf("%d bytes in %v, %v", rest, took, err)
		}
	})
}

func TestPaceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := &paced{ctx: ctx, r: bytes.NewReader(make([]byte, 1<<20)), busy: func() bool { return true }, rate: 1, closed: make(chan struct{})}
		if _, err := io.Copy(io.Discard, p); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
