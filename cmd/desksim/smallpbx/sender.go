package smallpbx

import (
	"math/rand/v2"
	"sync"
	"time"

	"deskset/audio/codec"
	"deskset/cmd/desksim/smallpbx/rtplite"

	"github.com/pion/rtp"
)

// sender is the one outgoing stream of a leg. Sources change (the other party,
// a tone, after a transfer another party), the stream goes on: one SSRC, sequence
// numbers without an artificial gap, timestamps that follow the wall clock. Gaps
// inside a source, which are real losses, pass on.
type sender struct {
	media  media
	impair rtplite.Impairer

	mu       sync.Mutex
	ssrc     uint32 // 0: the media's own
	src      any
	srcSSRC  uint32
	seqOff   uint16
	tsOff    uint32
	begun    bool
	seq      uint16
	ts       uint32
	at       time.Time
	agr      agreement
	agreed   bool
	interval uint32 // ticks of one frame
}

func newSender(m media, ownSSRC bool) *sender {
	s := &sender{media: m, seq: uint16(rand.Uint32()), ts: rand.Uint32()}
	if ownSSRC {
		s.ssrc = rand.Uint32() | 1
	}
	s.impair.Set(rtplite.Impairment{})
	return s
}

// format is what to send now.
func (s *sender) format() (agreement, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.agr, s.agreed
}

// renegotiated takes over what the media agreed on.
func (s *sender) renegotiated() {
	a, ok := s.media.agreed()
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok && (!s.agreed || a.send.Codec != s.agr.send.Codec) {
		s.src = nil // another clock: anchor anew
	}
	s.agr, s.agreed = a, ok
	s.interval = a.send.Codec.FrameTicks()
}

// outPacket is one packet in its source's own numbering, at the outgoing clock.
type outPacket struct {
	ssrc    uint32
	seq     uint16
	ts      uint32
	marker  bool
	event   bool
	payload []byte
}

// leap is how far a source's numbers may run from what they were before they
// count as a new source: 10 s.
const leap = 10

// send passes a packet of a source on.
func (s *sender) send(src any, p outPacket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.agreed {
		return
	}
	pt := s.agr.send.PT
	if p.event {
		if !s.agr.hasEv {
			if s.src == src {
				s.seqOff-- // ours to leave out: no gap
			}
			return
		}
		pt = s.agr.event.PT
	}
	now := time.Now()
	fresh := s.src != src || s.srcSSRC != p.ssrc
	if !fresh {
		d := int64(int32(p.ts + s.tsOff - s.ts))
		clock := int64(s.agr.send.Codec.ClockRate())
		passed := int64(now.Sub(s.at)) * clock / int64(time.Second)
		fresh = d-passed > leap*clock || passed-d > leap*clock
	}
	if fresh {
		next, seq := s.ts, s.seq
		if s.begun {
			passed := uint32(now.Sub(s.at) * time.Duration(s.agr.send.Codec.ClockRate()) / time.Second)
			next += max(passed, s.interval)
			seq++
		}
		s.src, s.srcSSRC = src, p.ssrc
		s.seqOff, s.tsOff = seq-p.seq, next-p.ts
		p.marker = true
	}
	h := rtp.Header{Version: 2, PayloadType: pt, SSRC: s.ssrc, Marker: p.marker,
		SequenceNumber: p.seq + s.seqOff, Timestamp: p.ts + s.tsOff}
	if !s.begun || int16(h.SequenceNumber-s.seq) > 0 {
		s.seq = h.SequenceNumber
		if !p.event && (!s.begun || int32(h.Timestamp-s.ts) > 0) {
			s.ts, s.at = h.Timestamp, now
		}
		s.begun = true
	}
	s.impair.Send(h, p.payload, s.media.write)
}

// samplesToTicks converts at 48 kHz to the codec's clock.
func samplesToTicks(n int64, c codec.Codec) uint32 {
	return uint32(n * int64(c.ClockRate()) / codec.Rate)
}
