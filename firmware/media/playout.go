package media

import (
	"fmt"
	"time"

	"deskset/audio/codec"
	"deskset/audio/jitter"
	"deskset/firmware/record"
)

// buffered is the seat's jitter buffer with its decoder, as a Playout.
type buffered struct{ p *jitter.Playout }

func newPlayout(c codec.Codec) (Playout, error) {
	p, err := jitter.NewPlayout(c, jitter.Config{})
	if err != nil {
		return nil, fmt.Errorf("media playout of %s: %w", c, err)
	}
	return buffered{p}, nil
}

func (b buffered) Put(p Packet) {
	b.p.Put(jitter.Packet{SSRC: p.SSRC, Seq: p.Seq, TS: p.TS, Marker: p.Marker, Payload: p.Payload, Arrival: p.Arrival})
}

func (b buffered) Play(frame []int16, now time.Duration) { b.p.Tick(frame, now) }

func (b buffered) Count(s *record.Stats) {
	j := b.p.Stats()
	s.Late += j.Late
	s.Concealed += j.Concealed
	s.FEC += j.FEC
	s.BufferMs = j.BufferMs
}
