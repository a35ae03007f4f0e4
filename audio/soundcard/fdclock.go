package soundcard

// #include <stdlib.h>
// #include "callback.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fdClock is the clock of real devices: an eventfd that the capture callback
// writes and a timerfd for the deadline, both in one epoll descriptor, which is
// what Go's network poller knows. A frame then wakes the waiting goroutine on
// the thread that polls, without a hop between threads.
//
// The deadline is no timer of Go's because that costs more than the frame
// itself: a goroutine that was made ready by one keeps its time slice from tick
// to tick, the scheduler's monitor takes that for 10 ms of running, preempts it
// and polls as long as it runs (229 against 566 context switches a second in an
// Opus call). A timerfd that is set again before it expires wakes nobody.
type fdClock struct {
	c       *C.deskset_clock
	frames  *atomic.Uint64
	waiting *atomic.Uint32

	event, timer int
	file         *os.File // the epoll descriptor
	raw          syscall.RawConn
	peek         func(uintptr) bool // c.look, bound once

	// Of one wait.
	deadline time.Time
	armed    bool
	got      int
	spec     unix.ItimerSpec
	buf      [8]byte
}

func newFDClock() (*fdClock, error) {
	c := &fdClock{event: -1, timer: -1}
	poll := -1
	err := func() (err error) {
		if c.event, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
			return err
		}
		if c.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
			return err
		}
		if poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return err
		}
		for _, fd := range []int{c.event, c.timer} {
			ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
			if err = unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
				return err
			}
		}
		// Go takes only what does not block into its poller.
		if err = unix.SetNonblock(poll, true); err != nil {
			return err
		}
		c.file = os.NewFile(uintptr(poll), "audio-clock")
		c.raw, err = c.file.SyscallConn()
		return err
	}()
	if err != nil {
		if c.file != nil {
			err = errors.Join(err, c.file.Close())
		} else if poll >= 0 {
			_ = unix.Close(poll)
		}
		for _, fd := range []int{c.event, c.timer} {
			if fd >= 0 {
				_ = unix.Close(fd)
			}
		}
		return nil, fmt.Errorf("make the audio clock: %w", err)
	}
	c.c = (*C.deskset_clock)(C.calloc(1, C.sizeof_deskset_clock))
	if c.c == nil {
		panic("soundcard: out of memory") // as Go itself would
	}
	c.c.fd = C.int32_t(c.event)
	c.frames = (*atomic.Uint64)(unsafe.Pointer(&c.c.frames))
	c.waiting = (*atomic.Uint32)(unsafe.Pointer(&c.c.waiting))
	c.peek = c.look
	runtime.AddCleanup(c, func(p *C.deskset_clock) { C.free(unsafe.Pointer(p)) }, c.c)
	return c, nil
}

func (c *fdClock) wait(deadline time.Time) int {
	c.deadline, c.armed, c.got = deadline, false, 0
	if c.raw.Read(c.peek) == nil {
		return c.got
	}
	time.Sleep(time.Until(deadline)) // closed: the pace goes on
	return c.poll()
}

// look is called by wait before it sleeps and after each waking; true ends it.
// The system calls are raw: none of them blocks, and to tell the scheduler of
// them wakes its monitor.
func (c *fdClock) look(uintptr) bool {
	if c.armed {
		c.drain(c.event)
	} else {
		c.armed = true
		c.spec.Value = unix.NsecToTimespec(max(int64(time.Until(c.deadline)), 1))
		unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(c.timer), 0, uintptr(unsafe.Pointer(&c.spec)), 0, 0, 0)
	}
	c.waiting.Store(1)
	if c.got = c.poll(); c.got > 0 || c.drain(c.timer) {
		c.waiting.Store(0)
		return true
	}
	return false
}

// drain reads what makes fd readable and tells whether there was something.
func (c *fdClock) drain(fd int) bool {
	_, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&c.buf[0])), uintptr(len(c.buf)))
	return e == 0
}

func (c *fdClock) poll() int {
	n := int(c.frames.Swap(0))
	runtime.KeepAlive(c)
	return n
}

// close may be called beside a wait, but only when no callback can come any
// more: it closes what they write to.
func (c *fdClock) close() {
	if c.file.Close() != nil { // waits until nobody looks any more
		return // was closed before
	}
	_ = unix.Close(c.event)
	_ = unix.Close(c.timer)
}
