package seat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"

	"deskset/audio/tone"
	"deskset/firmware/agent"
	"deskset/firmware/media"
	"deskset/firmware/record"
	"deskset/firmware/sipua"
)

// register starts a user agent for the policy's first PBX.
func (s *Seat) register() {
	if s.uaStop != nil {
		s.uaStop()
	}
	p := s.policy.PBX[0]
	s.account = p
	ua, err := sipua.New(sipua.Config{
		URL: p.URL, Insecure: s.cfg.Insecure, TLS: s.cfg.TLS, Domain: p.Domain,
		User: p.User, AuthUser: p.Auth, Password: p.Password,
		Instance: s.cfg.Instance, Expires: seconds(p.Expires), UserAgent: "deskset/" + s.cfg.Firmware,
		Log: s.log, Dial: s.cfg.Dial,
	})
	if err != nil {
		s.pbxErr = err.Error()
		s.log.Error("seat: PBX account cannot be used", "err", err)
		return
	}
	ctx, stop := context.WithCancel(s.ctx)
	s.uaStop = stop
	s.ua, s.uaEvents = ua, ua.Events()
	s.parts.Go(func() {
		if err := ua.Run(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("seat: PBX connection ended", "err", err)
		}
	})
}

// reregister moves to the account of a new policy, once no call is on.
func (s *Seat) reregister() {
	if len(s.lines) == 0 && s.policy.PBX[0] != s.account {
		s.register()
	}
}

// sip takes one event of the PBX.
func (s *Seat) sip(e sipua.Event) {
	switch e := e.(type) {
	case sipua.Registered:
		s.pbxErr = ""
		s.events.add("pbx", "registered")
		s.step(agent.Event{Kind: agent.LinkUp})
		if e.Recovered {
			s.refresh()
		}
	case sipua.Lost:
		s.pbxErr = e.Err.Error()
		s.events.add("pbx", "lost")
		s.step(agent.Event{Kind: agent.LinkDown})
	case sipua.Incoming:
		s.incoming(e)
	case sipua.Progress:
		if l := s.find(e.Call); l != nil {
			s.progress(l, e)
		}
	case sipua.Answered:
		if l := s.find(e.Call); l != nil {
			s.answeredBy(l, e.SDP)
		}
	case sipua.Failed:
		if l := s.find(e.Call); l != nil {
			s.over(l, "pbx", fmt.Sprintf("refused (%d %s)", e.Code, e.Reason), e.Code)
		}
	case sipua.Ended:
		if l := s.find(e.Call); l != nil {
			by := "seat"
			if e.ByRemote {
				by = "customer"
			} else if s.state.ByAgent {
				by = "agent"
			}
			s.over(l, by, e.Reason, 0)
		}
	case sipua.Reoffer:
		if l := s.find(e.Call); l != nil {
			s.reoffered(l, e.SDP)
		} else {
			_ = e.Call.RejectReoffer(488)
		}
	case sipua.Identity:
		if l := s.find(e.Call); l != nil {
			l.peer, l.name = e.From, e.Name
		}
	case sipua.ReferStatus:
		s.referred(e)
	case sipua.Referred:
		s.events.add("pbx", "asked this seat to transfer itself: refused")
	}
	s.show()
}

func (s *Seat) find(c *sipua.Call) *line {
	for _, l := range s.lines {
		if l.call == c {
			return l
		}
	}
	return nil
}

