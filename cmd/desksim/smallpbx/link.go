package smallpbx

import (
	"deskset/audio/codec"
	"deskset/cmd/desksim/smallpbx/rtplite"
)

// inPacket is one received packet, classified.
type inPacket struct {
	ssrc    uint32
	seq     uint16
	ts      uint32
	marker  bool
	codec   codec.Codec // None for an event
	clock   uint32      // of an event
	payload []byte
}

// link carries one leg's incoming packets to a sender: as they are where both
// sides have the codec, else decoded and encoded again. It belongs to the
// goroutine that reads the leg's media.
type link struct {
	to *sender
	tc *transcoder
}

func (l *link) deliver(p inPacket) {
	a, ok := l.to.format()
	if !ok {
		return
	}
	switch {
	case p.codec == codec.None:
		l.event(p, a)
	case p.codec == a.send.Codec:
		l.tc = nil
		l.to.send(l, outPacket{ssrc: p.ssrc, seq: p.seq, ts: p.ts, marker: p.marker, payload: p.payload})
	default:
		if l.tc == nil || l.tc.in != p.codec || l.tc.out != a.send.Codec || l.tc.ssrc != p.ssrc {
			tc, err := newTranscoder(p.codec, a.send.Codec, p.ssrc)
			if err != nil {
				return
			}
			l.tc = tc
		}
		l.tc.push(p, func(o outPacket) { l.to.send(l.tc, o) })
	}
}

// event passes a telephone-event on, at the other side's clock.
func (l *link) event(p inPacket, a agreement) {
	if !a.hasEv {
		if l.tc == nil {
			l.to.send(l, outPacket{ssrc: p.ssrc, seq: p.seq, event: true}) // leaves no gap
		}
		return
	}
	e, err := rtplite.ParseEvent(p.payload)
	if err != nil {
		return
	}
	if p.clock != a.event.Clock && p.clock > 0 {
		e.Duration = uint16(min(uint64(e.Duration)*uint64(a.event.Clock)/uint64(p.clock), 0xffff))
	}
	if l.tc != nil && l.tc.ssrc == p.ssrc {
		l.tc.event(p, e.Bytes(), func(o outPacket) { l.to.send(l.tc, o) })
		return
	}
	l.to.send(l, outPacket{ssrc: p.ssrc, seq: p.seq, ts: p.ts, marker: p.marker, event: true, payload: e.Bytes()})
}

// transcoder turns one stream into another codec: packets of any length in,
// frames of 20 ms out, both on the stream's own time. A lost packet stays lost,
// so that whoever listens conceals it, once.
type transcoder struct {
	in, out codec.Codec
	ssrc    uint32
	dec     codec.Decoder
	enc     codec.Encoder

	set     bool
	baseTS  uint32 // incoming timestamp of sample 0
	lastTS  uint32
	lastSeq uint16
	next    int64 // sample that follows what stands in acc
	acc     []int16
	seq     uint16 // outgoing, of the next frame
	marker  bool
	pcm     []int16
	buf     []byte
}

func newTranscoder(in, out codec.Codec, ssrc uint32) (*transcoder, error) {
	dec, err := in.NewDecoder()
	if err != nil {
		return nil, err
	}
	enc, err := out.NewEncoder(0)
	if err != nil {
		return nil, err
	}
	return &transcoder{in: in, out: out, ssrc: ssrc, dec: dec, enc: enc,
		pcm: make([]int16, codec.MaxSamples), buf: make([]byte, codec.MaxPayload)}, nil
}

// position is a timestamp's sample.
func (t *transcoder) position(ts uint32) int64 {
	scale := int64(codec.Rate / t.in.ClockRate())
	return int64(int32(ts-t.baseTS)) * scale
}

func (t *transcoder) push(p inPacket, emit func(outPacket)) {
	if !t.set {
		t.set, t.baseTS, t.marker = true, p.ts, true
		t.lastSeq = p.seq - 1
	}
	at := t.position(p.ts)
	lost := int(int16(p.seq - t.lastSeq - 1))
	gap := at - t.next
	switch {
	case lost < 0 && gap <= 0 && lost > -100:
		return // late or twice: its place has gone out
	case lost < 0 || gap < 0 || gap > 10*codec.Rate:
		// The stream jumped: go on from here as if it had not.
		t.flush(emit)
		scale := int64(codec.Rate / t.in.ClockRate())
		t.baseTS = p.ts - uint32(t.next/scale)
		t.marker = true
	case gap > 0:
		t.flush(emit)
		at = t.position(p.ts)
		if lost > 0 {
			t.seq += uint16((at - t.next + codec.Frame/2) / codec.Frame)
		} else {
			t.marker = true // a pause of the speaker
		}
		t.next = at
	}
	t.lastSeq, t.lastTS = p.seq, p.ts
	n, err := t.dec.Decode(t.pcm, p.payload)
	if err != nil {
		return
	}
	t.acc = append(t.acc, t.pcm[:n]...)
	t.next += int64(n)
	for len(t.acc) >= codec.Frame {
		t.frame(t.acc[:codec.Frame], emit)
		t.acc = append(t.acc[:0], t.acc[codec.Frame:]...)
	}
}

// flush sends what stands in acc, filled up with silence.
func (t *transcoder) flush(emit func(outPacket)) {
	if len(t.acc) == 0 {
		return
	}
	pad := codec.Frame - len(t.acc)
	t.acc = append(t.acc, make([]int16, pad)...)
	t.next += int64(pad)
	t.frame(t.acc, emit)
	t.acc = t.acc[:0]
}

// frame encodes one frame whose last sample is followed by what is left of acc.
func (t *transcoder) frame(pcm []int16, emit func(outPacket)) {
	n, err := t.enc.Encode(t.buf, pcm)
	if err != nil {
		return
	}
	start := t.next - int64(len(t.acc))
	emit(outPacket{seq: t.seq, ts: samplesToTicks(start, t.out), marker: t.marker, payload: t.buf[:n]})
	t.seq++
	t.marker = false
}

// event sends a telephone-event in the outgoing stream's numbering.
func (t *transcoder) event(p inPacket, payload []byte, emit func(outPacket)) {
	if !t.set {
		return
	}
	t.lastSeq = p.seq
	emit(outPacket{seq: t.seq, ts: samplesToTicks(t.position(p.ts), t.out), marker: p.marker, event: true, payload: payload})
	t.seq++
	// What the key covers is not sound that got lost.
	t.next = max(t.next, t.position(p.ts))
}
