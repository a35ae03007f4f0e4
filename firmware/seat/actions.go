package seat

import (
	"context"
	"slices"
	"time"

	"deskset/firmware/agent"
	"deskset/firmware/console"
	"deskset/firmware/panel"
)

// OnKey gives every physical press to f first; f says whether it took it. The
// console uses it to confirm a browser.
func (s *Seat) OnKey(f func(panel.Key) bool) { s.pairing.Store(&f) }

// Do asks the seat for one thing. It returns when the seat has taken or
// refused it; a refusal is a *console.Error.
func (s *Seat) Do(ctx context.Context, a console.Action) error {
	if err := a.Check(); err != nil {
		return err
	}
	answer := make(chan error, 1)
	select {
	case s.inbox <- func() {
		err := s.act(a)
		s.render() // who asked sees what came of it
		answer <- err
	}:
	case <-s.done:
		return &console.Error{Code: console.CodeTimeout}
	case <-ctx.Done():
		return &console.Error{Code: console.CodeTimeout}
	}
	select {
	case err := <-answer:
		return err
	case <-s.done:
		return &console.Error{Code: console.CodeTimeout}
	case <-ctx.Done():
		return &console.Error{Code: console.CodeTimeout}
	}
}

func refuse(code string) error { return &console.Error{Code: code} }

// act is Do on the loop.
func (s *Seat) act(a console.Action) error {
	if s.closing {
		return refuse(console.CodeNotNow)
	}
	st := s.state
	ask := func(k agent.Kind) error {
		s.step(agent.Event{Kind: k, Target: a.Target})
		return nil
	}
	inCall := func(ok bool) error {
		switch {
		case st.Phase == agent.Idle:
			return refuse(console.CodeNoCall)
		case !ok:
			return refuse(console.CodeNotNow)
		}
		return nil
	}
	live := st.Phase == agent.Talking || st.Phase == agent.Held
	switch a.Kind {
	case console.PressKey:
		return s.softKey(a)
	case console.Answer:
		if err := inCall(st.Phase == agent.Ringing); err != nil {
			return err
		}
		return ask(agent.AskAnswer)
	case console.Reject:
		if err := inCall(st.Phase == agent.Ringing); err != nil {
			return err
		}
		return ask(agent.AskReject)
	case console.Hangup:
		if err := inCall(true); err != nil {
			return err
		}
		armed := st.ArmedTo
		s.step(agent.Event{Kind: agent.AskHangUp})
		if armed == 0 && s.state.ArmedTo != 0 {
			return refuse(console.CodeConfirmHangup)
		}
		return nil
	case console.Hold:
		if err := inCall(st.Phase == agent.Talking); err != nil {
			return err
		}
		return ask(agent.AskHold)
	case console.Resume:
		if err := inCall(st.Phase == agent.Held && st.Consult == agent.Idle); err != nil {
			return err
		}
		return ask(agent.AskResume)
	case console.Mute, console.Unmute:
		if err := inCall(live); err != nil {
			return err
		}
		if st.Muted != (a.Kind == console.Mute) {
			s.step(agent.Event{Kind: agent.Press, Key: panel.Mute})
		}
		return nil
	case console.DTMF:
		return s.digit(a.Digit)
	case console.Dial:
		return s.dialAction(a.Target)
	case console.TransferBlind:
		if err := inCall(live && st.Consult == agent.Idle); err != nil {
			return err
		}
		if !s.policy.Dial.BlindTransfer {
			return refuse(console.CodeBlindRefused)
		}
		if !s.mayDial(a.Target) {
			return refuse(console.CodeDialRefused)
		}
		return ask(agent.AskBlind)
	case console.Consult:
		if err := inCall(live && st.Consult == agent.Idle); err != nil {
			return err
		}
		if !s.mayDial(a.Target) {
			return refuse(console.CodeDialRefused)
		}
		return ask(agent.AskConsult)
	case console.TransferComplete:
		if err := inCall(st.Phase == agent.Held && st.Consult == agent.Talking); err != nil {
			return err
		}
		return ask(agent.AskTransfer)
	case console.TransferCancel:
		if err := inCall(st.Consult != agent.Idle); err != nil {
			return err
		}
		return ask(agent.AskBack)
	case console.SignIn:
		return s.signIn(a.Agent)
	case console.SignOut:
		switch {
		case st.Agent == "":
			return refuse(console.CodeSignedOut)
		case st.Phase != agent.Idle:
			return refuse(console.CodeLastCallRunning)
		}
		s.events.add("agent", "signed out")
		s.shift = nil // nothing of this agent for the next one, R34
		return ask(agent.SignOut)
	case console.Ready, console.Busy, console.WrapUp, console.DND:
		return s.want(a)
	case console.Lang:
		s.lang = a.Lang
		s.show()
		return nil
	case console.Volume:
		s.step(agent.Event{Kind: agent.SetVolume, Volume: a.DB})
		return nil
	case console.RecPause, console.RecResume:
		if !st.Rec.On {
			return refuse(console.CodeNotRecording)
		}
		if st.RecPaused() != (a.Kind == console.RecPause) {
			s.step(agent.Event{Kind: agent.LongPress, Key: panel.RecPause})
		}
		return nil
	default:
		return refuse(console.CodeUnknownAction)
	}
}

