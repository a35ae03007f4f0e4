package soundcard

import (
	"sync"
	"testing"
	"time"

	"deskset/audio/pcm"
)

func newTestClock(t *testing.T) *fdClock {
	t.Helper()
	c, err := newFDClock()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Every frame that a callback completes is given out once, whatever the moment
// at which the waiting one falls asleep.
func TestFDClockLosesNothing(t *testing.T) {
	c := newTestClock(t)
	defer c.close()
	s := newStream(c, 1, false)
	const frames = 20000
	var device sync.WaitGroup
	device.Go(func() {
		in := make([]int16, pcm.Frame)
		for i := range frames {
			s.capture(in)
			if i%64 == 0 {
				time.Sleep(50 * time.Microsecond)
			}
		}
	})
	got := 0
	for got < frames {
		n := c.wait(time.Now().Add(5 * time.Second))
		if n == 0 {
			t.Fatalf("slept through a frame: %d of %d", got, frames)
		}
		got += n
	}
	device.Wait()
	if got != frames || c.poll() != 0 {
		t.Errorf("%d frames of %d", got, frames)
	}
}

func TestFDClockDeadline(t *testing.T) {
	c := newTestClock(t)
	s := newStream(c, 1, false)
	for _, d := range []time.Duration{20 * time.Millisecond, 5 * time.Millisecond, -time.Millisecond, 0} {
		began := time.Now()
		if n := c.wait(began.Add(d)); n != 0 {
			t.Errorf("%d frames out of nothing", n)
		}
		if took := time.Since(began); took < d || took > d+100*time.Millisecond {
			t.Errorf("a deadline of %v was reached after %v", d, took)
		}
	}
	// A deadline that was not reached does not end a later wait.
	s.capture(make([]int16, pcm.Frame))
	if n := c.wait(time.Now().Add(10 * time.Millisecond)); n != 1 {
		t.Errorf("%d frames, want 1", n)
	}
	began := time.Now()
	if c.wait(began.Add(60*time.Millisecond)) != 0 || time.Since(began) < 60*time.Millisecond {
		t.Errorf("ended after %v", time.Since(began))
	}
	// Closing ends a wait at its deadline, not before and not never.
	began = time.Now()
	time.AfterFunc(10*time.Millisecond, c.close)
	if c.wait(began.Add(50 * time.Millisecond)); time.Since(began) < 50*time.Millisecond {
		t.Errorf("ended after %v", time.Since(began))
	}
	c.close()
}

// A headset that nobody listens to writes to no eventfd: between calls its
// frames wake nobody.
func TestFDClockSleepsAlone(t *testing.T) {
	c := newTestClock(t)
	defer c.close()
	s := newStream(c, 1, false)
	in := make([]int16, pcm.Frame)
	for range 50 {
		s.capture(in)
	}
	if c.drain(c.event) {
		t.Error("the eventfd was written though nobody waits")
	}
	if n := c.poll(); n != 50 {
		t.Errorf("%d frames of 50", n)
	}
}
