package media

import (
	"time"

	"deskset/audio/codec"
)

// inbound is what has been received.
type inbound struct {
	began    time.Time // keys agreed
	last     time.Time // newest RTP
	heard    bool
	silent   bool // the event is out
	source   source
	past     counts // of the sources before this one
	events   uint64 // telephone events, each once
	eventTS  uint32
	hasEvent bool
}

// counts are RFC 3550 figures of one or more sources.
type counts struct{ received, lost uint64 }

// source is one synchronisation source, RFC 3550 appendix A.
type source struct {
	ssrc     uint32
	active   bool
	base     int64 // first sequence number, extended
	highest  int64 // highest, extended
	received uint64
	transit  int64 // of the packet before, in ticks
	clock    uint32
	jitter   float64 // ticks
	// What the last report said.
	priorExpected, priorReceived uint64
}

// sound takes one decrypted RTP packet.
func (f *flow) sound(p []byte, at time.Time) {
	deal := f.leg.deal.Load()
	h := &f.hdr
	body := p[h.MarshalSize():]
	if h.Padding {
		if len(body) == 0 || int(body[len(body)-1]) > len(body) {
			return
		}
		body = body[:len(body)-int(body[len(body)-1])]
	}
	pt := h.PayloadType & 127
	c := deal.recvCodec[pt]
	f.in.note(h.SSRC, h.SequenceNumber, h.Timestamp, c, at.Sub(f.leg.born))
	f.in.last = at
	if !f.in.heard || f.in.silent {
		f.in.heard, f.in.silent = true, false
		f.leg.tell(LegHeard, nil)
	}
	switch {
	case deal.recvIsEvent[pt]:
		f.in.event(h.Timestamp, body)
	case c == codec.None || len(body) == 0 || !deal.dir.Receives():
	default:
		f.sink(Packet{
			Codec: c, PT: pt, Seq: h.SequenceNumber, TS: h.Timestamp, SSRC: h.SSRC, Marker: h.Marker,
			Payload: body, Arrival: at.Sub(f.leg.born),
		})
	}
}

// note counts a packet: sequence by RFC 3550 appendix A.1 (without probation:
// SRTP has authenticated the source), jitter by A.8.
func (in *inbound) note(ssrc uint32, seq uint16, ts uint32, c codec.Codec, at time.Duration) {
	s := &in.source
	if !s.active || s.ssrc != ssrc {
		in.past = in.total()
		*s = source{ssrc: ssrc, active: true, base: int64(seq), highest: int64(seq)}
	}
	s.received++
	ext := s.highest + int64(int16(seq-uint16(s.highest)))
	s.highest = max(s.highest, ext)
	s.base = min(s.base, ext)
	if c == codec.None {
		return
	}
	clock := c.ClockRate()
	// Wraps as the time stamp does; only the difference of two counts.
	transit := int64(int32(uint32(uint64(at)*uint64(clock)/uint64(time.Second)) - ts))
	if s.clock == clock {
		d := float64(int32(uint32(transit) - uint32(s.transit)))
		s.jitter += (max(d, -d) - s.jitter) / 16
	}
	s.clock, s.transit = clock, transit
}

func (s *source) expected() uint64 {
	if !s.active {
		return 0
	}
	return uint64(s.highest - s.base + 1)
}

func (s *source) lost() uint64 {
	return s.expected() - min(s.expected(), s.received) // duplicates may make it negative
}

func (in *inbound) total() counts {
	return counts{in.past.received + in.source.received, in.past.lost + in.source.lost()}
}

// event counts a telephone event at its first packet. Which digit it was is
// nobody's business here.
func (in *inbound) event(ts uint32, body []byte) {
	if len(body) < 4 || in.hasEvent && in.eventTS == ts {
		return
	}
	in.hasEvent, in.eventTS = true, ts
	in.events++
}

// listen notices that nothing comes any more though it should.
func (f *flow) listen() {
	if !f.leg.deal.Load().dir.Receives() {
		f.in.last = f.now // held: silence is what was asked for
		return
	}
	since := f.in.last
	if since.Before(f.in.began) {
		since = f.in.began
	}
	if !f.in.silent && f.now.Sub(since) >= f.leg.cfg.Silence {
		f.in.silent = true
		f.leg.tell(LegSilent, nil)
	}
}
