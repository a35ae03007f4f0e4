package seat

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"deskset/firmware/agent"
	"deskset/firmware/fleet"
	"deskset/firmware/media"
	"deskset/firmware/record"
	"deskset/firmware/sipua"
)

// register starts a user agent for the policy's first PBX, once the one of
// before has said goodbye: with the same instance, its goodbye would undo the
// new registration (RFC 5626 section 4.2).
func (s *Seat) register() {
	before := s.uaEnded
	if s.uaStop != nil {
		s.uaStop()
		s.step(agent.Event{Kind: agent.LinkDown})
	}
	s.ua, s.uaEvents, s.uaStop = nil, nil, nil
	s.account = s.policy.PBX[0]
	ua, err := s.newUA(s.account)
	if err != nil {
		s.pbxErr, s.pbxCode = err.Error(), "pbx-refused"
		s.log.Error("PBX account cannot be used", "err", err)
		s.show()
		return
	}
	ctx, stop := context.WithCancel(s.ctx)
	ended := make(chan struct{})
	s.ua, s.uaEvents, s.uaStop, s.uaEnded = ua, ua.Events(), stop, ended
	s.parts.Go(func() {
		defer close(ended)
		if before != nil {
			<-before // within seconds
		}
		if err := ua.Run(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("PBX connection ended", "err", err)
		}
	})
}

func (s *Seat) newUA(p fleet.PBX) (*sipua.UA, error) {
	roots := s.cfg.TLS
	if p.CA != "" {
		roots = &tls.Config{}
		if s.cfg.TLS != nil {
			roots = s.cfg.TLS.Clone()
		}
		pool := x509.NewCertPool()
		if roots.RootCAs != nil {
			pool = roots.RootCAs.Clone()
		}
		if !pool.AppendCertsFromPEM([]byte(p.CA)) {
			return nil, fmt.Errorf("policy: the CA of PBX %s is no PEM certificate; tell the centre", p.Domain)
		}
		roots.RootCAs = pool
	}
	return sipua.New(sipua.Config{
		URL: p.URL, Insecure: s.cfg.Insecure, TLS: roots, Domain: p.Domain,
		User: p.User, AuthUser: p.Auth, Password: p.Password,
		Instance: s.cfg.Instance, Expires: seconds(p.Expires), UserAgent: "deskset/" + s.cfg.Firmware,
		Log: s.log, Dial: s.cfg.Dial,
	})
}

// reregister moves to the account of a new policy, once no call is on.
func (s *Seat) reregister() {
	if !s.closing && len(s.lines) == 0 && s.policy.PBX[0] != s.account {
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
		s.pbxErr, s.pbxCode = e.Err.Error(), pbxCode(e.Err)
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
			s.answered(l, e.SDP)
		}
	case sipua.Failed:
		if l := s.find(e.Call); l != nil {
			s.over(l, ending{"pbx", fmt.Sprintf("refused (%d %s)", e.Code, e.Reason), e.Code})
		}
	case sipua.Ended:
		if l := s.find(e.Call); l != nil {
			s.over(l, endedBy(l, e))
		}
	case sipua.Reoffer:
		if l := s.find(e.Call); l != nil && l.leg != nil {
			s.reoffered(l, e.SDP)
		} else {
			_ = e.Call.RejectReoffer(488)
		}
	case sipua.Identity:
		if l := s.find(e.Call); l != nil {
			l.peer, l.name = e.From, e.Name
			l.fact(record.Fact{Kind: record.Identity, From: e.From})
		}
	case sipua.ReferStatus:
		s.referred(e)
	case sipua.Referred:
		s.events.add("pbx", "asked this seat to transfer itself: refused")
	}
	s.show()
}

// endedBy says who ended a call: the one who was first, as the PBX saw it.
func endedBy(l *line, e sipua.Ended) ending {
	switch {
	case e.ByRemote:
		return ending{"customer", e.Reason, 0}
	case l.ending != nil:
		return *l.ending
	default: // the connection, or an answer that nobody acknowledged
		return ending{"pbx", e.Reason, 503}
	}
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
	l := s.open(true)
	l.call, l.peer, l.name, l.queue, l.offer = e.Call, e.From, e.Name, e.Queue, e.Offer
	s.startRecording(l)
	// A queue that does not know that the agent is not ready offers again and
	// again: only a direct call rings then.
	unready := l.queue != "" && s.state.Avail != agent.Ready
	useless := media.CheckOffer(l.offer)
	if !unready && useless == nil {
		s.step(agent.Event{Kind: agent.Offered, Call: l.id})
	}
	if s.state.Call != l.id {
		why := ending{"seat", "busy", 486}
		switch {
		case s.state.Agent == "":
			why = ending{"seat", "nobody is signed in", 480}
		case s.state.Avail == agent.DND:
			why.why = "do not disturb"
		case unready:
			why.why = "not ready for the queue"
		case useless != nil:
			s.log.Warn("seat: offer refused", "call", l.id, "err", useless)
			why = ending{"seat", "offer not acceptable", 488}
		}
		s.end(l, why)
		return
	}
	l.rang = true
	s.events.add("call", "ringing")
	_ = l.call.Ringing() // if it is over already, its event says so
	s.makeLeg(l, func(context.Context, *media.Leg) (func(), error) { return func() {}, nil })
}

