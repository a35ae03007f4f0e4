package seat

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"deskset/firmware/agent"
	"deskset/firmware/fleet"
	"deskset/firmware/panel"
	"deskset/firmware/vault"
)

// View is the seat at this moment. Nobody changes it afterwards.
func (s *Seat) View() panel.View {
	out := *s.view.Load()
	out.Headset.MicDB, out.Headset.EarDB = s.pump.Levels()
	return out
}

// Changed gives a channel that holds a token whenever the View has changed.
func (s *Seat) Changed() (<-chan struct{}, func()) { return s.watch.add() }

// InCall says that a call is on; any goroutine may ask.
func (s *Seat) InCall() bool { return s.inCall.Load() }

// CentreLink tells the seat whether its event stream is up, and why not.
func (s *Seat) CentreLink(up bool, why error) {
	text := ""
	if why != nil && !up {
		text = why.Error()
	}
	s.post(func() {
		if s.centreUp != up {
			s.events.add("centre", map[bool]string{true: "connected", false: "lost"}[up])
		}
		s.centreUp, s.centreErr = up, text
		s.show()
	})
}

// SetPolicy takes a newer policy, verified by the caller. Times and dial lists
// hold from now on; another PBX account is taken when no call is on.
func (s *Seat) SetPolicy(p *fleet.Policy) {
	s.post(func() {
		s.policy, s.rules = p, rulesOf(p.Times)
		s.events.add("policy", fmt.Sprintf("version %d", p.Version))
		s.reregister()
		s.show()
	})
}

// Alive returns nil when the seat's loop answers within two seconds and the
// sound of a call moves.
func (s *Seat) Alive(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	pong := make(chan struct{})
	select {
	case s.inbox <- func() { close(pong) }:
	case <-s.done:
		return errors.New("the seat has ended")
	case <-ctx.Done():
		return errors.New("the seat's loop does not take events")
	}
	select {
	case <-pong:
		return s.sound.check(s.pump, s.now())
	case <-s.done:
		return errors.New("the seat has ended")
	case <-ctx.Done():
		return errors.New("the seat's loop does not answer")
	}
}

// helpFor is how long the floor sees that a supervisor was asked for.
const helpFor = 2 * time.Minute

// State is what the centre's floor may see.
func (s *Seat) State() fleet.SeatState {
	v := s.View()
	st := fleet.SeatState{
		Agent: v.Agent, State: string(v.State), Firmware: v.Firmware,
		Since: s.cfg.Now().Sub(v.Since).Milliseconds(),
	}
	if at := s.help.Load(); at != 0 && s.now()-time.Duration(at) < helpFor {
		st.Alarms = append(st.Alarms, "help")
	}
	for _, h := range v.Health {
		if !h.OK {
			st.Alarms = append(st.Alarms, h.Code)
		}
	}
	for _, e := range s.cfg.Vault.List() {
		if e.State == vault.Sealed {
			st.Pending++
		}
	}
	return st
}

// show notes that the View is no longer what is; render makes a new one when
// the event at hand is done.
func (s *Seat) show() { s.stale = true }

func (s *Seat) render() {
	if !s.stale {
		return
	}
	s.stale = false
	st := s.state
	v := &panel.View{
		Seat: s.cfg.Name, Firmware: s.cfg.Firmware, Lang: s.lang,
		State: st.Name(), Since: s.wall(st.Since()), Pending: st.Pending(), Agent: st.Agent,
		Lamps:   agent.Lamps(st, s.rules),
		Links:   panel.Links{PBX: st.Online, PBXErr: s.pbxErr, Centre: s.centreUp},
		Headset: panel.Headset{Present: s.cfg.Headset.Present(), Muted: st.Muted, Volume: st.Volume},
		Calls:   []panel.Call{}, Shift: []panel.Item{}, Notice: string(st.Notice),
	}
	v.Limits = s.limits()
	if v.State == panel.BusyState {
		v.Reason = st.Reason
	}
	if st.Phase == agent.Idle && st.Avail == agent.WrapUp {
		v.Until = s.wall(st.WrapEnd)
	}
	if st.ArmedTo != 0 {
		v.ConfirmUntil = s.wall(st.ArmedTo)
	}
	if l := s.lines[st.Call]; l != nil {
		v.Calls = append(v.Calls, s.callView(l))
	}
	if l := s.lines[st.ConsultID]; l != nil {
		v.Calls = append(v.Calls, s.callView(l))
	}
	v.Rec = panel.Rec{On: st.Rec.On, Paused: st.RecPaused()}
	if st.Rec.On {
		v.Rec.Source = "taps"
	}
	if st.RecPaused() {
		v.Rec.Until = s.wall(st.Rec.PauseTo)
	}
	if st.Rec.Failed {
		v.Rec.Failed = s.recFault()
	}
	if st.Agent != "" {
		v.Shift = s.shiftView(st.Agent)
	}
	v.Health = s.healthView()
	s.view.Store(v)
	s.watch.tell()
}

// limits are the policy's figures that the page draws.
func (s *Seat) limits() panel.Limits {
	return panel.Limits{
		HoldCue: int(s.rules.HoldCue.Seconds()), HoldMax: int(s.rules.HoldMax.Seconds()),
		WrapUp: int(s.rules.WrapUp.Seconds()), WrapUpWarn: int(agent.WrapUpWarn.Seconds()),
		Rings: s.rules.RONARings, Talk: talkHint,
		Dial:          len(s.policy.Dial.Internal)+len(s.policy.Dial.Emergency) > 0,
		BlindTransfer: s.policy.Dial.BlindTransfer,
	}
}

// talkHint is when the page hints that a talk is long, seconds, R24.
const talkHint = 180

func (s *Seat) callView(l *line) panel.Call {
	c := panel.Call{
		ID: l.id, Direction: "out", Peer: l.peer, Name: l.name, Queue: l.queue,
		Began: s.wall(l.began), Digits: l.digits,
	}
	if l.answered != 0 {
		c.Answered = s.wall(l.answered)
	}
	if l.inbound {
		c.Direction = "in"
	}
	switch {
	case l.consult:
		c.Phase = "consult"
	case s.state.Phase == agent.Ringing || s.state.Phase == agent.Answering:
		c.Phase, c.Rings = "ringing", s.state.Rings(s.rules)
	case s.state.Phase == agent.Dialling:
		c.Phase, c.Rings = "dialling", s.state.Rings(s.rules)
	case s.state.Phase == agent.Ending:
		c.Phase = "ended"
	case s.state.HeldAt != 0:
		c.Phase, c.HeldSince = "held", s.wall(s.state.HeldAt)
	default:
		c.Phase = "talking"
	}
	return c
}

// wall is the wall time of a moment on the seat's monotonic clock, as the wall
// clock is now: it may have been set since.
func (s *Seat) wall(at time.Duration) time.Time {
	return s.cfg.Now().Add(at - s.now())
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// watchers are those who want to know that the View changed.
type watchers struct {
	mu  sync.Mutex
	all map[chan struct{}]struct{}
}

func (w *watchers) add() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[chan struct{}]struct{}{}
	}
	w.all[c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, c)
	}
}

func (w *watchers) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.all {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
