package seat

import (
	"context"
	"time"

	"deskset/audio/codec"
	"deskset/firmware/agent"
	"deskset/firmware/media"
	"deskset/firmware/record"
	"deskset/firmware/recording"
	"deskset/firmware/vault"
)

const (
	// sealTimeout is how long a disk may take for the end of a recording.
	sealTimeout = 30 * time.Second
	// beginAgain is how often a recording that could not begin is tried again.
	beginAgain = 10 * time.Second
)

// callRecording is the recording of one line: from the first ring its facts,
// from the answer its voice. A line that is not to be recorded has none.
type callRecording struct {
	store *vault.Recording // nil: it could not begin
	voice *recording.Recorder
	fault string // words, while it fails
	tried time.Duration
}

// tap gives the leg's sound to the recorder.
type tap struct{ r *recording.Recorder }

func (t tap) Tick(at int64) { t.r.Tick(at) }

func (t tap) Agent(c codec.Codec, payload []byte, at int64) { t.r.Agent(c, payload, at) }

func (t tap) Customer(p media.Packet) {
	t.r.Customer(recording.Packet{Codec: p.Codec, SSRC: p.SSRC, Seq: p.Seq, TS: p.TS, Payload: p.Payload, At: p.At})
}

// tap of the line for the pump; nil when nothing is recorded.
func (l *line) tap() media.Tap {
	if l.rec == nil || l.rec.store == nil {
		return nil
	}
	return tap{l.rec.voice}
}

func (l *line) fact(f record.Fact) {
	if l != nil && l.rec != nil && l.rec.store != nil {
		l.rec.voice.Fact(f)
	}
}

// inHand are the lines of the call in hand: the customer's and a consultation.
func (s *Seat) inHand() (all []*line) {
	for _, id := range []string{s.state.Call, s.state.ConsultID} {
		if l := s.lines[id]; l != nil {
			all = append(all, l)
		}
	}
	return all
}

// startRecording opens the record of a call attempt (R12): numbers and times
// are sealed before anybody answers.
func (s *Seat) startRecording(l *line) {
	p := s.policy.Recording
	if !p.Enabled {
		return
	}
	if l.rec == nil {
		l.rec = &callRecording{}
	}
	l.rec.tried = s.now()
	store, err := s.cfg.Vault.Create(vault.Recipients{Facts: p.Facts, Voice: p.Voice})
	if err != nil {
		if l.rec.fault == "" {
			s.log.Error("recording cannot begin", "call", l.id, "err", err)
			s.events.add("recording", "cannot begin: "+err.Error())
		}
		l.rec.fault = err.Error()
		return
	}
	l.rec.fault, l.rec.store = "", store
	l.rec.voice = recording.New(recording.Config{Store: store, Wall: s.cfg.Wall, Log: s.log})
	f := record.Fact{
		Kind: record.Offered, Direction: "out", From: s.account.User, To: l.peer, Queue: l.queue,
		Agent: s.state.Agent, Seat: s.cfg.Name, Basis: p.Basis,
	}
	if l.inbound {
		f.Direction, f.From, f.To = "in", l.peer, s.account.User
	}
	if l.consult {
		f.Text = "consultation"
	}
	if l.call != nil {
		f.CallID = l.call.ID()
	}
	l.fact(f)
}

// restartRecording is for a call that is up and not recorded, as on a disk
// that was full when it came.
func (s *Seat) restartRecording(l *line) {
	if s.startRecording(l); l.rec.store == nil {
		return
	}
	l.fact(record.Fact{Kind: record.Answered})
	l.fact(record.Fact{Kind: record.Codec, Text: l.codec.Name()})
	if s.pump.Leg() == l.leg {
		s.pump.SetLeg(l.leg, l.tap())
	}
	if !l.consult {
		s.step(agent.Event{Kind: agent.RecOn, Call: l.id})
	}
}

func (s *Seat) pauseRecording(on bool) {
	for _, l := range s.inHand() {
		switch {
		case l.tap() == nil:
		case on:
			l.rec.voice.Pause("agent", "key")
		default:
			l.rec.voice.Resume("agent")
		}
	}
	s.events.add("recording", map[bool]string{true: "paused", false: "resumed"}[on])
}

// checkRecording looks whether what is said is also stored.
func (s *Seat) checkRecording() {
	fault := ""
	for _, l := range s.inHand() {
		if l.rec == nil || !l.up {
			continue
		}
		if l.rec.store == nil && s.now() >= l.rec.tried+beginAgain {
			s.restartRecording(l)
		}
		if l.rec.store != nil {
			l.rec.fault = ""
			if h := l.rec.store.State(); h.Level != vault.LevelOK {
				l.rec.fault = h.Words
			}
		}
		if fault == "" {
			fault = l.rec.fault
		}
	}
	failed := fault != ""
	if failed == s.state.Rec.Failed {
		return
	}
	s.events.add("recording", map[bool]string{true: "failed: " + fault, false: "healthy again"}[failed])
	s.step(agent.Event{Kind: map[bool]agent.Kind{true: agent.RecFailed, false: agent.RecHealthy}[failed], Call: s.state.Call})
	s.show()
}

// recFault is why the call in hand is not recorded, in words.
func (s *Seat) recFault() string {
	for _, l := range s.inHand() {
		if l.rec != nil && l.rec.fault != "" {
			return l.rec.fault
		}
	}
	return ""
}

// close is a line's last job: the end of the record is written, the leg closed
// and the recording sealed.
func (s *Seat) close(l *line, why ending) {
	if l.made != nil {
		s.pump.Drop(l.made) // the tap hears nothing from here on
		if l.up {
			stats := s.pump.Stats(l.made)
			l.fact(record.Fact{Kind: record.Quality, Stats: &stats})
		}
	}
	if l.digits > 0 {
		l.fact(record.Fact{Kind: record.DTMF, Count: l.digits})
	}
	l.fact(record.Fact{Kind: record.Released, By: why.by, Text: why.why})
	if l.rec != nil && l.rec.store != nil {
		l.rec.voice.End()
	}
	if l.made != nil {
		if err := l.made.Close(); err != nil {
			s.log.Warn("media leg did not close", "call", l.id, "err", err)
		}
	}
	if l.rec == nil || l.rec.store == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), sealTimeout)
	defer stop()
	if _, err := l.rec.store.Close(ctx); err != nil {
		s.log.Error("recording not sealed; it is recovered later", "rec", l.rec.store.ID(), "err", err)
		s.events.add("recording", "not sealed yet")
		return
	}
	s.events.add("recording", "sealed "+l.rec.store.ID())
}
