package media

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"deskset/firmware/record"

	"github.com/pion/rtcp"
)

// reportEvery is the mean time between reports (RFC 3550 section 6.2); each
// interval is drawn between half and one and a half of it.
const reportEvery = 5 * time.Second

// ntpEpoch is 1900 as RFC 5905 counts, seen from 1970.
const ntpEpoch = 2208988800

// reports is what goes to and comes from RTCP.
type reports struct {
	due  time.Time
	sent uint32 // packets at the last report: a new SR needs new ones

	lastSR   uint32    // middle 32 bits of the far end's newest SR
	lastSRAt time.Time // zero: none

	remoteLost uint64
	pastLost   uint64 // by sources of ours before this one
	lostSSRC   uint32
	rtt        time.Duration
}

func (r *reports) start(now time.Time) {
	r.due = now.Add(reportEvery / 2)
}

// ntp is a time as RTCP writes it.
func ntp(t time.Time) uint64 {
	return uint64(t.Unix()+ntpEpoch)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// report reads a compound packet of the far end.
func (f *flow) report(b []byte, at time.Time) {
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		return
	}
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			f.rep.lastSR, f.rep.lastSRAt = uint32(p.NTPTime>>16), at
			f.rep.read(f.out.ssrc, p.Reports, at)
		case *rtcp.ReceiverReport:
			f.rep.read(f.out.ssrc, p.Reports, at)
		case *rtcp.Goodbye:
			for _, s := range p.Sources {
				if s == f.in.source.ssrc {
					f.leg.tell(LegBye, nil)
				}
			}
		}
	}
}

// read takes the block about what we send.
func (r *reports) read(ssrc uint32, blocks []rtcp.ReceptionReport, at time.Time) {
	for _, b := range blocks {
		if b.SSRC != ssrc {
			continue
		}
		if r.lostSSRC != ssrc {
			r.pastLost, r.lostSSRC = r.remoteLost, ssrc
		}
		if b.TotalLost < 1<<23 { // signed 24 bits: duplicates make it negative
			r.remoteLost = r.pastLost + uint64(b.TotalLost)
		}
		if b.LastSenderReport != 0 {
			// RFC 3550 section 6.4.1, in 1/65536 s, modulo 2^32.
			d := uint32(ntp(at)>>16) - b.LastSenderReport - b.Delay
			if d < 60<<16 {
				r.rtt = time.Duration(d) * time.Second >> 16
			}
		}
	}
}

// reportIfDue sends an SR, or an RR when nothing was sent since the last.
func (f *flow) reportIfDue() {
	if f.now.Before(f.rep.due) {
		return
	}
	var b [2]byte
	rand.Read(b[:])
	f.rep.due = f.now.Add(reportEvery/2 + reportEvery*time.Duration(binary.BigEndian.Uint16(b[:]))>>16)
	f.sendReport(false)
}

// sendReport sends a compound packet: SR or RR, SDES, and BYE at the end.
func (f *flow) sendReport(bye bool) {
	o := &f.out
	blocks := f.in.block(f.now, &f.rep)
	var list []rtcp.Packet
	if o.packets != f.rep.sent {
		f.rep.sent = o.packets
		since := uint64(f.now.Sub(o.sentAt)) * uint64(o.clock) / uint64(time.Second)
		list = append(list, &rtcp.SenderReport{
			SSRC: o.ssrc, NTPTime: ntp(f.now), RTPTime: o.lastTS + uint32(since),
			PacketCount: o.packets, OctetCount: o.octets, Reports: blocks,
		})
	} else {
		list = append(list, &rtcp.ReceiverReport{SSRC: o.ssrc, Reports: blocks})
	}
	list = append(list, rtcp.NewCNAMESourceDescription(o.ssrc, f.cname))
	if bye {
		list = append(list, &rtcp.Goodbye{Sources: []uint32{o.ssrc}})
	}
	raw, err := rtcp.Marshal(list)
	if err != nil {
		return
	}
	enc, err := f.txc.EncryptRTCP(o.buf[:0], raw, nil)
	if err == nil {
		f.leg.sock.writeTo(enc, f.leg.farAddr()) // a lost report is followed by the next
	}
}

// block is the report about what is received, RFC 3550 appendix A.3.
func (in *inbound) block(now time.Time, r *reports) []rtcp.ReceptionReport {
	s := &in.source
	if !s.active {
		return nil
	}
	expected := s.expected()
	newExpected, newReceived := expected-min(expected, s.priorExpected), s.received-s.priorReceived
	s.priorExpected, s.priorReceived = expected, s.received
	fraction := uint8(0)
	if newExpected > newReceived {
		fraction = uint8(min((newExpected-newReceived)<<8/newExpected, 255))
	}
	b := rtcp.ReceptionReport{
		SSRC: s.ssrc, FractionLost: fraction, TotalLost: uint32(min(s.lost(), 1<<23-1)),
		LastSequenceNumber: uint32(s.highest), Jitter: uint32(s.jitter),
	}
	if !r.lastSRAt.IsZero() {
		b.LastSenderReport = r.lastSR
		b.Delay = uint32(uint64(max(now.Sub(r.lastSRAt), 0)) << 16 / uint64(time.Second))
	}
	return []rtcp.ReceptionReport{b}
}

// bye says goodbye when the leg is closed.
func (f *flow) bye() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keyed {
		f.now = f.leg.cfg.Now()
		f.sendReport(true)
		f.keyed = false
	}
}

// Stats are the figures of the leg so far; those of the jitter buffer are the
// pump's.
func (l *Leg) Stats() record.Stats {
	f := &l.rt
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.in.total()
	s := record.Stats{
		Sent: f.out.total, Received: t.received, Lost: t.lost,
		RemoteLost: f.rep.remoteLost, RTTMs: float64(f.rep.rtt) / float64(time.Millisecond),
	}
	if f.in.source.clock > 0 {
		s.JitterMs = f.in.source.jitter / float64(f.in.source.clock) * 1000
	}
	return s
}

// DigitsReceived counts the DTMF digits that came as events; which ones they
// were is not kept.
func (l *Leg) DigitsReceived() uint64 {
	l.rt.mu.Lock()
	defer l.rt.mu.Unlock()
	return l.rt.in.events
}

// buffered are the figures of the leg's jitter buffers, which the pump keeps
// here so that they outlast its own.
func (l *Leg) buffered() record.Stats {
	l.earMu.Lock()
	defer l.earMu.Unlock()
	return l.ear
}

func (l *Leg) setBuffered(s record.Stats) {
	l.earMu.Lock()
	defer l.earMu.Unlock()
	l.ear = s
}
