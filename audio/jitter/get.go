package jitter

import (
	"slices"
	"time"
)

// Tick begins the next 20 ms of sound, at the time now. Get is then called
// until enough is there.
func (b *Buffer) Tick(now time.Duration) {
	b.out += tick
	phase := now - b.out
	if b.ticks == 0 || phase-b.phase() > time.Second || phase-b.phase() < -time.Second {
		for i := range b.phases { // the player has stood still, as on hold
			b.phases[i] = phase
		}
	}
	b.phases[b.ticks%phaseSpan] = phase
	b.ticks++
	if n := len(b.q); n > 0 && b.placed {
		b.depth += max(0, b.time(b.q[n-1].ts+b.q[n-1].ticks)-b.time(b.next))
	}
}

// phase is when ticks come, against their even pace: the earliest of late, as
// a tick that comes too early is one that finds too little.
func (b *Buffer) phase() time.Duration {
	p := b.phases[0]
	for _, q := range b.phases[1:] {
		p = min(p, q)
	}
	return p
}

// delay is how much later than its time stamp a packet would be decoded now.
// It, not when the sound is heard, is what must not be less than the delay of
// arrival; as long as time is not scaled it moves in steps of whole packets.
func (b *Buffer) delay(ts int64) time.Duration { return b.phase() + b.out - b.time(ts) }

// Get says what comes next.
func (b *Buffer) Get() Frame {
	for len(b.q) > 0 && b.behind(b.q[0]) { // it overlaps what came before it
		b.pop()
		b.stats.Late++
	}
	if len(b.q) == 0 {
		return b.nothing()
	}
	b.skip()
	head := &b.q[0]
	soon := b.delay(head.ts)
	onTime := soon >= b.late.target-tooFlat
	if !b.started {
		if !onTime {
			return b.idle()
		}
		b.started = true
		return b.normal()
	}
	gap := head.ts - b.next
	n := int(b.ticksToSamples(gap)) / quantum * quantum
	if n <= 0 {
		return b.normal()
	}
	// Something is missing before head. If the sender has paused, or we are
	// guessing already, head is played when its time is right; else that what
	// is missing is filled.
	paused := head.seq == b.seq+1
	if onTime && (paused || b.waiting > 0 || b.guessed > 0) {
		return b.normal()
	}
	if b.cfg.HasFEC != nil && !paused && n <= head.samples && b.cfg.HasFEC(head.payload) {
		b.next += b.samplesToTicks(n)
		b.rebuilt += int64(n)
		return Frame{Kind: FEC, Payload: head.payload, Samples: n}
	}
	if !paused && n > head.samples && b.cfg.HasFEC != nil {
		n -= head.samples // the last one may be rebuilt
		n = max(n/quantum*quantum, quantum)
	}
	n = min(n, rate/50)
	b.next += b.samplesToTicks(n)
	return b.guess(n, !paused)
}

// normal hands out the first packet.
func (b *Buffer) normal() Frame {
	e := b.pop()
	b.next, b.seq, b.played, b.placed = e.ts+e.ticks, e.seq, e.ts, true
	b.waiting, b.guessed, b.comfort = 0, 0, e.comfort
	if e.comfort {
		b.level = min(e.payload[0], 127)
		return b.guess(rate/50, false)
	}
	return Frame{Kind: Normal, Payload: e.payload, Samples: e.samples, TS: e.ts, Excess: b.excess(b.delay(e.ts), b.time(e.ticks))}
}

// excess is the difference of a delay to the target, if that is to be changed.
// A whole packet less must still be enough before sound is shortened.
func (b *Buffer) excess(delay, packet time.Duration) time.Duration {
	b.recent[b.gets%len(b.recent)] = delay
	if b.gets++; b.gets < len(b.recent) {
		return 0
	}
	least := slices.Min(b.recent[:])
	over := least - b.late.target
	deep := over - max(packet, tick)
	switch {
	case deep > tooDeep:
		b.scaling = 1
	case over < -tooFlat:
		b.scaling = -1
	case b.scaling > 0 && deep <= 0 || b.scaling < 0 && over >= 0:
		b.scaling = 0
	}
	if b.scaling == 0 {
		return 0
	}
	return over
}

// nothing is there to play. Time stands still: if the packets are only late,
// they will be heard, with more delay from then on.
func (b *Buffer) nothing() Frame {
	if !b.started {
		return b.idle()
	}
	if b.waiting == 0 && !b.comfort {
		b.stats.Underruns++
	}
	b.waiting += tick
	if b.waiting > giveUp {
		b.started = false
	}
	return b.guess(rate/50, true)
}

// guess fills n samples: with noise in a pause, else by concealment, which ends
// in silence.
func (b *Buffer) guess(n int, missing bool) Frame {
	d := time.Duration(n) * time.Second / rate
	if b.comfort {
		return Frame{Kind: Comfort, Samples: n, Level: b.level}
	}
	b.guessed += d
	if b.guessed > guessFor {
		return b.silence(d)
	}
	if missing {
		b.concealed += int64(n)
	}
	return Frame{Kind: Conceal, Samples: n}
}

// idle passes a tick before anything is to be played.
func (b *Buffer) idle() Frame {
	if b.comfort {
		return b.guess(rate/50, false)
	}
	return b.silence(tick)
}

func (b *Buffer) silence(d time.Duration) Frame {
	return Frame{Kind: Silence, Samples: int(d * rate / time.Second)}
}

// skip throws packets away when more sound is held than the delay may ever be.
func (b *Buffer) skip() {
	if b.delay(b.q[0].ts) <= b.late.base()+b.cfg.Max+tick {
		return
	}
	for len(b.q) > 1 && b.delay(b.q[0].ts) > b.late.target {
		b.drop()
	}
}
