package recording

import "deskset/audio/oggopus"

// source is one stream of the customer's (an SSRC), with where its RTP time
// lies on the time line.
type source struct {
	ssrc  uint32
	clock uint32
	seq   uint16 // newest
	ts    uint32 // of the newest
	pos   int64  // of the newest, samples
	dur   uint32 // of the newest, ticks
	at    int64  // its arrival

	// The smallest delay seen in the window at hand: what is left when
	// jitter is taken off is drift.
	windowEnd int64
	delay     int64
}

const (
	maxSources  = 4              // older ones are forgotten
	jump        = 48000 * 3 / 10 // samples; a time stamp further off is a jump
	driftWindow = 2 * pageLen    // samples
	driftMax    = 4 * slotLen    // off by more, the source is moved by a slot
)

// place finds where on the time line a packet begins.
func (r *Recorder) place(p Packet) (pos int64, ok bool) {
	clock := p.Codec.ClockRate()
	n, err := p.Codec.Samples(p.Payload)
	if err != nil || clock == 0 {
		return 0, false // comfort noise, DTMF, or damaged
	}
	arrival := p.At - r.origin
	dur := uint32(int64(n) * int64(clock) / 48000)
	s := r.source(p.SSRC)
	if s == nil || s.clock != clock {
		s = r.anchor(p, clock, dur, arrival)
		return s.pos, true
	}
	ticks := int64(int32(p.TS - s.ts))
	pos = s.pos + ticks*48000/int64(clock)
	newer := int16(p.Seq-s.seq) > 0
	if r.jumped(s, p, ticks, pos, arrival, newer) {
		s = r.anchor(p, clock, dur, arrival)
		return s.pos, true
	}
	if !newer {
		return pos, true
	}
	s.seq, s.ts, s.pos, s.dur, s.at = p.Seq, p.TS, pos, dur, arrival
	r.drift(s, arrival-pos)
	return s.pos, true
}

func (r *Recorder) source(ssrc uint32) *source {
	for _, s := range r.sources {
		if s.ssrc == ssrc {
			return s
		}
	}
	return nil
}

// jumped says that a packet's time has nothing to do with that of the one
// before. Packets that merely waited in the network keep their distance in RTP
// time; a jump breaks it between neighbours, or leads far away.
func (r *Recorder) jumped(s *source, p Packet, ticks, pos, arrival int64, newer bool) bool {
	if pos > arrival+pageLen || arrival-pos > 3*pageLen {
		return newer || pos > arrival+pageLen
	}
	if p.Seq != s.seq+1 || ticks == int64(s.dur) {
		return false
	}
	off := ticks*48000/int64(s.clock) - (arrival - s.at)
	return ticks <= 0 || off > jump || off < -jump
}

// anchor a source that is new or jumped: it goes on now, behind what is there.
func (r *Recorder) anchor(p Packet, clock, dur uint32, arrival int64) *source {
	slot := (arrival + slotLen/2) / slotLen
	if l := r.legs[customerLeg]; l.heard && slot <= l.last && l.last-slot < oggopus.PageSlots {
		slot = l.last + 1
	}
	s := r.source(p.SSRC)
	if s == nil {
		s = &source{}
		r.sources = append(r.sources, s)
		if len(r.sources) > maxSources {
			r.sources = r.sources[1:]
		}
	}
	*s = source{
		ssrc: p.SSRC, clock: clock, seq: p.Seq, ts: p.TS, pos: slot * slotLen, dur: dur, at: arrival,
		windowEnd: arrival + driftWindow, delay: arrival - slot*slotLen,
	}
	return s
}

// drift moves a source by one slot when even its quickest packets of two
// seconds are more than 80 ms off: the far end's clock is not ours.
func (r *Recorder) drift(s *source, delay int64) {
	if s.at < s.windowEnd {
		s.delay = min(s.delay, delay)
		return
	}
	switch {
	case s.delay > driftMax:
		s.pos += slotLen
	case s.delay < -driftMax:
		s.pos -= slotLen
	}
	s.windowEnd, s.delay = s.at+driftWindow, s.at-s.pos
}
