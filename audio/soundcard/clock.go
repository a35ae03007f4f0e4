package soundcard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// clock carries "one more frame is there" from the capture callback to Wait.
type clock interface {
	// fd is what a C callback writes the number of new frames to, or -1.
	fd() int
	// wait returns the number of frames since the last call, sleeping until there
	// is one or the deadline is reached (then 0).
	wait(deadline time.Time) int
	// poll is wait without sleeping.
	poll() int
	// close ends a wait and all later ones at their deadlines.
	close()
}

// fdClock is an eventfd in Go's network poller: a frame costs the callback one
// system call and wakes the waiting goroutine on the thread that polls, without
// a hop between threads.
type fdClock struct {
	event int
	file  *os.File
	buf   [8]byte
}

func newFDClock() (*fdClock, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make the audio clock's eventfd: %w", err)
	}
	return &fdClock{event: fd, file: os.NewFile(uintptr(fd), "audio-clock")}, nil
}

func (c *fdClock) fd() int { return c.event }

func (c *fdClock) wait(deadline time.Time) int {
	if c.file.SetReadDeadline(deadline) == nil {
		_, err := c.file.Read(c.buf[:])
		if err == nil {
			return int(binary.NativeEndian.Uint64(c.buf[:]))
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0
		}
	}
	time.Sleep(time.Until(deadline)) // closed: the pace goes on
	return 0
}

func (c *fdClock) poll() (n int) {
	raw, err := c.file.SyscallConn()
	if err != nil || c.file.SetReadDeadline(time.Time{}) != nil {
		return 0
	}
	_ = raw.Read(func(fd uintptr) bool {
		if got, err := unix.Read(int(fd), c.buf[:]); err == nil && got == len(c.buf) {
			n = int(binary.NativeEndian.Uint64(c.buf[:]))
		}
		return true
	})
	return n
}

func (c *fdClock) close() { _ = c.file.Close() }

// chanClock is the same made of a channel, for virtual time.
type chanClock struct {
	n    atomic.Int64
	wake chan struct{}
}

func newChanClock() *chanClock { return &chanClock{wake: make(chan struct{}, 1)} }

func (c *chanClock) fd() int { return -1 }

func (c *chanClock) tick(frames int) {
	if frames == 0 {
		return
	}
	c.n.Add(int64(frames))
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *chanClock) wait(deadline time.Time) int {
	if n := c.n.Swap(0); n > 0 {
		return int(n)
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	for {
		select {
		case <-c.wake:
			if n := c.n.Swap(0); n > 0 { // else they were taken before
				return int(n)
			}
		case <-t.C:
			return int(c.n.Swap(0))
		}
	}
}

func (c *chanClock) poll() int { return int(c.n.Swap(0)) }

func (c *chanClock) close() {}
