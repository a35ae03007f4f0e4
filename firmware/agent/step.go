package agent

import (
	"time"

	"deskset/firmware/panel"
)

// Step is total: every Event is legal in every State; one that means nothing
// there changes nothing but the time.
func Step(s State, e Event, r Rules) (State, []Effect) {
	next := s
	next.Now = max(s.Now, e.At)
	pass(&next, s.Now, r)
	apply(&next, e, r)
	return next, effects(s, next, r)
}

// pass lets time act: whatever came due since before happens first.
func pass(s *State, before time.Duration, r Rules) {
	due := func(t time.Duration) bool { return before < t && t <= s.Now }
	switch s.Phase {
	case Idle:
		if s.Avail == WrapUp && s.Now >= s.WrapEnd {
			s.avail(Ready)
		}
	case Ringing:
		if s.Rings(r) > r.RONARings {
			s.end(480)
			s.Next = Busy // not ready, so that the queue does not offer it again at once
			s.note(MissedRings)
		}
	case Dialling:
		if s.RingAt != 0 && s.Rings(r) > r.RingBacks {
			s.end(0)
			s.note(NoAnswer)
		}
	case Held:
		if due(s.HeldAt + r.HoldMax) {
			s.note(OnHoldLong)
		}
	case Talking:
		if s.Muted && due(s.MutedAt+r.MuteCue) {
			s.note(StillMuted)
		}
	}
	if s.ArmedTo != 0 && s.Now >= s.ArmedTo {
		s.ArmedTo = 0
	}
	if s.Rec.PauseTo != 0 && s.Now >= s.Rec.PauseTo {
		s.Rec.PauseTo = 0
	}
	if s.Notice != NoNotice && s.Now >= s.NoticeAt+noticeFor {
		s.Notice = NoNotice
	}
}

func apply(s *State, e Event, r Rules) {
	switch e.Kind {
	case Touch:
		s.Touched = e.Key
	case Untouch:
		if s.Touched == e.Key {
			s.Touched = ""
		}
	case Press:
		if s.Touched == e.Key {
			s.Touched = ""
		}
		press(s, e.Key, r)
	case LongPress:
		longPress(s, e.Key)
	case KeyStuck:
		s.Stuck, s.Touched = e.Key, ""
		s.note(KeyHeld)
	case KeyFree:
		if s.Stuck == e.Key {
			s.Stuck = ""
		}
	case SignIn:
		if s.Agent == "" && e.Agent != "" {
			s.Agent = e.Agent
			s.avail(Ready)
		}
	case SignOut:
		if s.Phase == Idle {
			s.Agent, s.Volume = "", 0 // the next one begins afresh, R34
			s.avail(SignedOut)
			s.Confirmed = SignedOut
		}
	case Want:
		want(s, e.Avail, e.Reason, r)
	case Confirmed:
		if s.Agent != "" && e.Avail == s.Avail {
			s.Confirmed = e.Avail
		}
	case Refused:
		if s.Agent != "" && e.Avail == s.Avail && s.Confirmed != SignedOut {
			s.avail(s.Confirmed)
		}
	case LinkUp:
		s.Online = true
	case LinkDown:
		s.Online = false
	case HeadsetLost:
		s.note(HeadsetGone)
	case HeadsetBack:
		if s.Notice == HeadsetGone {
			s.Notice = NoNotice
		}
	case SetVolume:
		s.Volume = min(max(e.Volume, volumeMin), volumeMax)
	default:
		line(s, e, r)
	}
}

// want is an availability asked for; in a call it waits for the end.
func want(s *State, a Availability, why string, r Rules) {
	if a != Busy {
		why = ""
	}
	switch {
	case a == SignedOut || s.Agent == "":
	case s.Phase != Idle:
		s.Next, s.NextWhy = a, why
	default:
		if s.Avail != a {
			s.availFor(a, r)
		}
		s.Reason = why
	}
}

// toggle is a key of an availability: the same one again takes it back.
func toggle(s *State, a Availability, r Rules) {
	switch {
	case s.Phase != Idle && s.Next == a:
		s.Next, s.NextWhy = SignedOut, ""
	case s.Phase == Idle && s.Avail == a:
		want(s, Ready, "", r)
	default:
		want(s, a, "", r)
	}
}