// dial places the agent's call.
func (s *Seat) dial(l *line, target string) {
	if l != nil {
		s.place(l, target)
	}
}

// consult is the second call, to a colleague.
func (s *Seat) consult(target string) {
	l := s.open(false)
	l.consult = true
	s.step(agent.Event{Kind: agent.ConsultDialled, Call: l.id})
	s.place(l, target)
}

// place sends the INVITE for a target that the policy allows, unless the
// machine gave it up before.
func (s *Seat) place(l *line, target string) {
	l.peer = target
	s.startRecording(l)
	s.makeLeg(l, func(ctx context.Context, leg *media.Leg) (func(), error) {
		sdp, err := leg.Offer(ctx)
		return func() {
			if s.ua == nil {
				s.end(l, ending{"seat", s.pbxErr, 503})
				return
			}
			// Asked for on the loop, so that no event of this call can come
			// before it is known.
			call, err := s.ua.Invite(target, sdp)
			if err != nil {
				s.end(l, ending{"seat", err.Error(), 503})
				return
			}
			l.call = call
			l.fact(record.Fact{Kind: record.Dialled, CallID: call.ID()})
			s.events.add("call", "dialling")
		}, err
	})
}

// progress is a provisional answer to our INVITE: ring-back or early media.
func (s *Seat) progress(l *line, e sipua.Progress) {
	if e.Code >= 180 && !l.consult {
		s.step(agent.Event{Kind: agent.RingBack, Call: l.id})
	}
	l.farRings = l.farRings || e.Code == 180
	s.tones()
	if len(e.SDP) == 0 || l.answer != nil {
		return
	}
	if err := l.leg.SetAnswer(e.SDP); err != nil {
		s.log.Warn("early media not usable", "call", l.id, "err", err)
		s.end(l, ending{"seat", "early media: " + err.Error(), 488})
		return
	}
	l.answer = e.SDP
}

// answered is a 200 to our INVITE. Its description may differ from that of the
// early media, as to codec and direction; from another far end it cannot be
// taken any more.
func (s *Seat) answered(l *line, sdp []byte) {
	l.accepted, l.farRings = true, false
	s.tones()
	if !l.consult {
		s.step(agent.Event{Kind: agent.PickedUp, Call: l.id})
	}
	var err error
	switch {
	case l.answer == nil:
		err = l.leg.SetAnswer(sdp)
	case string(l.answer) != string(sdp):
		if _, err = l.leg.Reoffer(media.SendRecv); err == nil { // what was offered still stands
			err = l.leg.SetReanswer(sdp)
		}
	}
	if err != nil {
		s.log.Warn("answer not usable", "call", l.id, "err", err)
		s.end(l, ending{"seat", "answer not acceptable: " + err.Error(), 488})
		return
	}
	l.answer = sdp
	s.talk(l)
}

// transfer sends the REFER.
func (s *Seat) transfer(l *line, x agent.Effect) {
	if l == nil {
		return
	}
	var err error
	if x.Blind {
		l.transferred, err = "blind", l.call.Refer(x.Target)
	} else if c := s.lines[s.state.ConsultID]; c == nil || c.call == nil {
		err = errors.New("the consultation is gone")
	} else {
		l.transferred, err = "attended", l.call.ReferReplaces(c.call)
	}
	if err != nil {
		s.log.Warn("transfer", "call", l.id, "err", err)
		l.transferred = ""
		s.step(agent.Event{Kind: agent.TransferBad})
		return
	}
	l.transferTo = x.Target
}

func (s *Seat) referred(e sipua.ReferStatus) {
	l := s.find(e.Call)
	if l == nil || !e.Done || l.transferred == "" {
		return
	}
	if e.Code >= 200 && e.Code < 300 {
		l.fact(record.Fact{Kind: record.Transferred, To: l.transferTo, Text: l.transferred})
		s.events.add("call", "transferred ("+l.transferred+")")
		s.step(agent.Event{Kind: agent.TransferOK})
		return
	}
	l.transferred = ""
	s.events.add("call", fmt.Sprintf("transfer refused (%d)", e.Code))
	s.step(agent.Event{Kind: agent.TransferBad})
}
