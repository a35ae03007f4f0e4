package jitter

import (
	"fmt"
	"math"
	"time"

	"deskset/audio/codec"
	"deskset/audio/pcm"
)

const (
	// scaleEvery is the least time between two cuts, in ticks; a second cut in
	// the same place is heard.
	scaleEvery = 3
	// hurry: further off than this, cuts come thicker and rougher.
	hurry = 80 * time.Millisecond
	// trimFrom is the remainder, in samples, that is worth a cut: 5 ms.
	trimFrom = 240
)

// Playout is a Buffer, a decoder and time-scaling: packets in, an even stream
// of 48 kHz sound out.
type Playout struct {
	buf   *Buffer
	dec   codec.Decoder
	held  []int16 // decoded, not yet played
	rest  int     // ticks until time may be scaled again
	noise noise
	stats Stats
}

// NewPlayout makes the playout of a stream of codec c. cfg's ClockRate, Samples
// and HasFEC are the codec's; the delays may be set.
func NewPlayout(c codec.Codec, cfg Config) (*Playout, error) {
	dec, err := c.NewDecoder()
	if err != nil {
		return nil, fmt.Errorf("jitter: %w", err)
	}
	cfg.ClockRate, cfg.Samples = c.ClockRate(), c.Samples
	if c == codec.Opus {
		cfg.HasFEC = codec.HasFEC
	}
	return &Playout{
		buf: New(cfg), dec: dec,
		held: make([]int16, 0, pcm.Frame+codec.MaxSamples+maxLag),
	}, nil
}

// Put takes a packet as it came, late, repeated or out of order; it is copied.
func (p *Playout) Put(pkt Packet) { p.buf.Put(pkt) }

// Tick fills dst, which is one frame of pcm.Frame samples, with the next 20 ms.
// now is on the clock of Packet.Arrival.
func (p *Playout) Tick(dst []int16, now time.Duration) {
	p.buf.Tick(now)
	if p.rest > 0 {
		p.rest--
	}
	// Each pass adds at least 2.5 ms, but for scaling, which rest holds back.
	for first := true; len(p.held) < len(dst); first = false {
		p.more(first)
	}
	n := copy(dst, p.held)
	p.held = p.held[:copy(p.held, p.held[n:])]
}

// Stats tells how it goes.
func (p *Playout) Stats() Stats {
	s := p.buf.Stats()
	s.Shortened, s.Lengthened = p.stats.Shortened, p.stats.Lengthened
	s.Discarded += p.stats.Discarded
	return s
}

func (p *Playout) more(first bool) {
	f := p.buf.Get()
	at := len(p.held)
	room := p.held[at:cap(p.held)]
	n := f.Samples
	var err error
	switch f.Kind {
	case Normal:
		n, err = p.dec.Decode(room, f.Payload)
		if err != nil { // parsed well, but is not what libopus takes
			p.stats.Discarded++
			n = max(f.Samples/quantum, 1) * quantum
			err = p.dec.Conceal(room[:n])
		}
	case FEC:
		err = p.dec.FEC(room[:n], f.Payload)
	case Conceal:
		err = p.dec.Conceal(room[:n])
	case Comfort:
		p.noise.fill(room[:n], f.Level)
	case Silence:
		clear(room[:n])
	}
	if err != nil {
		clear(room[:n])
	}
	p.held = p.held[:at+n]
	if f.Kind != Normal || p.rest > 0 {
		return
	}
	switch {
	case f.Excess != 0:
		p.scale(f.Excess)
	case first && at >= trimFrom:
		// Scaling has left a remainder, less than a tick, which only delays.
		p.cut(min(at, maxLag), alike, scaleEvery)
	}
}

func (p *Playout) scale(excess time.Duration) {
	least, rest := alike, scaleEvery
	if max(excess, -excess) > hurry {
		least, rest = urgent, 1
	}
	if excess > 0 {
		p.cut(maxLag, least, rest)
		return
	}
	before := len(p.held)
	p.held = lengthen(p.held, least)
	if n := len(p.held) - before; n > 0 {
		p.stats.Lengthened += duration(n)
		p.rest = rest
	}
}

// cut takes out up to most samples.
func (p *Playout) cut(most int, least float64, rest int) {
	before := len(p.held)
	p.held = p.held[:shorten(p.held, most, least)]
	if n := before - len(p.held); n > 0 {
		p.stats.Shortened += duration(n)
		p.rest = rest
	}
}

func duration(samples int) time.Duration {
	return time.Duration(samples) * time.Second / pcm.Rate
}

// noise is comfort noise: white, softened by a one-pole filter.
type noise struct {
	seed uint32
	y    float64
}

// fill makes noise of a level in dB below overload (RFC 3389 section 3).
func (n *noise) fill(s []int16, level uint8) {
	const pole = 0.7
	// The gain that gives uniform noise of +-1, filtered, that RMS.
	amp := math.MaxInt16 * pcm.FromDB(-float64(level)) * math.Sqrt(3*(1-pole*pole))
	for i := range s {
		n.seed = n.seed*1664525 + 1013904223
		x := float64(int32(n.seed)) / (1 << 31)
		n.y = pole*n.y + x
		s[i] = pcm.Clamp32(float32(amp * n.y))
	}
}