// incoming offers a call to the agent, or refuses it with the reason why not.
func (s *Seat) incoming(e sipua.Incoming) {
	l := s.open(e.Call, true)
	l.peer, l.name, l.queue, l.offer = e.From, e.Name, e.Queue, e.Offer
	s.startRecording(l)
	// A queue that does not know that the agent is not ready offers again and
	// again: only a direct call rings then.
	unready := l.queue != "" && s.state.Avail != agent.Ready
	if !unready {
		s.step(agent.Event{Kind: agent.Offered, Call: l.id})
	}
	if s.state.Call != l.id {
		code, why := 486, "busy"
		switch {
		case s.state.Agent == "":
			code, why = 480, "nobody is signed in"
		case s.state.Avail == agent.DND:
			why = "do not disturb"
		case unready:
			why = "not ready for the queue"
		}
		_ = e.Call.Reject(code)
		s.over(l, "seat", why, code)
		return
	}
	if err := s.newLeg(l); err != nil {
		s.log.Error("seat: no media", "err", err)
		_ = e.Call.Reject(500)
		s.over(l, "seat", "no media", 500)
		return
	}
	s.events.add("call", "ringing")
	_ = e.Call.Ringing()
}

// place dials a target that the policy allows.
func (s *Seat) place(l *line, target string) {
	l.target, l.peer = target, target
	if err := s.newLeg(l); err != nil {
		s.over(l, "seat", err.Error(), 500)
		return
	}
	s.startRecording(l)
	ua, leg := s.ua, l.leg
	s.job(l, func(ctx context.Context) {
		sdp, err := leg.Offer(ctx)
		if err == nil {
			var call *sipua.Call
			if call, err = ua.Invite(target, sdp); err == nil {
				s.post(func() { s.dialled(l, call) })
				return
			}
		}
		s.post(func() { s.over(l, "seat", err.Error(), 503) })
	})
}

// dialled learns the dialog of a call that the machine may have given up
// meanwhile.
func (s *Seat) dialled(l *line, call *sipua.Call) {
	l.call = call
	if l.released {
		_ = call.Hangup()
		return
	}
	s.events.add("call", "dialling")
	if l.consult {
		s.step(agent.Event{Kind: agent.ConsultDialled, Call: l.id})
		if s.state.ConsultID != l.id {
			l.hangUp()
		}
		return
	}
	if s.state.Phase == agent.Ending {
		l.hangUp()
	}
}

// ringBack lets the agent hear that the far end rings.
func (s *Seat) ringBack(on bool) {
	k := tone.None
	if on {
		k = tone.RingBack
	}
	s.pump.Loop(k)
}

func (s *Seat) dial(l *line, target string) {
	if l != nil {
		s.place(l, target)
	}
}

// consult is the second call, to a colleague.
func (s *Seat) consult(target string) {
	l := s.open(nil, false)
	l.consult = true
	s.place(l, target)
}

// progress is a provisional answer to our INVITE: ring-back or early media.
func (s *Seat) progress(l *line, e sipua.Progress) {
	if e.Code >= 180 && !l.consult {
		s.step(agent.Event{Kind: agent.RingBack, Call: l.id})
	}
	if len(e.SDP) > 0 && !l.early {
		if err := l.leg.SetAnswer(e.SDP); err != nil {
			s.log.Warn("seat: early media not usable", "call", l.id, "err", err)
			return
		}
		l.early = true
		leg := l.leg
		s.job(l, func(ctx context.Context) {
			select {
			case <-leg.Connected():
				s.post(func() {
					if !l.released && !l.up {
						s.pump.SetLeg(leg, nil)
					}
				})
			case <-leg.Failed():
			case <-ctx.Done():
			}
		})
		return
	}
	if e.Code == 180 && !l.early {
		s.ringBack(true)
	}
}

// answeredBy is a 200 to our INVITE.
func (s *Seat) answeredBy(l *line, sdp []byte) {
	s.ringBack(false)
	l.answered = s.cfg.Now()
	if !l.early {
		if err := l.leg.SetAnswer(sdp); err != nil {
			s.lost(l, err.Error())
			return
		}
	}
	leg := l.leg
	s.job(l, func(ctx context.Context) { s.connect(ctx, l, leg) })
}

