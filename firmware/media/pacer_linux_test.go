package media

import (
	"context"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pacer is a ticker paced as a sound card should pace: by a descriptor in the
// runtime's poller, without a timer of Go's. A goroutine that a Go timer wakes
// keeps its time slice from tick to tick; the scheduler's monitor takes that
// for 10 ms of running, preempts it and polls for as long as it encodes.
type pacer struct {
	*ticker
	file *os.File
	conn syscall.RawConn
	buf  [8]byte
	read func(fd uintptr) bool
}

func newPacer(t testing.TB) *pacer {
	t.Helper()
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	check(t, err)
	every := unix.NsecToTimespec(int64(frameTime))
	check(t, unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil))
	h := &pacer{ticker: newTicker(), file: os.NewFile(uintptr(fd), "pacer")}
	t.Cleanup(func() { h.file.Close() })
	h.conn, err = h.file.SyscallConn()
	check(t, err)
	h.read = func(fd uintptr) bool {
		_, _, e := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&h.buf[0])), uintptr(len(h.buf)))
		return e != unix.EAGAIN
	}
	return h
}

func (h *pacer) Wait(ctx context.Context) error {
	if err := h.conn.Read(h.read); err != nil {
		return err
	}
	return ctx.Err()
}