// softKey is a key of the page. The HELP key of the page confirms nothing.
func (s *Seat) softKey(a console.Action) error {
	kind := agent.Press
	if a.Held {
		kind = agent.LongPress
	}
	if a.Key == panel.Answer && s.state.Phase != agent.Idle && s.now()-s.state.PhaseAt < time.Second {
		return refuse(console.CodeTooSoon)
	}
	s.events.add("page", string(a.Key))
	s.step(agent.Event{Kind: kind, Key: a.Key})
	return nil
}

func (s *Seat) digit(d string) error {
	l := s.lines[s.state.Call]
	if c := s.lines[s.state.ConsultID]; c != nil {
		l = c
	}
	if l == nil || !l.up {
		return refuse(console.CodeNoCall)
	}
	if err := l.leg.SendDTMF(d); err != nil {
		s.log.Warn("DTMF not sent", "call", l.id, "err", err)
		return refuse(console.CodeNotNow)
	}
	l.digits++
	s.show()
	return nil
}

func (s *Seat) signIn(number string) error {
	switch {
	case s.state.Agent == number:
		return nil
	case s.state.Agent != "":
		return refuse(console.CodeAlreadyIn)
	case len(s.policy.Agents) > 0 && !slices.Contains(s.policy.Agents, number):
		return refuse(console.CodeAgentUnknown)
	}
	s.events.add("agent", "signed in")
	s.step(agent.Event{Kind: agent.SignIn, Agent: number})
	return nil
}

func (s *Seat) want(x console.Action) error {
	if s.state.Agent == "" {
		return refuse(console.CodeSignedOut)
	}
	a := map[console.Kind]agent.Availability{
		console.Ready: agent.Ready, console.Busy: agent.Busy, console.WrapUp: agent.WrapUp, console.DND: agent.DND,
	}[x.Kind]
	s.step(agent.Event{Kind: agent.Want, Avail: a, Reason: x.Reason})
	return nil
}

// dialAction places a call where the policy lets it.
func (s *Seat) dialAction(target string) error {
	switch {
	case s.state.Phase != agent.Idle:
		return refuse(console.CodeNotNow)
	case !s.state.Online:
		return refuse(console.CodeOffline)
	case !s.mayDial(target):
		return refuse(console.CodeDialRefused)
	case s.state.Agent == "" && !slices.Contains(s.policy.Dial.Emergency, target):
		return refuse(console.CodeSignedOut)
	}
	l := s.open(false)
	s.step(agent.Event{Kind: agent.Dial, Call: l.id, Target: target})
	if s.state.Call != l.id {
		s.end(l, ending{"seat", "not possible now", 503}) // if it has not ended already
		return refuse(console.CodeNotNow)
	}
	return nil
}

// mayDial says whether a target is listed: emergency and internal ones are,
// everything else is refused until there is a gate that asks for consent.
func (s *Seat) mayDial(target string) bool {
	return slices.Contains(s.policy.Dial.Emergency, target) || slices.Contains(s.policy.Dial.Internal, target)
}