// reoffered answers a re-INVITE of the PBX.
func (s *Seat) reoffered(l *line, sdp []byte) {
	leg, call := l.leg, l.call
	s.job(l, func(context.Context) {
		answer, err := leg.AnswerReoffer(sdp)
		if err != nil {
			s.log.Warn("seat: re-offer refused", "call", l.id, "err", err)
			_ = call.RejectReoffer(488)
			return
		}
		if err := call.AnswerReoffer(answer); err != nil {
			s.log.Warn("seat: re-offer", "call", l.id, "err", err)
		}
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
		s.post(func() {
			if !l.released {
				done(err)
			}
		})
	})
}

func reoffer(l *line, dir media.Direction) func() ([]byte, error) {
	return func() ([]byte, error) { return l.leg.Reoffer(dir) }
}

func (s *Seat) hold(l *line) {
	if l == nil {
		return
	}
	s.reinvite(l, reoffer(l, media.SendOnly), func(err error) {
		if err != nil {
			s.log.Warn("seat: hold not confirmed", "call", l.id, "err", err)
		}
		// Whatever the PBX says, the customer no longer hears the agent.
		if s.pump.Leg() == l.leg {
			s.pump.Hold(true)
		}
		l.fact(record.Fact{Kind: record.Held, By: "agent"})
		s.events.add("call", "held")
		s.step(agent.Event{Kind: agent.CallHeld, Call: l.id})
		s.show()
	})
}

func (s *Seat) resume(l *line) {
	if l == nil {
		return
	}
	s.reinvite(l, reoffer(l, media.SendRecv), func(err error) {
		if err != nil {
			s.log.Warn("seat: resume not confirmed", "call", l.id, "err", err)
		}
		s.pump.SetLeg(l.leg, l.tap())
		s.pump.Hold(false)
		l.fact(record.Fact{Kind: record.Resumed, By: "agent"})
		s.events.add("call", "resumed")
		s.step(agent.Event{Kind: agent.CallResumed, Call: l.id})
		s.show()
	})
}

// refresh tells the PBX the seat's new address in every call, or a hang-up by
// the PBX would never arrive.
func (s *Seat) refresh() {
	for _, l := range s.lines {
		if !l.up || l.call == nil {
			continue
		}
		s.reinvite(l, l.leg.Refresh, func(err error) {
			if errors.Is(err, context.DeadlineExceeded) || err == nil {
				return
			}
			s.log.Warn("seat: call could not be refreshed", "call", l.id, "err", err)
		})
	}
}

// transfer sends the REFER.
func (s *Seat) transfer(l *line, x agent.Effect) {
	if l == nil {
		return
	}
	var err error
	if x.Blind {
		err = l.call.Refer(x.Target)
		l.transferred = "blind"
	} else {
		c := s.lines[s.state.ConsultID]
		if c == nil {
			err = errors.New("the consultation is gone")
		} else {
			err = l.call.ReferReplaces(c.call)
		}
		l.transferred = "attended"
	}
	if err != nil {
		s.log.Warn("seat: transfer", "err", err)
		s.step(agent.Event{Kind: agent.TransferBad})
		return
	}
	l.transferTo = x.Target
}

func (s *Seat) referred(e sipua.ReferStatus) {
	l := s.find(e.Call)
	if l == nil || !e.Done {
		return
	}
	if e.Code >= 200 && e.Code < 300 {
		l.fact(record.Fact{Kind: record.Transferred, To: l.transferTo, Text: l.transferred})
		s.events.add("call", "transferred ("+l.transferred+")")
		s.step(agent.Event{Kind: agent.TransferOK})
		return
	}
	s.step(agent.Event{Kind: agent.TransferBad})
}

// mediaAddr is the seat's own address on the way to the PBX. Nothing is sent
// to find it.
func (s *Seat) mediaAddr() (netip.Addr, error) {
	if s.cfg.MediaAddr.IsValid() {
		return s.cfg.MediaAddr, nil
	}
	u, err := url.Parse(s.account.URL)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find media address: %w", err)
	}
	host := u.Hostname()
	c, err := net.Dial("udp", net.JoinHostPort(host, "9"))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find media address: %w", err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}
