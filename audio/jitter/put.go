package jitter

import (
	"slices"
	"time"
)

// Put takes a packet, in the order of arrival. It copies the payload.
func (b *Buffer) Put(p Packet) {
	if len(p.Payload) > maxBytes || len(p.Payload) == 0 {
		b.stats.Discarded++
		return
	}
	seq, ts, v := b.in.place(p, func(ts int64) time.Duration {
		return p.Arrival - b.time(ts) - b.late.usual()
	})
	switch v {
	case doubt:
	case known:
		b.take(p, seq, ts)
	case anew:
		b.begin(p)
	case paired:
		first := b.in.probe
		b.begin(first)
		b.Put(p)
	}
}

// begin puts a sender that begins anew where a packet of usual delay would be,
// but behind all that is there.
func (b *Buffer) begin(p Packet) {
	ts := int64(0)
	if b.in.heard {
		b.stats.Jumps++
		ts = b.toTicks(p.Arrival - b.late.usual())
		if b.placed {
			ts = max(ts, b.next)
		}
		if n := len(b.q); n > 0 {
			ts = max(ts, b.q[n-1].ts+b.q[n-1].ticks)
		}
	}
	b.take(p, b.in.begin(p, ts), ts)
}

// take files a packet whose place is known.
func (b *Buffer) take(p Packet, seq, ts int64) {
	fresh := b.in.heard && b.in.unique == 0
	if !b.in.note(p, seq, ts) {
		b.stats.Duplicates++
		return
	}
	b.stats.Received++
	delay := p.Arrival - b.time(ts)
	if !fresh {
		b.jitter += max(delay-b.lastDelay, b.lastDelay-delay) - (b.jitter+8)/16
	}
	b.lastDelay = delay

	e := entry{seq: seq, ts: ts, comfort: p.Comfort}
	if !p.Comfort {
		n, err := b.cfg.Samples(p.Payload)
		if err != nil || n <= 0 {
			b.stats.Discarded++
			return
		}
		e.samples, e.ticks = n, b.samplesToTicks(n)
		if b.cfg.HasFEC != nil && b.in.lostLately(seq) && b.cfg.HasFEC(p.Payload) {
			b.late.wantFEC(p.Arrival, b.time(e.ticks))
		}
		b.late.add(delay, p.Arrival)
	}
	if b.behind(e) {
		b.stats.Late++
		return
	}
	if len(b.q) >= slots {
		b.drop()
	}
	e.payload = append(b.buffer(), p.Payload...)
	i := len(b.q)
	for i > 0 && (b.q[i-1].ts > ts || b.q[i-1].ts == ts && b.q[i-1].seq > seq) {
		i--
	}
	b.q = slices.Insert(b.q, i, e)
}

// behind says that a packet's time to be heard is over. A sender's time stamps
// may be a little off; overlaps of up to 5 ms are let through.
func (b *Buffer) behind(e entry) bool {
	return b.placed && (e.ts <= b.played || e.ts+min(e.ticks/2, int64(b.cfg.ClockRate)/200) < b.next)
}

// buffer is an empty slice to copy a payload to.
func (b *Buffer) buffer() []byte {
	if n := len(b.free); n > 0 {
		buf := b.free[n-1]
		b.free = b.free[:n-1]
		return buf[:0]
	}
	return make([]byte, 0, 256)
}

// pop takes the first packet out; its payload stays valid until the next pop.
func (b *Buffer) pop() entry {
	e := b.q[0]
	b.q = slices.Delete(b.q, 0, 1)
	if b.spent != nil {
		b.free = append(b.free, b.spent)
	}
	b.spent = e.payload
	return e
}

// drop throws the first packet away, there being too many.
func (b *Buffer) drop() {
	b.pop()
	b.stats.Discarded++
}
