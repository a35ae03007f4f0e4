// Package jitter makes an even stream of sound of RTP packets that come
// unevenly, twice, late, out of order, or not at all.
//
// Buffer holds packets and says, whenever more sound is needed, what to decode
// or conceal next. Its depth adapts: it follows the delay below which about 95
// percent of packets arrive, up at once and down slowly. Playout puts a decoder
// and time-scaling behind it and is what a call uses: Put each packet, Tick
// every 20 ms. Depth changes, and the drift between the sender's clock and the
// headset's, are made up by leaving out or repeating single pitch periods.
//
// Nothing here reads a clock or starts a goroutine: times are handed in, all on
// one monotonic clock. A Buffer or Playout belongs to one goroutine. In steady
// state nothing allocates.
package jitter

import (
	"math"
	"time"
)

// Packet is one RTP packet.
type Packet struct {
	SSRC    uint32
	Seq     uint16
	TS      uint32
	Marker  bool
	Payload []byte
	Arrival time.Duration
	// Comfort marks RFC 3389 comfort noise, whose payload type differs from
	// the codec's: Payload is the noise level (and filter, which is ignored).
	Comfort bool
}

// Kind says what a Frame asks for.
type Kind uint8

const (
	// Silence: nothing has come yet, or for so long that guessing would be a lie.
	Silence Kind = iota
	// Normal: decode Payload.
	Normal
	// FEC: rebuild the packet before Payload from it; it comes again as Normal.
	FEC
	// Conceal: a packet is missing; guess.
	Conceal
	// Comfort: the sender pauses and has sent a noise level.
	Comfort
)

func (k Kind) String() string {
	return [...]string{"silence", "normal", "fec", "conceal", "comfort"}[k]
}

// Frame is what comes next.
type Frame struct {
	Kind    Kind
	Payload []byte // of Normal and FEC; valid until the next Put or Get
	Samples int    // its length in samples at 48 kHz, a multiple of 2.5 ms but for odd Normal ones
	TS      int64  // unwrapped RTP time of Normal; it only ever grows
	Level   uint8  // of Comfort: dB below overload (RFC 3389 section 3)
	// Excess is how much later than need be packets are decoded: where it is
	// positive, shorten what is played by up to this, where negative, lengthen
	// it. 0: leave it.
	Excess time.Duration
}

// Stats counts since the Buffer was made. The fields that record.Stats has are
// named as there.
type Stats struct {
	Received  uint64  // packets, duplicates left out
	Lost      uint64  // by sequence number
	Late      uint64  // came after their time
	Concealed uint64  // 20 ms frames
	FEC       uint64  // 20 ms frames
	JitterMs  float64 // RFC 3550 section 6.4.1
	BufferMs  float64 // mean sound held back at a tick

	Duplicates  uint64        // packets
	Discarded   uint64        // packets: in time, but there were too many, or malformed
	Jumps       uint64        // sender began anew: other SSRC, time stamp, sequence
	Shortened   time.Duration // taken out by time-scaling (Playout)
	Lengthened  time.Duration // put in (Playout)
	Target      time.Duration // delay aimed at now, over the fastest packet
	Delay       time.Duration // delay now, over the fastest packet
	Underruns   uint64        // times that nothing was there to play
	ComfortMode bool
}

// Config says what a stream is. Zero members take the defaults.
type Config struct {
	ClockRate uint32 // RTP ticks a second
	// Samples is a payload's duration in 48 kHz samples; an error discards it.
	Samples func(payload []byte) (int, error)
	// HasFEC says whether a payload can rebuild the one before; nil: never.
	HasFEC func(payload []byte) bool

	// From the fastest packet of late to when a packet is decoded.
	Min   time.Duration // least; default 15 ms, and rounding adds 10 on average
	Max   time.Duration // most; default 500 ms
	Start time.Duration // until the network is known; default 40 ms
}

