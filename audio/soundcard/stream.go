package soundcard

import (
	"sync/atomic"
	"time"

	"deskset/audio/pcm"
	"deskset/audio/ring"
)

const (
	// ringSize holds 170 ms: more than any delay the controller would keep.
	ringSize = 8192
	// ramp is the fade against clicks at both ends of a gap: 5 ms.
	ramp = 240
	// maxPeriod is the most a callback may bring, 100 ms; more is dropped.
	maxPeriod = pcm.Rate / 10
)

// stream is one opening of the headset: the rings and counters its callbacks
// touch. A stream that was given up keeps its own, so that a callback which
// comes after its time can hurt nobody.
type stream struct {
	mic, ear *ring.Ring
	clock    clock
	base     time.Time // of lastMic and lastEar
	channels int       // of the ear
	trim     bool      // the first capture period is not sound (ALSA)

	dead             atomic.Bool
	micCalls         atomic.Uint64
	earCalls         atomic.Uint64
	lastMic, lastEar atomic.Int64 // ns since base, of the newest callback; 0 before the first
	underruns        atomic.Uint64
	primed           atomic.Bool // the ear has been given something to play

	// Only the capture callback touches these.
	micBuf  [maxPeriod]int16
	partial int // samples of the frame that is being filled
	// Only the playback callback touches these.
	earBuf  [maxPeriod]int16
	playing bool
	last    int16 // the newest sample that was played
	fade    int   // samples of the fade-in still to come
}

func newStream(c clock, channels int, trim bool) *stream {
	return &stream{
		mic: ring.New(ringSize), ear: ring.New(ringSize),
		clock: c, channels: channels, trim: trim, base: time.Now(),
	}
}

// onCapture takes little-endian mono samples from the device. It copies, counts
// and returns: no lock, no log, no allocation.
func (s *stream) onCapture(in []byte) {
	if s.dead.Load() {
		return
	}
	s.lastMic.Store(s.now())
	if s.micCalls.Add(1) == 1 && s.trim {
		return
	}
	n := pcm.Decode(s.micBuf[:], in)
	s.mic.Write(s.micBuf[:n])
	// A tick counts what the device recorded, even if the ring had no room for
	// it: the clock must not slow down because nobody listens.
	for s.partial += n; s.partial >= pcm.Frame; s.partial -= pcm.Frame {
		s.clock.tick()
	}
}

// onPlayback fills out with what the ear is due, silence if there is nothing.
// The same rules as for onCapture.
func (s *stream) onPlayback(out []byte) {
	if s.dead.Load() {
		clear(out)
		return
	}
	s.lastEar.Store(s.now())
	s.earCalls.Add(1)
	want := min(len(out)/(2*s.channels), maxPeriod)
	buf := s.earBuf[:want]
	got := 0
	if s.primed.Load() {
		got = s.ear.Read(buf)
	}
	s.shape(buf, got)
	if s.channels == 1 {
		pcm.Encode(out, buf)
		return
	}
	for i, v := range buf {
		lo, hi := byte(v), byte(uint16(v)>>8)
		out[4*i], out[4*i+1], out[4*i+2], out[4*i+3] = lo, hi, lo, hi
	}
}

// shape completes a period of which only the first got samples are sound: a
// ramp down from the last one, silence, and a ramp up when sound returns.
func (s *stream) shape(buf []int16, got int) {
	if got > 0 && !s.playing {
		s.playing, s.fade = true, ramp
	}
	for i := 0; i < got && s.fade > 0; i++ {
		buf[i] = int16(int32(buf[i]) * int32(ramp-s.fade) / ramp)
		s.fade--
	}
	if got > 0 {
		s.last = buf[got-1]
	}
	if got == len(buf) {
		return
	}
	if s.playing {
		s.playing = false
		s.primed.Store(false) // WriteEar builds the reserve up again
		s.underruns.Add(1)
	}
	rest := buf[got:]
	for i := range rest {
		if i >= ramp {
			break
		}
		rest[i] = int16(int32(s.last) * int32(ramp-1-i) / ramp)
	}
	if len(rest) > ramp {
		clear(rest[ramp:])
	}
	s.last = 0
}

func (s *stream) now() int64 { return int64(time.Since(s.base)) + 1 }

// flowing tells whether both directions have shown a first period.
func (s *stream) flowing() bool { return s.lastMic.Load() != 0 && s.lastEar.Load() != 0 }

// silentFor returns how long the slower of the two directions has brought
// nothing; before its first period that counts from the opening.
func (s *stream) silentFor() (mic, ear time.Duration) {
	now := s.now()
	return time.Duration(now - s.lastMic.Load()), time.Duration(now - s.lastEar.Load())
}