func press(s *State, k panel.Key, r Rules) {
	switch k {
	case panel.Answer:
		if s.Now-s.PhaseAt < answerGuard && s.PhaseAt != 0 {
			return
		}
		answerKey(s)
	case panel.Busy:
		toggle(s, Busy, r)
	case panel.ACW:
		toggle(s, WrapUp, r)
	case panel.DND:
		toggle(s, DND, r)
	case panel.Mute:
		s.Muted = !s.Muted && (s.Phase.live() || s.Phase == Dialling)
		s.MutedAt = s.Now
	case panel.VolUp:
		s.Volume = min(s.Volume+volumeStep, volumeMax)
	case panel.VolDown:
		s.Volume = max(s.Volume-volumeStep, volumeMin)
	}
}

func longPress(s *State, k panel.Key) {
	switch k {
	case panel.RecPause:
		switch {
		case s.Rec.PauseTo != 0:
			s.Rec.PauseTo = 0
		case s.Rec.On:
			s.Rec.PauseTo = s.Now + recPauseMax
		}
	case panel.Help:
		s.HelpAt = s.Now
		s.note(SupervisorAsked)
	}
}

// answerKey is the large key: what it does follows from the call in hand.
func answerKey(s *State) {
	switch s.Phase {
	case Ringing:
		s.phase(Answering)
	case Held:
		if s.Consult == Idle {
			s.phase(Resuming)
		} else {
			s.back()
		}
	case Dialling, Talking, Holding, Resuming, Transferring:
		s.hangUp()
	}
}

// hangUp asks for a second time when somebody is on the line, R27.
func (s *State) hangUp() {
	switch {
	case s.Phase == Ending:
		return
	case s.Phase.live() && s.ArmedTo == 0:
		s.ArmedTo = s.Now + hangUpWindow
		s.note(PressAgain)
		return
	}
	s.ByAgent = true
	s.end(486)
}

// line is what the PBX reports and the page asks about calls.
func line(s *State, e Event, r Rules) {
	switch e.Kind {
	case Offered:
		if s.Phase == Idle && s.Agent != "" && s.Avail != DND && e.Call != "" {
			s.begin(Ringing, e.Call)
			s.RingAt = s.Now
		}
		return
	case Dial:
		switch {
		case s.Phase != Idle || e.Call == "":
		case !s.Online:
			s.note(NoLine)
		default:
			s.begin(Dialling, e.Call)
			s.Outbound, s.Target = true, e.Target
		}
		return
	case ConsultDialled, ConsultUp, ConsultEnded:
		consult(s, e)
		return
	}
	if s.Phase == Idle || e.Call != "" && e.Call != s.Call {
		return
	}
	switch e.Kind {
	case RecOn:
		s.Rec = Rec{On: true}
	case RecOff:
		s.Rec = Rec{}
	case RecFailed:
		s.Rec.Failed = true
		s.note(NotRecorded)
	case RecHealthy:
		s.Rec.Failed = false
	case RingBack:
		if s.Phase == Dialling && s.RingAt == 0 {
			s.RingAt = s.Now
		}
	case CallUp:
		if s.Phase == Answering || s.Phase == Dialling {
			s.Answered = true
			s.phase(Talking)
			s.MutedAt = s.Now
		}
	case PickedUp:
		if s.Phase == Dialling {
			s.RingAt = 0
		}
	case CallHeld:
		if s.Phase == Holding {
			s.HeldAt = s.PhaseAt // the customer waits from the asking on
			s.Phase = Held
		}
	case CallResumed:
		if s.Phase == Resuming {
			s.HeldAt = 0
			s.phase(Talking)
			s.MutedAt = s.Now // the customer hears nothing from here on
		}
	case ResumeBad:
		if s.Phase == Resuming {
			s.phase(Held)
			s.note(CallFailed)
		}
	case CallEnded:
		s.over(e, r)
	case AskAnswer:
		if s.Phase == Ringing {
			s.phase(Answering)
		}
	case AskReject:
		if s.Phase == Ringing {
			s.ByAgent = true
			s.end(486)
		}
	case AskHangUp:
		s.hangUp()
	case AskHold:
		if s.Phase == Talking {
			s.phase(Holding)
		}
	case AskResume:
		if s.Phase == Held && s.Consult == Idle {
			s.phase(Resuming)
		}
	case AskConsult:
		if e.Target != "" && s.Consult == Idle && (s.Phase == Talking || s.Phase == Held) {
			s.Target, s.Blind, s.Consult = e.Target, false, Dialling
			if s.Phase == Talking {
				s.phase(Holding)
			}
		}
	case AskBlind:
		if e.Target != "" && s.Consult == Idle && (s.Phase == Talking || s.Phase == Held) {
			s.Target, s.Blind = e.Target, true
			s.phase(Transferring)
		}
	case AskTransfer:
		if s.Phase == Held && s.Consult == Talking {
			s.Blind = false
			s.phase(Transferring)
		}
	case AskBack:
		s.back()
	case TransferOK:
		if s.Phase == Transferring {
			s.note(TransferDone)
			s.end(0)
		}
	case TransferBad:
		if s.Phase == Transferring {
			s.note(TransferFailed)
			switch {
			case s.HeldAt != 0:
				s.phase(Held)
			default:
				s.phase(Talking)
			}
		}
	}
}

