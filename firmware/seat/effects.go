package seat

import (
	"deskset/audio/tone"
	"deskset/firmware/agent"
	"deskset/firmware/record"
)

// do carries out one effect.
func (s *Seat) do(x agent.Effect) {
	l := s.lines[x.Call]
	switch x.Kind {
	case agent.ShowLamps:
		s.lamps.show(agent.Lamps(s.state, s.rules), s.now())
		s.show()
	case agent.ShowView:
		s.show()
	case agent.TellPBX:
		// The seat itself refuses or takes the calls, so what it decides is so
		// from the moment it does.
		s.step(agent.Event{Kind: agent.Confirmed, Avail: x.Avail})
	case agent.StartRing, agent.StopRing, agent.AlarmRec:
		s.tones()
	case agent.AnswerCall:
		s.accept(l)
	case agent.RejectCall:
		s.end(l, ending{s.whoEnds(), "not answered", max(x.Code, 400)})
	case agent.HangUpCall, agent.HangUpConsult:
		s.end(l, ending{s.whoEnds(), s.whyEnd(l), 0})
	case agent.HoldCall:
		s.hold(l)
	case agent.ResumeCall:
		s.resume(l)
	case agent.StartDial:
		s.dial(l, x.Target)
	case agent.DialConsult:
		s.consult(x.Target)
	case agent.SendTransfer:
		s.transfer(l, x)
	case agent.MuteMic:
		s.pump.SetMute(x.On)
		for _, l := range s.inHand() {
			l.fact(record.Fact{Kind: map[bool]record.Kind{true: record.Muted, false: record.Unmuted}[x.On], By: "agent"})
		}
	case agent.SetGain:
		s.pump.SetVolume(float64(x.DB))
	case agent.CueHold:
		s.pump.Play(tone.HoldCue)
	case agent.AlarmHold:
		s.pump.Play(tone.HoldAlarm)
	case agent.CueMute, agent.CueUnmute:
		s.pump.Play(tone.MuteCue)
	case agent.PauseRec, agent.ResumeRec:
		s.pump.Play(tone.RecPause)
		s.pauseRecording(x.Kind == agent.PauseRec)
	case agent.AskHelp:
		s.help.Store(int64(s.now()))
		s.events.add("help", "supervisor asked for")
	}
}

// whoEnds a call that the machine ends now, R27.
func (s *Seat) whoEnds() string {
	switch {
	case s.state.ByAgent || s.state.Phase != agent.Ending: // Ending apart, it is a consultation
		return "agent"
	case s.state.Notice == agent.TransferDone:
		return "seat"
	default:
		return "timer"
	}
}

func (s *Seat) whyEnd(l *line) string {
	switch {
	case l == nil:
		return ""
	case l.transferred != "" && s.state.Notice == agent.TransferDone:
		return "transferred"
	case !l.up && !s.state.ByAgent:
		return "no answer"
	default:
		return "hung up"
	}
}

// tones plays what must be heard until something changes: a failing recording
// before all, then the ring, then the far end's.
func (s *Seat) tones() {
	k := tone.None
	for _, l := range s.lines {
		if l.farRings && !l.flowing {
			k = tone.RingBack
		}
	}
	switch {
	case s.state.Rec.Failed:
		k = tone.RecFailed
	case s.state.Phase == agent.Ringing:
		k = tone.Ring
	}
	if k != s.loops {
		s.loops = k
		s.pump.Loop(k)
	}
}
