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
	case agent.ShowView:
		s.show()
	case agent.TellPBX:
		// The seat itself refuses or takes the calls, so what it decides is so
		// from the moment it does.
		s.step(agent.Event{Kind: agent.Confirmed, Avail: x.Avail})
	case agent.StartRing:
		s.pump.Loop(tone.Ring)
	case agent.StopRing:
		s.pump.Loop(tone.None)
	case agent.AnswerCall:
		s.answer(l)
	case agent.RejectCall:
		s.reject(l, x.Code)
	case agent.HangUpCall, agent.HangUpConsult:
		if l != nil {
			l.hangUp()
		}
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
		if l := s.lines[s.state.Call]; l != nil {
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
		s.pauseRecording(x.Kind == agent.PauseRec)
	case agent.AlarmRec:
		if x.On {
			s.pump.Play(tone.RecFailed)
		}
	case agent.AskHelp:
		s.help = s.cfg.Now()
		s.events.add("help", "supervisor asked for")
	}
}