// consult is the second call, to a colleague.
func consult(s *State, e Event) {
	switch {
	case e.Kind == ConsultDialled && s.Consult == Dialling && s.ConsultID == "":
		s.ConsultID = e.Call
	case e.Kind == ConsultUp && s.Consult == Dialling && s.ConsultID == e.Call:
		s.Consult = Talking
	case e.Kind == ConsultEnded && s.Consult != Idle && s.ConsultID == e.Call:
		// In a transfer the PBX ends it as soon as both are joined.
		s.Consult, s.ConsultID = Idle, ""
		if s.Phase != Ending && s.Phase != Transferring && e.Code != 0 {
			s.note(CallFailed)
		}
	}
}

// back ends the consultation and returns to the customer.
func (s *State) back() {
	if s.Consult == Idle || s.Phase == Transferring {
		return
	}
	s.Consult, s.ConsultID = Idle, ""
	if s.Phase == Held {
		s.phase(Resuming)
	}
}

// over closes the call in hand.
func (s *State) over(e Event, r Rules) {
	answered, next, why := s.Answered, s.Next, s.NextWhy
	switch {
	case e.Code == 0 || s.Phase == Ending:
	case answered:
		s.note(CallLost)
	default:
		s.note(CallFailed)
	}
	s.Phase, s.PhaseAt = Idle, s.Now
	s.Call, s.Outbound, s.Answered, s.Code = "", false, false, 0
	s.RingAt, s.HeldAt, s.ArmedTo = 0, 0, 0
	s.ByAgent, s.Target, s.Blind = false, "", false
	s.Consult, s.ConsultID = Idle, ""
	s.Muted, s.MutedAt = false, 0
	s.Rec = Rec{}
	s.Next, s.NextWhy = SignedOut, ""
	switch {
	case s.Agent == "":
	case next != SignedOut:
		s.availFor(next, r)
		s.Reason = why
	case answered:
		s.availFor(WrapUp, r)
	}
}

func (s *State) begin(p Phase, call string) {
	s.phase(p)
	s.Call = call
	s.Answered, s.ByAgent, s.Outbound, s.Code = false, false, false, 0
	s.RingAt, s.HeldAt, s.Target = 0, 0, ""
}

func (s *State) end(code int) {
	s.Code = code
	s.phase(Ending)
}

func (s *State) phase(p Phase) {
	s.Phase, s.PhaseAt, s.ArmedTo = p, s.Now, 0
	if s.Notice == PressAgain {
		s.Notice = NoNotice
	}
}

func (s *State) avail(a Availability) {
	if s.Avail != a {
		s.AvailAt, s.Reason = s.Now, ""
	}
	s.Avail = a
}

func (s *State) availFor(a Availability, r Rules) {
	s.avail(a)
	if a == WrapUp {
		s.WrapEnd = s.Now + r.WrapUp
	}
}

func (s *State) note(n Notice) { s.Notice, s.NoticeAt = n, s.Now }
