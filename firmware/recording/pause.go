package recording

import (
	"deskset/audio/oggopus"
	"deskset/firmware/record"
)

// spans are stretches of the time line, in slots; the last may be open.
type spans struct {
	on   bool
	from int64
	done [][2]int64 // end excluded; those that pages may still touch
}

// covers says that a slot lies in one.
func (p *spans) covers(slot int64) bool {
	if p.on && slot >= p.from {
		return true
	}
	for _, s := range p.done {
		if slot >= s[0] && slot < s[1] {
			return true
		}
	}
	return false
}

func (p *spans) begin(slot int64) { p.on, p.from = true, slot }

func (p *spans) end(slot int64) {
	p.on = false
	p.done = append(p.done, [2]int64{p.from, slot})
	if len(p.done) > maxSpans {
		p.done = p.done[1:]
	}
}

// maxSpans is far more than a page's life can see.
const maxSpans = 64

// Pause is for what must never be written: card numbers (PCI DSS 3.3.1). It
// stops writing from now on: silence stands there instead, whatever
// either leg says, and what comes late for it is thrown away. It ends with
// Resume, or by itself after PauseMax.
func (r *Recorder) Pause(by, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pause.on || r.ended {
		return
	}
	r.pause.begin(r.now / slotLen)
	// What was placed ahead of the clock belongs to the pause.
	for i, p := range r.pages {
		for k := range oggopus.PageSlots {
			if slot := (r.first+int64(i))*oggopus.PageSlots + int64(k); slot >= r.pause.from && !p.stored {
				p.slots[agentLeg][k], p.slots[customerLeg][k] = nil, nil
			}
		}
	}
	for n := range r.legs {
		r.legs[n].trans.pcm = nil
	}
	r.fact(record.Fact{Kind: record.Paused, Ms: r.ms(), By: by, Text: reason})
}

// Resume ends a pause.
func (r *Recorder) Resume(by string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pause.on && !r.ended {
		r.resume(by, r.now/slotLen+1) // what was refused of this slot is gone
	}
}

// Paused says that nothing is being written.
func (r *Recorder) Paused() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pause.on
}

func (r *Recorder) resume(by string, slot int64) {
	r.pause.end(slot)
	r.fact(record.Fact{Kind: record.Unpaused, Ms: toMs(slot * slotLen), By: by})
}
