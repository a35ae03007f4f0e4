package jitter

import "time"

const (
	maxDropout  = 3000 // RFC 3550 appendix A.1
	maxMisorder = 100
	maxLeap     = 3 * time.Second // a packet further off its time belongs to a new time line
	seenSpan    = 256
	judgeAfter  = 8 // packets after which one that is missing counts as lost, not as late
)

// order unwraps sequence numbers and time stamps, and puts a sender that begins
// anew (another SSRC, or a leap in either number) on the one time line that the
// buffer has, as if it had gone on.
type order struct {
	heard  bool
	ssrc   uint32
	seq    int64  // newest, unwrapped
	seq16  uint16 // as it was sent
	ts     int64  // newest, unwrapped
	ts32   uint32 //
	first  int64  // sequence number
	unique int64  // packets
	seen   [seenSpan]int64
	probe  Packet // a packet that may begin anew; believed when the next one follows it
	probed bool
	buf    [maxBytes]byte // of probe
}

func (o *order) lost() uint64 {
	if !o.heard {
		return 0
	}
	return uint64(max(0, o.seq-o.first+1-o.unique))
}

// verdict of order.place.
type verdict uint8

const (
	known  verdict = iota // on the present time line
	anew                  // the sender begins anew with this packet
	paired                // ... with the packet in probe, which this one follows
	doubt                 // kept in probe; not to be used yet
)

// place unwraps the numbers of p, where it is on the present time line. off
// tells how far from its usual time a packet with that time stamp would be.
func (o *order) place(p Packet, off func(ts int64) time.Duration) (seq, ts int64, v verdict) {
	if !o.heard {
		return 0, 0, anew
	}
	ds, dt := int64(int16(p.Seq-o.seq16)), int64(int32(p.TS-o.ts32))
	seq, ts = o.seq+ds, o.ts+dt
	leap := off(ts)
	leapt := leap > maxLeap || leap < -maxLeap
	switch {
	case p.SSRC == o.ssrc && !leapt && ds <= maxDropout && ds >= -maxMisorder:
		o.probed = false
		return seq, ts, known
	case p.SSRC == o.ssrc && ds == 1: // only the time stamp leapt: certain
		return 0, 0, anew
	}
	if q := o.probe; o.probed && q.SSRC == p.SSRC && q.Seq+1 == p.Seq {
		if d := int32(p.TS - q.TS); d > 0 && d < 1<<18 {
			return 0, 0, paired
		}
	}
	o.probe, o.probed = p, true
	o.probe.Payload = o.buf[:copy(o.buf[:], p.Payload)]
	return 0, 0, doubt
}

// begin starts a time line at p, whose unwrapped time stamp is ts.
func (o *order) begin(p Packet, ts int64) (seq int64) {
	if !o.heard {
		o.seq = 1 << 20 // so that a packet from before the first has a number too
		o.first = o.seq + 1
	}
	seq = o.seq + 1
	o.heard, o.probed, o.ssrc = true, false, p.SSRC
	o.seq, o.seq16, o.ts, o.ts32 = seq, p.Seq, ts, p.TS
	return seq
}

// lostLately says whether a packet turns out as lost with the coming of seq.
func (o *order) lostLately(seq int64) bool {
	seq -= judgeAfter
	return seq > o.first && o.seen[seq&(seenSpan-1)] != seq
}

// note remembers a packet on the time line; false if it was here before.
func (o *order) note(p Packet, seq, ts int64) bool {
	if o.seen[seq&(seenSpan-1)] == seq {
		return false
	}
	o.seen[seq&(seenSpan-1)] = seq
	o.unique++
	o.first = min(o.first, seq)
	if seq > o.seq {
		o.seq, o.seq16 = seq, p.Seq
	}
	if ts > o.ts {
		o.ts, o.ts32 = ts, p.TS
	}
	return true
}
