package sipua

import (
	"fmt"
	"strings"
)

// maxCalls bounds what a PBX gone mad can pile up.
const maxCalls = 64

// incoming answers an INVITE outside of any dialog.
func (u *UA) incoming(m *message) {
	for _, c := range u.calls {
		// The same request by another way (RFC 3261 section 8.2.2.2).
		if !c.out && c.id == m.CallID && c.invite.FromTag == m.FromTag && c.invite.Seq == m.Seq {
			u.refuse(m, 482)
			return
		}
	}
	sdp := m.sdp()
	switch {
	case u.closing || len(u.calls) >= maxCalls:
		u.refuse(m, 503)
		return
	case m.contact() == "":
		u.refuse(m, 400)
		return
	case sdp == nil && len(m.Body) > 0:
		u.refuse(m, 415, header{"Accept", "application/sdp"})
		return
	case sdp == nil:
		// The seat does not offer in an answer.
		u.refuse(m, 488, header{"Warning", `399 deskset "an offer is needed"`})
		return
	}
	var replaced *Call
	if v := m.get("Replaces"); v != "" {
		var code int
		if replaced, code = u.replaced(v); code != 0 {
			u.refuse(m, code)
			return
		}
	}
	c := &Call{u: u, id: m.CallID, invite: m, state: ringing, replaces: replaced}
	c.d = fromInvite(m, newTag())
	var brief bool
	if c.session, brief = sessionFromRequest(m); brief {
		u.refuse(m, 422, minSE)
		return
	}
	c.updates = m.lists("Allow", "UPDATE")
	c.number, c.name = m.caller()
	c.server = u.newServer(m, c.d.localTag)
	u.calls[c.key()] = c
	u.answer(c.server, 100, nil, nil)
	u.log.Info("incoming", "call", c.short(), "from", mask(c.number))
	u.tell(Incoming{
		Call: c, From: c.number, Name: c.name,
		Queue: m.queue(u.cfg.QueueHeaders), Offer: sdp,
		AutoAnswer: m.autoAnswer(), Replaces: replaced,
	})
}

// refuse answers an INVITE that becomes no call; its ACK is absorbed.
func (u *UA) refuse(m *message, code int, hs ...header) {
	u.answer(u.newServer(m, newTag()), code, hs, nil)
}

// replaced finds the call that a Replaces header names (RFC 3891 section 3).
func (u *UA) replaced(v string) (*Call, int) {
	id, rest := cutKeep(v, ';')
	ps := parseParams(rest)
	to, _ := lookup(ps, "to-tag")
	from, _ := lookup(ps, "from-tag")
	c := u.calls[strings.TrimSpace(id)+" "+to]
	if c == nil || c.d.remoteTag != from {
		return nil, 481
	}
	_, earlyOnly := lookup(ps, "early-only")
	switch {
	case c.state == over:
		return nil, 603
	case c.state == up && earlyOnly:
		return nil, 486
	case c.state != up:
		return nil, 481
	}
	return c, 0
}

// Ringing sends 180.
func (c *Call) Ringing() error {
	c.u.mu.Lock()
	defer c.u.mu.Unlock()
	if c.state != ringing {
		return ErrState
	}
	c.u.answer(c.server, 180, []header{{"Contact", c.u.contact(true)}}, nil)
	return nil
}

// Answer accepts an inbound call with our answer; the 200 is repeated until
// the ACK comes (Confirmed) or 32 s have passed (Ended).
func (c *Call) Answer(sdp []byte) error {
	c.u.mu.Lock()
	defer c.u.mu.Unlock()
	if c.state != ringing || len(sdp) == 0 {
		return ErrState
	}
	if c.u.flow == nil {
		return ErrFlowLost
	}
	c.state = accepted
	c.sdp = sdp
	c.u.answer(c.server, 200, append(c.u.sessionHeaders(), c.session.headers()...), sdp)
	c.awaitAck(c.server)
	c.setSession(c.session)
	if r := c.replaces; r != nil && r.state == up {
		r.hangup("replaced by another call")
	}
	return nil
}

// Reject refuses an inbound call with a code of 400-699.
func (c *Call) Reject(code int) error {
	c.u.mu.Lock()
	defer c.u.mu.Unlock()
	switch {
	case c.state == over:
		return nil
	case c.state != ringing || code < 400 || code > 699:
		return ErrState
	}
	c.end(Ended{Call: c, Code: code, Reason: "refused by the seat"})
	c.u.answer(c.server, code, nil, nil)
	c.forget()
	return nil
}

// cancelled answers CANCEL (RFC 3261 section 9.2).
func (u *UA) cancelled(m *message) {
	t := u.servers[serverKey(m)]
	if t == nil || t.m.CallID != m.CallID {
		u.reply(m, 481)
		return
	}
	u.send(u.encodeResponse(m, 200, t.tag, nil, nil))
	if t.final {
		return // it crossed our answer; a BYE will follow
	}
	for _, c := range u.calls {
		switch {
		case c.server == t && c.state == over: // ended with its flow
			u.answer(t, 487, nil, nil)
			c.forget()
			return
		case c.server == t:
			code, text := m.cause()
			if text == "" {
				text = "the caller hung up"
			}
			u.answer(t, 487, nil, nil)
			c.end(Ended{Call: c, ByRemote: true, Code: code, Reason: text})
			c.forget()
			return
		case c.reoffer != nil && c.reoffer.server == t:
			u.answer(t, 487, nil, nil)
			c.closeReoffer()
			return
		}
	}
	u.answer(t, 487, nil, nil)
}

// bye answers BYE in any state.
func (c *Call) bye(m *message) {
	c.u.reply(m, 200)
	code, text := m.cause()
	switch c.state {
	case over:
		// It crossed ours, which will get its own answer.
		return
	case calling:
		// The callee may not, but if it does the call is over.
		c.ex.abort()
		c.end(Failed{Call: c, Code: 487, Reason: "ended while ringing"})
		return
	case ringing:
		c.u.answer(c.server, 487, nil, nil)
	}
	if text == "" {
		text = "hung up by the other side"
		if code != 0 {
			text = fmt.Sprintf("%s (%d)", text, code)
		}
	}
	c.end(Ended{Call: c, ByRemote: true, Code: code, Reason: text})
	c.forget()
}
