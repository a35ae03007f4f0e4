package media

import (
	"slices"

	"deskset/audio/pcm"
	"deskset/audio/tone"
	"deskset/firmware/record"
)

// plan is what the pump is to do. It is replaced, never changed; the pump looks
// at it once a frame without a lock.
type plan struct {
	legs   []seatLeg
	active *Leg
	mute   bool
	gain   float64 // amplitude
	loop   tone.Kind
}

// seatLeg is a leg in a plan.
type seatLeg struct {
	leg  *Leg
	tap  Tap
	held bool
}

// cue is a tone that is played once.
type cue struct {
	tone   *tone.Tone
	frames int // still to play before it is stopped
}

// change replaces the plan by an edited copy and wakes the pump.
func (p *Pump) change(edit func(*plan)) {
	p.mu.Lock()
	next := *p.plan.Load()
	next.legs = slices.Clone(next.legs)
	edit(&next)
	p.plan.Store(&next)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// follow makes the newest plan the pump's own.
func (p *Pump) follow() {
	if p.plan.Load() == p.now {
		return
	}
	p.mu.Lock()
	n, cues, waiting := p.plan.Load(), p.cued, p.waiting
	p.cued, p.waiting = nil, nil
	p.mu.Unlock()

	var lines []*line
	p.active = nil
	for _, s := range n.legs {
		i := slices.IndexFunc(p.lines, func(l *line) bool { return l.leg == s.leg })
		var l *line
		if i >= 0 {
			l = p.lines[i]
			p.lines = slices.Delete(p.lines, i, i+1)
		} else {
			l = newLine(p, s.leg)
		}
		l.set(s.tap, n.active == s.leg, s.held)
		if l.active {
			p.active = l
		}
		lines = append(lines, l)
	}
	for _, l := range p.lines {
		l.release()
	}
	p.lines = lines
	if n.loop != p.loopKind {
		p.loopKind = n.loop
		if p.loop != nil {
			p.cues = append(p.cues, &cue{tone: p.loop, frames: 1}) // lets it fade
		}
		p.loop = nil
		if n.loop != tone.None {
			p.loop = tone.New(n.loop)
		}
	}
	p.cues = append(p.cues, cues...)
	p.now = n
	for _, w := range waiting {
		close(w)
	}
}

// SetLeg makes leg the one that the agent speaks and listens to; tap, which may
// be nil, hears it for the recording. A leg that was set before and is still
// open stays with the pump, which drains it; so a held call lives on beside a
// consultation. nil: none is spoken to.
//
// A leg leaves the pump by Drop, or by being closed.
func (p *Pump) SetLeg(leg *Leg, tap Tap) {
	p.change(func(n *plan) {
		n.active = leg
		if leg == nil {
			return
		}
		if i := n.find(leg); i >= 0 {
			n.legs[i].tap = tap
			return
		}
		n.legs = append(n.legs, seatLeg{leg: leg, tap: tap})
	})
}

func (n *plan) find(leg *Leg) int {
	return slices.IndexFunc(n.legs, func(s seatLeg) bool { return s.leg == leg })
}

// Leg is the leg that the agent speaks to, or nil.
func (p *Pump) Leg() *Leg { return p.plan.Load().active }

// Hold stops sound between the agent and the active leg, or lets it flow again.
// The far end hears of it by Leg.Reoffer.
func (p *Pump) Hold(on bool) {
	p.change(func(n *plan) {
		if i := n.find(n.active); i >= 0 {
			n.legs[i].held = on
		}
	})
}

// Drop takes a leg from the pump. When it returns the leg's tap is not called
// any more. The leg itself stays open, with a reader of its own. A Tap must not
// call it.
func (p *Pump) Drop(leg *Leg) {
	done := make(chan struct{})
	p.change(func(n *plan) {
		n.without(leg)
		p.waiting = append(p.waiting, done)
	})
	if !p.running.Load() {
		return
	}
	select {
	case <-done:
	case <-p.ended:
	}
}

func (n *plan) without(leg *Leg) {
	n.legs = slices.DeleteFunc(n.legs, func(s seatLeg) bool { return s.leg == leg })
	if n.active == leg {
		n.active = nil
	}
}

// SetMute silences the microphone: the legs and the recording get silence.
func (p *Pump) SetMute(on bool) { p.change(func(n *plan) { n.mute = on }) }

// SetVolume sets the ear's volume in dB, 0 being as received. The limiter comes
// after it.
func (p *Pump) SetVolume(db float64) {
	p.change(func(n *plan) { n.gain = pcm.FromDB(db) })
}

// Loop plays a tone into the ear until another Loop; tone.None ends it.
func (p *Pump) Loop(k tone.Kind) { p.change(func(n *plan) { n.loop = k }) }

// Play plays a tone into the ear once, over whatever else there is to hear. One
// that has no end is ended after 3 s.
func (p *Pump) Play(k tone.Kind) {
	if k == tone.None {
		return
	}
	c := &cue{tone: tone.New(k), frames: int(alarmTime / frameTime)}
	p.change(func(*plan) { p.cued = append(p.cued, c) })
}

// Levels are the mean levels of microphone and ear in dBFS, -120 when the pump
// has nothing to do.
func (p *Pump) Levels() (mic, ear float64) {
	if p.parked.Load() {
		return pcm.Floor, pcm.Floor
	}
	return p.micLevel.RMS(), p.earLevel.RMS()
}

// Clock is the pump's sample clock, 48000 a second while it moves sound.
func (p *Pump) Clock() int64 { return p.clock.Load() }

// Stats are the figures of a leg with those of its jitter buffers, which are up
// to a second old.
func (p *Pump) Stats(leg *Leg) record.Stats {
	s, b := leg.Stats(), leg.buffered()
	s.Late, s.Concealed, s.FEC, s.BufferMs = b.Late, b.Concealed, b.FEC, b.BufferMs
	return s
}
