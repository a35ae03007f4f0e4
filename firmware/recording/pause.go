package recording

import (
	"deskset/audio/oggopus"
	"deskset/firmware/record"
)

// pause is a span of the time line that is never written: card numbers are
// spoken there (PCI DSS 3.3.1).
type pause struct {
	on    bool
	from  int64 // samples
	max   int64
	spans [][2]int64 // slots, end excluded; those that pages may still touch
}

// covers says that a slot must not be written.
func (p *pause) covers(slot int64) bool {
	if p.on && slot >= p.from/slotLen {
		return true
	}
	for _, s := range p.spans {
		if slot >= s[0] && slot < s[1] {
			return true
		}
	}
	return false
}

// Pause stops writing from now on: silence stands there instead, whatever
// either leg says, and what comes late for it is thrown away. It ends with
// Resume, or by itself after PauseMax.
func (r *Recorder) Pause(by, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pause.on || r.ended {
		return
	}
	r.pause.on, r.pause.from, r.pause.max = true, r.now, int64(PauseMax.Seconds()*48000)
	// What was placed ahead of the clock belongs to the pause.
	for i, p := range r.pages {
		for k := range oggopus.PageSlots {
			if slot := (r.first+int64(i))*oggopus.PageSlots + int64(k); slot >= r.now/slotLen && !p.stored {
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
		r.resume(by, r.now)
	}
}

// Paused says that nothing is being written.
func (r *Recorder) Paused() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pause.on
}

func (r *Recorder) resume(by string, at int64) {
	p := &r.pause
	p.on = false
	p.spans = append(p.spans, [2]int64{p.from / slotLen, (at + slotLen - 1) / slotLen})
	if len(p.spans) > 64 {
		p.spans = p.spans[1:]
	}
	r.fact(record.Fact{Kind: record.Unpaused, Ms: toMs(at), By: by})
}
