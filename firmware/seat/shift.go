package seat

import (
	"deskset/firmware/panel"
	"deskset/firmware/vault"
)

// item is one call of an agent's shift.
type item struct {
	agent string
	view  panel.Item
	rec   string // id of the recording, empty: none
}

// shiftSize bounds what is remembered of a shift.
const shiftSize = 200

// remember keeps a call for the agent's own page. What was refused before it
// rang was none of the agent's.
func (s *Seat) remember(l *line) {
	if s.state.Agent == "" || l.inbound && !l.rang {
		return
	}
	it := &item{agent: s.state.Agent, view: panel.Item{ID: l.id, Direction: "out", Peer: l.peer, Began: s.wall(l.began), Recording: "none"}}
	if l.inbound {
		it.view.Direction = "in"
	}
	if l.answered != 0 {
		it.view.Seconds = int((s.now() - l.answered).Seconds())
	}
	if l.rec != nil && l.rec.store != nil {
		it.rec = l.rec.store.ID()
	}
	s.shift = append([]*item{it}, s.shift...)
	s.shift = s.shift[:min(len(s.shift), shiftSize)]
}

// shiftView is where the recordings of the agent's own calls stand.
func (s *Seat) shiftView(agent string) []panel.Item {
	out := []panel.Item{}
	for _, it := range s.shift {
		if it.agent != agent {
			continue
		}
		v := it.view
		if it.rec != "" {
			v.Recording = "sealed" // as it was spoken
			if e, err := s.cfg.Vault.Get(it.rec); err == nil && (e.State == vault.Receipted || e.State == vault.Deleted) {
				v.Recording, v.KeptUntil = "receipted", e.RetainUntil
			}
		}
		out = append(out, v)
	}
	return out
}
