package seat

import (
	"context"
	"time"

	"deskset/audio/codec"
	"deskset/firmware/agent"
	"deskset/firmware/media"
	"deskset/firmware/panel"
	"deskset/firmware/record"
	"deskset/firmware/recording"
	"deskset/firmware/vault"
)

// sealTimeout is how long a disk may take for the end of a recording.
const sealTimeout = 30 * time.Second

// callRecording is the recording of one line: from the first ring its facts,
// from the answer its voice.
type callRecording struct {
	store *vault.Recording
	voice *recording.Recorder
	fault string // words, while it fails
}

// tap gives the leg's sound to the recorder.
type tap struct{ r *recording.Recorder }

func (t tap) Tick(at int64) { t.r.Tick(at) }

func (t tap) Agent(c codec.Codec, payload []byte, at int64) { t.r.Agent(c, payload, at) }

func (t tap) Customer(p media.Packet) {
	t.r.Customer(recording.Packet{Codec: p.Codec, SSRC: p.SSRC, Seq: p.Seq, TS: p.TS, Payload: p.Payload, At: p.At})
}

// startRecording opens the record of a call attempt (R12): numbers and times
// are sealed before anybody answers.
func (s *Seat) startRecording(l *line) {
	p := s.policy.Recording
	if !p.Enabled {
		return
	}
	store, err := s.cfg.Vault.Create(vault.Recipients{Facts: p.Facts, Voice: p.Voice})
	if err != nil {
		s.log.Error("seat: recording cannot begin", "call", l.id, "err", err)
		s.events.add("recording", "cannot begin: "+err.Error())
		l.noRecord = err.Error()
		return
	}
	l.rec = &callRecording{store: store, voice: recording.New(recording.Config{
		Store: store, Now: s.cfg.Now, Trusted: s.cfg.Trusted, Log: s.log,
	})}
	f := record.Fact{
		Kind: record.Offered, Direction: "out", From: s.account.User, To: l.peer, Queue: l.queue,
		Agent: s.state.Agent, Seat: s.cfg.Name, Basis: p.Basis,
	}
	if l.inbound {
		f.Direction, f.From, f.To = "in", l.peer, s.account.User
	}
	if l.call != nil {
		f.CallID = l.call.ID()
	}
	l.rec.voice.Fact(f)
}

// startVoice is the moment of the answer.
func (s *Seat) startVoice(l *line) {
	l.fact(record.Fact{Kind: record.Answered})
	l.fact(record.Fact{Kind: record.Codec, Text: l.leg.Codec().Name()})
}

// tap of the line for the pump; nil when it is not recorded.
func (l *line) tap() media.Tap {
	if l.rec == nil {
		return nil
	}
	return tap{l.rec.voice}
}

func (l *line) fact(f record.Fact) {
	if l != nil && l.rec != nil {
		l.rec.voice.Fact(f)
	}
}

func (s *Seat) pauseRecording(on bool) {
	l := s.lines[s.state.Call]
	if l == nil || l.rec == nil {
		return
	}
	if on {
		l.rec.voice.Pause("agent", "key")
	} else {
		l.rec.voice.Resume("agent")
	}
	s.events.add("recording", map[bool]string{true: "paused", false: "resumed"}[on])
}

// checkRecording looks whether what is said is also stored.
func (s *Seat) checkRecording(l *line) {
	if l.id != s.state.Call || !s.state.Rec.On || l.rec == nil {
		return
	}
	h := l.rec.store.State()
	failed := h.Level != vault.LevelOK
	if failed == s.state.Rec.Failed {
		return
	}
	kind := agent.RecHealthy
	l.rec.fault = ""
	if failed {
		kind, l.rec.fault = agent.RecFailed, h.Words
	}
	s.events.add("recording", map[bool]string{true: "failed: " + h.Words, false: "healthy again"}[failed])
	s.step(agent.Event{Kind: kind, Call: l.id})
	s.show()
}

// closeRecording writes the end of the record and seals it on the line's own
// goroutine; then the leg is closed too.
func (s *Seat) closeRecording(l *line, by, why string) {
	it := s.shiftItem(l)
	s.job(l, func(context.Context) {
		if l.leg != nil {
			stats := s.pump.Stats(l.leg)
			s.pump.Drop(l.leg)
			if l.up {
				l.fact(record.Fact{Kind: record.Quality, Stats: &stats})
			}
			if err := l.leg.Close(); err != nil {
				s.log.Warn("seat: leg", "call", l.id, "err", err)
			}
		}
		if l.rec == nil {
			return
		}
		if l.digits > 0 {
			l.fact(record.Fact{Kind: record.DTMF, Count: l.digits})
		}
		l.fact(record.Fact{Kind: record.Released, By: by, Text: why})
		l.rec.voice.End()
		ctx, stop := context.WithTimeout(context.Background(), sealTimeout)
		defer stop()
		if _, err := l.rec.store.Close(ctx); err != nil {
			s.log.Error("seat: recording not sealed; it is recovered later", "rec", l.rec.store.ID(), "err", err)
			s.post(func() { s.events.add("recording", "not sealed yet") })
			return
		}
		s.post(func() {
			s.events.add("recording", "sealed "+l.rec.store.ID())
			if it != nil {
				s.show()
			}
		})
	})
}

// item is one call of an agent's shift.
type item struct {
	agent string
	view  panel.Item
	rec   string // id of the recording, empty: none
}

// shiftSize bounds what is remembered of a shift.
const shiftSize = 200

// shiftItem remembers a call for the agent's own page.
func (s *Seat) shiftItem(l *line) *item {
	if s.state.Agent == "" {
		return nil
	}
	it := &item{agent: s.state.Agent, view: panel.Item{ID: l.id, Direction: "out", Peer: l.peer, Began: l.began, Recording: "none"}}
	if l.inbound {
		it.view.Direction = "in"
	}
	if !l.answered.IsZero() {
		it.view.Seconds = int(s.cfg.Now().Sub(l.answered).Seconds())
	}
	if l.rec != nil {
		it.rec = l.rec.store.ID()
	}
	s.shift = append([]*item{it}, s.shift...)
	s.shift = s.shift[:min(len(s.shift), shiftSize)]
	return it
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
