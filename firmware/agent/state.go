// Package agent holds the state of the person at the seat and of the call in
// hand.
//
// It is a pure, total state machine: Step takes a State and an Event and
// returns the next State and the Effects that the caller must carry out. It
// reads no clock (each event brings its time), starts no goroutine and touches
// no hardware, so a test can say exactly what a seat does. Package seat runs it.
//
// Effects are read off the difference of two states and never written into a
// transition, so lamp, tone and PBX stay true on paths nobody thought of.
package agent

import (
	"time"

	"deskset/firmware/panel"
)

// Availability is what the agent offers between calls.
type Availability uint8

const (
	SignedOut Availability = iota
	Ready                  // the queue may offer a call
	Busy                   // out of the queue; a direct call still rings
	WrapUp                 // after-call work; ends by itself
	DND                    // nothing rings
)

var availabilityNames = [...]string{"signed-out", "ready", "busy", "wrap-up", "dnd"}

func (a Availability) String() string { return availabilityNames[a] }

// Phase of the call in hand. The -ing phases are asked for and not yet done.
type Phase uint8

const (
	Idle Phase = iota
	Ringing
	Answering
	Dialling
	Talking
	Holding
	Held
	Resuming
	Transferring
	Ending
)

var phaseNames = [...]string{"idle", "ringing", "answering", "dialling", "talking", "holding", "held", "resuming", "transferring", "ending"}

func (p Phase) String() string { return phaseNames[p] }

// live says that somebody is on the line with the agent.
func (p Phase) live() bool {
	switch p {
	case Talking, Holding, Held, Resuming, Transferring:
		return true
	default:
		return false
	}
}

// Rules are the figures of the policy that the machine needs.
type Rules struct {
	RONARings int           // R25
	RingCycle time.Duration // one ring, 5 s by YD/T 1484's 1 s on, 4 s off
	WrapUp    time.Duration // R21
	HoldCue   time.Duration // R22
	HoldMax   time.Duration // R22
	RingBacks int           // R26
	MuteCue   time.Duration // R23
}

// DefaultRules are the rulebooks' figures.
func DefaultRules() Rules {
	return Rules{
		RONARings: 3, RingCycle: 5 * time.Second, WrapUp: time.Minute,
		HoldCue: 15 * time.Second, HoldMax: 30 * time.Second,
		RingBacks: 6, MuteCue: 10 * time.Second,
	}
}

// Figures that are no policy.
const (
	answerGuard  = time.Second     // ANSWER this soon after a change was meant for what was before
	hangUpWindow = 3 * time.Second // for the second press, R27
	recPauseMax  = time.Minute     // a pause ends by itself
	noticeFor    = 5 * time.Second
	volumeStep   = 3 // dB
	volumeMin    = -24
	volumeMax    = 6 // R54
)

// WrapUpWarn is how long before the end of wrap-up its lamp begins to blink.
const WrapUpWarn = 15 * time.Second

// State is the whole memory of the machine. All times are on the monotonic
// clock of the events. The zero State is a seat that nobody signed in to.
type State struct {
	Now    time.Duration // of the last event
	Agent  string        // number; empty when signed out
	Online bool          // registered at the PBX

	Avail     Availability // what holds, or is asked for, between calls
	AvailAt   time.Duration
	Reason    string       // of Busy, R19; empty: none was given
	Confirmed Availability // what was last confirmed; the lamp blinks until it is Avail
	Next      Availability // pressed during a call, takes hold after it; SignedOut: nothing
	NextWhy   string       // Reason that goes with Next
	WrapEnd   time.Duration

	Phase    Phase
	PhaseAt  time.Duration
	Call     string // id of the call in hand
	Outbound bool
	Answered bool          // somebody was on the line in this call
	Code     int           // SIP code that an unanswered call is refused with
	RingAt   time.Duration // first 180 of an outbound call, or arrival of an inbound one
	HeldAt   time.Duration
	ArmedTo  time.Duration // a second ANSWER before this hangs up; 0: not armed
	ByAgent  bool          // the agent ended the call, R27

	Target    string // of a consultation, a blind transfer, or a dial
	Blind     bool
	Consult   Phase // Idle, Dialling or Talking: the second call
	ConsultID string

	Muted   bool
	MutedAt time.Duration
	Volume  int // dB against normal

	Rec Rec

	Touched  panel.Key // first edge seen, not yet known to be held
	Stuck    panel.Key // held for 30 s
	Notice   Notice
	NoticeAt time.Duration
	HelpAt   time.Duration // last call for the supervisor
}