const (
	tick     = 20 * time.Millisecond // one Tick
	quantum  = 120                   // samples: 2.5 ms, the unit of concealment
	rate     = 48000
	slots    = 128  // packets held at most
	maxBytes = 2048 // payload taken at most

	guessFor  = 100 * time.Millisecond // concealment in a row before silence
	giveUp    = time.Second            // of nothing, then the stream starts over
	tooDeep   = 1 * time.Millisecond   // over target, and a packet, before sound is shortened
	tooFlat   = 8 * time.Millisecond   // under target before sound is lengthened
	phaseSpan = 16                     // ticks over which the earliest counts
)

// Buffer is the packets of one stream.
type Buffer struct {
	cfg   Config
	late  delays
	q     []entry // by time stamp
	free  [][]byte
	spent []byte // payload handed out last

	in      order
	out     time.Duration // sound handed out: ticks since the start
	phases  [phaseSpan]time.Duration
	ticks   int
	started bool
	placed  bool  // next is valid
	next    int64 // time stamp that follows what was handed out
	played  int64 // time stamp of the last Normal
	seq     int64 // its sequence number
	waiting time.Duration
	guessed time.Duration    // concealed in a row
	recent  [4]time.Duration // delay of the packets decoded last
	gets    int
	scaling int // +1 while shortening, -1 while lengthening
	comfort bool
	level   uint8

	stats     Stats
	concealed int64 // samples
	rebuilt   int64 // samples
	depth     time.Duration
	jitter    time.Duration // RFC 3550, times 16
	lastDelay time.Duration // of the packet that came before
}

type entry struct {
	seq, ts int64
	ticks   int64 // duration
	samples int
	payload []byte
	comfort bool
}

// New makes a buffer.
func New(cfg Config) *Buffer {
	if cfg.ClockRate == 0 {
		cfg.ClockRate = rate
	}
	if cfg.Samples == nil {
		cfg.Samples = func([]byte) (int, error) { return rate / 50, nil }
	}
	if cfg.Min == 0 {
		cfg.Min = 15 * time.Millisecond
	}
	if cfg.Max == 0 {
		cfg.Max = 500 * time.Millisecond
	}
	if cfg.Start == 0 {
		cfg.Start = 40 * time.Millisecond
	}
	b := &Buffer{cfg: cfg, q: make([]entry, 0, slots+1)}
	b.late = newDelays(cfg)
	b.played = math.MinInt64
	return b
}

// Stats tells how it goes.
func (b *Buffer) Stats() Stats {
	s := b.stats
	s.Concealed = uint64(b.concealed+rate/100) / (rate / 50)
	s.FEC = uint64(b.rebuilt+rate/100) / (rate / 50)
	s.JitterMs = float64(b.jitter) / 16 / float64(time.Millisecond)
	if b.ticks > 0 {
		s.BufferMs = float64(b.depth) / float64(b.ticks) / float64(time.Millisecond)
	}
	s.Lost = b.in.lost()
	s.Target = b.late.target - b.late.base()
	if b.placed {
		s.Delay = b.delay(b.next) - b.late.base()
	}
	s.ComfortMode = b.comfort
	return s
}

// time is when a time stamp would be, on the sender's clock.
func (b *Buffer) time(ts int64) time.Duration {
	c := int64(b.cfg.ClockRate)
	return time.Duration(ts/c)*time.Second + time.Duration(ts%c)*time.Second/time.Duration(c)
}

func (b *Buffer) toTicks(d time.Duration) int64 {
	c := int64(b.cfg.ClockRate)
	return int64(d/time.Second)*c + int64(d%time.Second)*c/int64(time.Second)
}

func (b *Buffer) samplesToTicks(n int) int64 { return int64(n) * int64(b.cfg.ClockRate) / rate }

func (b *Buffer) ticksToSamples(t int64) int64 { return t * rate / int64(b.cfg.ClockRate) }
