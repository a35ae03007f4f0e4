package seat

import (
	"context"
	"errors"

	"deskset/firmware/agent"
	"deskset/firmware/media"
	"deskset/firmware/record"
	"deskset/firmware/sipua"
)

// reoffered answers a re-INVITE of the PBX.
func (s *Seat) reoffered(l *line, sdp []byte) {
	leg, call := l.leg, l.call
	s.job(l, func(context.Context) {
		answer, err := leg.AnswerReoffer(sdp)
		if err != nil {
			s.log.Warn("re-offer refused", "call", l.id, "err", err)
			_ = call.RejectReoffer(488) // or it was taken back
			return
		}
		if err := call.AnswerReoffer(answer); err != nil {
			s.log.Warn("re-offer", "call", l.id, "err", err)
		}
		s.within(l, func() {
			if l.up {
				s.noteCodec(l)
			}
		})
	})
}

// reinvite makes a new offer within a running call; done hears of it on the
// loop.
func (s *Seat) reinvite(l *line, offer func() ([]byte, error), done func(error)) {
	leg, call := l.leg, l.call
	s.job(l, func(ctx context.Context) {
		ctx, stop := context.WithTimeout(ctx, reinviteTimeout)
		defer stop()
		sdp, err := offer()
		if err == nil {
			var answer []byte
			if answer, err = call.Reinvite(ctx, sdp); err != nil {
				leg.CancelReoffer()
			} else {
				err = leg.SetReanswer(answer)
			}
		}
		s.within(l, func() { done(err) })
	})
}

func reoffer(l *line, dir media.Direction) func() ([]byte, error) {
	return func() ([]byte, error) { return l.leg.Reoffer(dir) }
}

// hold stops the sound at once: what the agent says next is not for the
// customer, whatever the PBX makes of it.
func (s *Seat) hold(l *line) {
	if l == nil {
		return
	}
	s.pump.Hold(true)
	l.fact(record.Fact{Kind: record.Held, By: "agent"})
	s.reinvite(l, reoffer(l, media.SendOnly), func(err error) {
		var refused *sipua.StatusError
		l.held = !errors.As(err, &refused) // without an answer it may be held
		if err != nil {
			s.log.Warn("the PBX did not confirm the hold: the customer may hear silence", "call", l.id, "err", err)
		}
		s.events.add("call", "held")
		s.step(agent.Event{Kind: agent.CallHeld, Call: l.id})
	})
}

func (s *Seat) resume(l *line) {
	if l == nil {
		return
	}
	done := func(err error) {
		if err != nil {
			s.log.Warn("the PBX keeps the customer on hold", "call", l.id, "err", err)
			s.events.add("call", "resume refused")
			s.step(agent.Event{Kind: agent.ResumeBad, Call: l.id})
			return
		}
		l.held = false
		s.pump.SetLeg(l.leg, l.tap())
		s.pump.Hold(false)
		l.fact(record.Fact{Kind: record.Resumed, By: "agent"})
		s.events.add("call", "resumed")
		s.step(agent.Event{Kind: agent.CallResumed, Call: l.id})
	}
	if !l.held { // the PBX never did
		done(nil)
		return
	}
	s.reinvite(l, reoffer(l, media.SendRecv), done)
}

// refresh tells the PBX the seat's new address in every call, or a hang-up by
// the PBX would never arrive. What does not answer is ended by the user agent.
func (s *Seat) refresh() {
	for _, l := range s.lines {
		if !l.up {
			continue
		}
		s.reinvite(l, l.leg.Refresh, func(err error) {
			if err != nil {
				s.log.Warn("call could not be refreshed", "call", l.id, "err", err)
				return
			}
			s.events.add("call", "refreshed")
		})
	}
}