// Rec is the recording of the call in hand. Failed without On is a call that
// should be recorded and is not.
type Rec struct {
	On      bool
	Failed  bool
	PauseTo time.Duration // 0: not paused
}

// Notice is a sentence for the agent, by key of the console's catalogue.
type Notice string

const (
	NoNotice        Notice = ""
	PressAgain      Notice = "confirm-hangup"
	MissedRings     Notice = "rona"
	NoAnswer        Notice = "no-answer"
	CallFailed      Notice = "call-failed"
	CallLost        Notice = "call-lost"
	TransferFailed  Notice = "transfer-failed"
	TransferDone    Notice = "transferred"
	NoLine          Notice = "offline"
	SupervisorAsked Notice = "help-sent"
	HeadsetGone     Notice = "headset-lost"
	NotRecorded     Notice = "rec-failed"
	KeyHeld         Notice = "key-stuck"
	OnHoldLong      Notice = "hold-max"
	StillMuted      Notice = "mute-cue"
)

// InCall says that a call is in hand.
func (s State) InCall() bool { return s.Phase != Idle }

// RecPaused says that nothing is written now.
func (s State) RecPaused() bool { return s.Rec.On && s.Rec.PauseTo != 0 }

// Rings counts the rings of the call in hand from its first on.
func (s State) Rings(r Rules) int {
	if s.RingAt == 0 || r.RingCycle == 0 || (s.Phase != Ringing && s.Phase != Dialling) {
		return 0
	}
	return int((s.Now-s.RingAt)/r.RingCycle) + 1
}

// Name of the state as panel, page and floor show it.
func (s State) Name() panel.State {
	switch s.Phase {
	case Ringing, Answering:
		return panel.Ringing
	case Dialling:
		return panel.Dialling
	case Held, Resuming: // asked for is not yet so
		return panel.Hold
	case Talking, Holding:
		return panel.Talking
	case Transferring:
		if s.HeldAt != 0 {
			return panel.Hold
		}
		return panel.Talking
	case Ending:
		if s.Answered {
			return panel.Talking
		}
	}
	if s.Agent == "" {
		return panel.SignedOut
	}
	if !s.Online {
		return panel.Offline
	}
	return s.Avail.Name()
}

// Name of an availability as the panel shows it.
func (a Availability) Name() panel.State {
	switch a {
	case Ready:
		return panel.Ready
	case Busy:
		return panel.BusyState
	case WrapUp:
		return panel.WrapUp
	case DND:
		return panel.DNDState
	default:
		return panel.SignedOut
	}
}

// Pending is what was asked for and is not yet so; empty when nothing is.
func (s State) Pending() panel.State {
	switch {
	case s.Next != SignedOut:
		return s.Next.Name()
	case s.Agent != "" && s.Avail != s.Confirmed:
		return s.Avail.Name()
	default:
		return ""
	}
}

// Since is when Name began.
func (s State) Since() time.Duration {
	if s.Phase != Idle {
		return s.PhaseAt
	}
	return s.AvailAt
}

// Deadline is the next moment at which time alone changes the state; the
// caller sends a Tick then. 0: none.
func (s State) Deadline(r Rules) time.Duration {
	var at time.Duration
	soonest := func(t time.Duration) {
		if t > s.Now && (at == 0 || t < at) {
			at = t
		}
	}
	switch s.Phase {
	case Idle:
		if s.Avail == WrapUp {
			soonest(s.WrapEnd - WrapUpWarn)
			soonest(s.WrapEnd)
		}
	case Ringing, Dialling:
		if n := s.Rings(r); n > 0 {
			soonest(s.RingAt + time.Duration(n)*r.RingCycle)
		}
	case Held:
		soonest(s.HeldAt + r.HoldCue)
		soonest(s.HeldAt + r.HoldMax)
	}
	if s.Muted && s.Phase == Talking {
		soonest(s.MutedAt + r.MuteCue)
	}
	soonest(s.ArmedTo)
	soonest(s.Rec.PauseTo)
	if s.Notice != NoNotice {
		soonest(s.NoticeAt + noticeFor)
	}
	return at
}
