package soundcard

import (
	"runtime"
	"sync/atomic"
	"time"

	"deskset/audio/pcm"
)

// consumer is the state of ReadMic and WriteEar. Only the consumer goroutine
// touches it, but for the counters that Stats reads.
type consumer struct {
	seen  *stream // the stream of the last call
	fresh bool    // drop what the microphone's ring has gathered
	held  bool    // the last frame was sound
	tail  int16   // its last sample
	base  int     // samples of a period of the device

	micFill, earFill *fill
	splice           [pcm.Frame + maxLag]int16
	micBuf           [pcm.Frame + maxLag]int16
	quiet            [2 * maxTarget]int16

	slips, moved       atomic.Uint64 // splices; samples left out or played twice
	micMissed          atomic.Uint64
	micLevel, earLevel atomic.Int64
	earTarget          atomic.Int64
}

func (k *consumer) init(periodMs int) {
	k.base = periodMs * pcm.Rate / 1000
	k.earTarget.Store(int64(k.base))
	k.start(nil)
}

// start forgets the last stream.
func (k *consumer) start(s *stream) {
	k.seen, k.fresh = s, true
	k.micFill, k.earFill = newFill(0, k.base), newFill(k.base, k.base)
}

// stream returns the headset's stream, or nil.
func (c *Card) stream() *stream {
	s := c.cur.Load()
	if s != nil && s != c.consumer.seen {
		c.consumer.start(s)
	}
	return s
}

// ReadMic fills frame, pcm.Frame samples, with the next 20 ms of the microphone.
// It returns false if there is nothing (the headset is lost or late); then the
// frame is silence, after a short ramp down from the last sound. One consumer.
func (c *Card) ReadMic(frame []int16) bool {
	k := &c.consumer
	frame = frame[:pcm.Frame]
	s := c.stream()
	if s == nil {
		return k.miss(frame)
	}
	defer runtime.KeepAlive(s)
	have := s.mic.Len()
	if k.fresh && have < pcm.Frame {
		s.mic.Skip(have)
		return k.miss(frame)
	}
	if k.fresh {
		k.fresh = false
		have -= s.mic.Skip(have - pcm.Frame)
		k.micFill.reset()
	}
	if have < pcm.Frame {
		k.micMissed.Add(1)
		return k.miss(frame)
	}
	k.micLevel.Store(int64(have - pcm.Frame))
	k.take(s, frame, max(k.micFill.next(have-pcm.Frame, 0), 0))
	if !k.held {
		rise(frame)
	}
	k.held, k.tail = true, frame[pcm.Frame-1]
	return true
}

// take reads a frame, of which about excess samples more are swallowed.
func (k *consumer) take(s *stream, frame []int16, excess int) {
	if excess < minLag {
		s.mic.Read(frame)
		return
	}
	x := k.micBuf[:pcm.Frame+min(excess, maxLag)]
	// The place of the splice may leave out less than asked for: what is left
	// over stays in the ring, so look before reading.
	n := s.mic.Peek(x)
	d := lag(x[:n], 0, min(excess, maxLag), excess > maxLag)
	shrink(frame, x[:pcm.Frame+d], 0, d)
	s.mic.Skip(pcm.Frame + d)
	k.slips.Add(1)
	k.moved.Add(uint64(d))
}

// miss fills frame with the end of a sound.
func (k *consumer) miss(frame []int16) bool {
	clear(frame)
	if k.held {
		for i := range ramp {
			frame[i] = int16(int32(k.tail) * int32(ramp-1-i) / ramp)
		}
	}
	k.held = false
	return false
}

// WriteEar gives the ear the next 20 ms, pcm.Frame samples. Without a headset
// they go nowhere. One consumer.
func (c *Card) WriteEar(frame []int16) {
	k := &c.consumer
	s := c.stream()
	if s == nil {
		return
	}
	defer runtime.KeepAlive(s)
	frame = frame[:pcm.Frame]
	level := s.ear.Len()
	_, silent := s.silentFor()
	since := int(silent * pcm.Rate / time.Second)
	k.earLevel.Store(int64(level))
	change := k.earFill.next(margin(level, k.base, since), s.underruns.Load())
	if s.primed.Load() == 0 {
		// Nothing is playing: lay the reserve down as silence, once, and let the
		// sound rise out of it.
		k.earFill.reset()
		if need := reserve(k.earFill.target, k.base, since) - level; need > 0 {
			s.ear.Write(k.quiet[:need])
		}
		s.ear.Write(rise(k.splice[:copy(k.splice[:], frame)]))
		s.primed.Store(1)
	} else {
		s.ear.Write(k.fit(frame, change))
	}
	k.earTarget.Store(int64(k.earFill.target))
}

// rise fades the beginning of x in.
func rise(x []int16) []int16 {
	for i := range ramp {
		x[i] = int16(int32(x[i]) * int32(i) / ramp)
	}
	return x
}

// fit returns x shortened (change > 0) or lengthened by about change samples;
// the result is valid until the next call.
func (k *consumer) fit(x []int16, change int) []int16 {
	if change == 0 {
		return x
	}
	off := max(change, -change)
	// Half a deadband more than asked for is within it, and leaves the choice of
	// a better place.
	d := lag(x, 0, off+deadband/2, off > maxLag)
	if d < minLag {
		return x
	}
	k.slips.Add(1)
	k.moved.Add(uint64(d))
	if change > 0 {
		return k.splice[:shrink(k.splice[:], x, 0, d)]
	}
	return k.splice[:stretch(k.splice[:], x, 0, d)]
}
