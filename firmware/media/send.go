package media

import (
	"encoding/binary"
	"time"

	"deskset/audio/codec"
)

// rtpHead is the length of an RTP header without extensions or sources.
const rtpHead = 12

// outbound is what is sent.
type outbound struct {
	ssrc    uint32
	seq     uint16
	ts      uint32
	clock   uint32 // of ts, 0 before the first tick
	talking bool   // the tick before sent sound
	packets uint32 // of this ssrc, as reports count
	octets  uint32
	total   uint64 // of all
	lastTS  uint32 // of the newest packet, and when it was sent
	sentAt  time.Time
	dtmf    dtmf
	buf     [maxDatagram]byte
}

func (o *outbound) init() {
	// RFC 3711 section 3.3.1: begin low, so that the loss of the first packets
	// cannot hide a wrap from the far end.
	o.seq = uint16(randomSSRC()) & 0x3fff
}

// renew begins a new source; the sequence numbers go on.
func (o *outbound) renew(ssrc, clock uint32) {
	o.ssrc, o.clock, o.ts = ssrc, clock, randomSSRC()
	o.packets, o.octets = 0, 0
	o.dtmf.on = false
}

// Send sends one frame of 20 ms that was encoded with codec c; call it once a
// tick. With no payload nothing is sent, but time goes on, as it must when the
// seat is silent. A telephone event that is due goes in the frame's place; a
// frame of another codec than the leg's, or while the direction does not let
// the seat send, is dropped. Reports go out with the ticks, too.
func (l *Leg) Send(c codec.Codec, payload []byte) {
	f := &l.rt
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.keyed {
		return
	}
	f.now = l.cfg.Now()
	deal := l.deal.Load()
	o := &f.out
	ticks := deal.codec.FrameTicks()
	if o.ssrc != deal.ssrc || o.clock == 0 {
		o.renew(deal.ssrc, deal.codec.ClockRate())
	} else {
		o.ts += ticks
	}
	was := o.talking
	o.talking = false
	switch t, event := o.dtmf.next(deal, o.ts, ticks); {
	case t == eventTick:
		f.send(deal.eventPT, o.dtmf.frame == 1, o.dtmf.ts, event[:])
	case t == soundTick && len(payload) > 0 && c == deal.codec && deal.dir.Sends():
		f.send(deal.pt, !was, o.ts, payload)
		o.talking = true
	}
	f.reportIfDue()
}

// send makes, encrypts and sends one packet.
func (f *flow) send(pt uint8, marker bool, ts uint32, payload []byte) {
	o := &f.out
	if len(payload) > maxDatagram-rtpHead-64 { // room for SRTP's tag
		return
	}
	o.seq++
	b := o.buf[:rtpHead+len(payload)]
	b[0], b[1] = 2<<6, pt&127
	if marker {
		b[1] |= 1 << 7
	}
	binary.BigEndian.PutUint16(b[2:], o.seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], o.ssrc)
	copy(b[rtpHead:], payload)
	enc, err := f.txc.EncryptRTP(b, b, &f.hdr)
	if err != nil {
		return
	}
	o.lastTS, o.sentAt = ts, f.now
	if f.leg.sock.writeTo(enc, f.leg.farAddr()) != nil {
		return // the network's loss: the far end conceals it
	}
	o.packets++
	o.total++
	o.octets += uint32(len(payload))
}
