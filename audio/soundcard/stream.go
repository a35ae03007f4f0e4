package soundcard

// #include <stdlib.h>
// #include "callback.h"
import "C"

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"deskset/audio/pcm"
	"deskset/audio/ring"
)

const (
	ringSize = C.deskset_ring_size
	ramp     = C.deskset_ramp
)

// The clock ticks once a frame.
var _ = [1]int{}[pcm.Frame-C.deskset_frame]

// stream is one opening of the headset: the rings and counters its callbacks
// touch (callback.c), in memory of C. A stream that was given up keeps its own,
// so that a callback which comes after its time can hurt nobody; the memory is
// freed when neither the devices nor the consumer refer to the stream.
type stream struct {
	c        *C.deskset_stream
	clock    *fdClock // told of each frame by the capture callback, or nil
	mic, ear *ring.Ring
	base     time.Time // of lastMic and lastEar

	micCalls, earCalls, underruns *atomic.Uint64
	lastMic, lastEar              *atomic.Int64 // ns since base, of the newest callback; 0 before the first
	dead, primed, moved, direct   *atomic.Uint32
}

// newStream makes a stream whose capture callback tells clk, if it is not nil,
// of each frame.
func newStream(clk *fdClock, channels int, trim bool) *stream {
	c := (*C.deskset_stream)(C.calloc(1, C.sizeof_deskset_stream))
	if c == nil {
		panic("soundcard: out of memory") // as Go itself would
	}
	c.channels = C.int32_t(channels)
	if clk != nil {
		c.clock = clk.c
	}
	if trim {
		c.trim = 1
	}
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail for this clock
	c.base = C.int64_t(ts.Nano())
	s := &stream{
		c: c, clock: clk, base: time.Now(),
		mic:       over(&c.mic_buf, &c.mic),
		ear:       over(&c.ear_buf, &c.ear),
		micCalls:  (*atomic.Uint64)(unsafe.Pointer(&c.mic_calls)),
		earCalls:  (*atomic.Uint64)(unsafe.Pointer(&c.ear_calls)),
		underruns: (*atomic.Uint64)(unsafe.Pointer(&c.underruns)),
		lastMic:   (*atomic.Int64)(unsafe.Pointer(&c.last_mic)),
		lastEar:   (*atomic.Int64)(unsafe.Pointer(&c.last_ear)),
		dead:      (*atomic.Uint32)(unsafe.Pointer(&c.dead)),
		primed:    (*atomic.Uint32)(unsafe.Pointer(&c.primed)),
		moved:     (*atomic.Uint32)(unsafe.Pointer(&c.moved)),
		direct:    (*atomic.Uint32)(unsafe.Pointer(&c.direct)),
	}
	runtime.AddCleanup(s, func(c *C.deskset_stream) { C.free(unsafe.Pointer(c)) }, c)
	return s
}

func over(buf *[ringSize]C.int16_t, c *C.deskset_counters) *ring.Ring {
	return ring.Over((*[ringSize]int16)(unsafe.Pointer(buf))[:], (*ring.Counters)(unsafe.Pointer(c)))
}

// capture hands a period of mono samples to the capture callback and returns
// how many frames it completed.
func (s *stream) capture(in []int16) int {
	if len(in) == 0 {
		return 0
	}
	n := C.deskset_capture(s.c, (*C.int16_t)(&in[0]), C.uint32_t(len(in)), s.now())
	runtime.KeepAlive(s)
	return int(n)
}

// playback lets the playback callback fill a period, interleaved.
func (s *stream) playback(out []int16) {
	if n := len(out) / int(s.c.channels); n > 0 {
		C.deskset_playback(s.c, (*C.int16_t)(&out[0]), C.uint32_t(n), s.now())
	}
	runtime.KeepAlive(s)
}

// now is in virtual time within a test of virtual time, which C does not know.
func (s *stream) now() C.int64_t { return C.int64_t(time.Since(s.base) + 1) }

// side makes what one device of the stream gets as its user data, in memory of
// C; it is to be freed after the device.
func (s *stream) side(capture bool) unsafe.Pointer {
	side := (*C.deskset_side)(C.calloc(1, C.sizeof_deskset_side))
	if side == nil {
		panic("soundcard: out of memory")
	}
	side.stream = s.c
	if capture {
		side.capture = 1
	}
	return unsafe.Pointer(side)
}

func freeSide(p unsafe.Pointer) { C.free(p) }

// notification is the C function that a device is given besides.
func notification() *[0]byte { return (*[0]byte)(C.deskset_notification()) }

// flowing tells whether both directions have shown a first period.
func (s *stream) flowing() bool {
	ok := s.lastMic.Load() != 0 && s.lastEar.Load() != 0
	runtime.KeepAlive(s)
	return ok
}

// silentFor returns how long each direction has brought nothing; before its
// first period that counts from the opening.
func (s *stream) silentFor() (mic, ear time.Duration) {
	mic, ear = time.Duration(s.lastMic.Load()), time.Duration(s.lastEar.Load())
	runtime.KeepAlive(s)
	now := time.Since(s.base)
	return now - mic, now - ear
}
