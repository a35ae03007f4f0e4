package media

import (
	"net/netip"
	"sync"
	"time"

	"deskset/audio/codec"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// Packet is a sound packet as it was received.
type Packet struct {
	Codec   codec.Codec
	PT      uint8
	Seq     uint16
	TS      uint32 // in ticks of the codec's clock
	SSRC    uint32
	Marker  bool
	Payload []byte // good until the function it was given to returns
	// Arrival is when it reached the seat, on the clock of the leg's ticks:
	// time since the leg was made.
	Arrival time.Duration
	// At is the same moment as a position in samples (48 kHz) on the pump's
	// clock; only a Tap sees it set.
	At int64
}

// frameTime is the time of a tick and of a packet of ours.
const frameTime = 20 * time.Millisecond

// waitingDepth bounds what may wait between the connection and the first tick:
// a second and more of 20 ms packets.
const waitingDepth = 64

// flow is the part of a leg that runs at each tick.
type flow struct {
	leg     *Leg
	cname   string
	waiting chan datagram // read by the socket's goroutine

	mu       sync.Mutex // held for the length of a Drain, a Send, a look at figures
	keyed    bool
	polling  bool // the socket's goroutine has ended for the ticks
	rxc, txc *srtp.Context
	now      time.Time // of this tick
	sink     func(Packet)
	taken    receiver // l.take, bound once
	hdr      rtp.Header
	scratch  []byte

	in  inbound
	out outbound
	rep reports
}

func (f *flow) init(l *Leg) {
	f.leg, f.cname = l, l.loc.cname
	f.waiting = make(chan datagram, waitingDepth)
	f.taken = f.take
	f.scratch = make([]byte, 0, maxDatagram)
	f.out.init()
}

// setKeys opens the flow in both ways.
func (f *flow) setKeys(tx, rx *srtp.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.txc, f.rxc, f.keyed = tx, rx, true
	now := f.leg.cfg.Now()
	f.in.began = now
	f.rep.start(now)
}

// wait keeps a packet for the next tick; on a full queue the new one is lost.
func (f *flow) wait(b []byte, ago time.Duration) {
	if len(f.waiting) == cap(f.waiting) {
		return
	}
	d := datagram{b: append([]byte(nil), b...), at: f.leg.cfg.Now().Add(-ago)}
	select {
	case f.waiting <- d:
	default:
	}
}

// Drain gives fn every sound packet that has come since the last call, in the
// order of arrival, without waiting. fn must not call methods of the leg.
//
// The first Drain after the leg is connected takes over the socket; from then
// on Drain must be called every 20 ms, or ICE starves.
func (l *Leg) Drain(fn func(Packet)) {
	f := &l.rt
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.keyed {
		return
	}
	f.now, f.sink = l.cfg.Now(), fn
	defer func() { f.sink = nil }()
	if !f.polling {
		l.sock.detach()
		f.polling = true
	}
	for len(f.waiting) > 0 {
		d := <-f.waiting
		f.decrypt(d.b, d.at)
	}
	l.sock.poll(f.now, f.taken)
	f.listen()
}

// Release gives the socket back to a goroutine of its own: call it when the
// ticks of a leg that stays open end.
func (l *Leg) Release() error {
	f := &l.rt
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.polling {
		return nil
	}
	f.polling = false
	return l.sock.serve(l.arrived)
}

// take sorts what poll finds: sound is decrypted where it lies.
func (f *flow) take(b []byte, from netip.AddrPort, ago time.Duration) {
	if len(b) > 0 && b[0] >= 128 && b[0] <= 191 {
		f.decrypt(b, f.now.Add(-ago))
		return
	}
	f.leg.arrived(b, from, ago)
}

// decrypt takes one SRTP or SRTCP packet (told apart by RFC 5761 section 4).
// What does not authenticate is dropped without a word: anybody can send it.
func (f *flow) decrypt(b []byte, at time.Time) {
	if len(b) < 12 {
		return
	}
	if b[1] >= 192 && b[1] <= 223 {
		plain, err := f.rxc.DecryptRTCP(f.scratch[:0], b, nil)
		if err == nil {
			f.report(plain, at)
		}
		return
	}
	p, err := f.rxc.DecryptRTP(b, b, &f.hdr)
	if err != nil {
		return
	}
	f.sound(p, at)
}
