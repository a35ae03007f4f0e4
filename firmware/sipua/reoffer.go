package sipua

import (
	"strconv"
	"time"
)

// reofferTime is how long the seat may think about a re-offer.
const reofferTime = 10 * time.Second

// reoffer is an offer of the PBX within the call, not yet answered.
type reoffer struct {
	m       *message
	server  *server // of a re-INVITE; nil for an UPDATE
	session session
	timer   *time.Timer
}

// reInvited takes a re-INVITE (RFC 3261 section 14.2).
func (c *Call) reInvited(m *message) {
	c.identify(m)
	if c.offerRefused(m) {
		return
	}
	r := &reoffer{m: m, server: c.u.newServer(m, c.d.localTag)}
	c.open(r)
	c.u.answer(r.server, 100, nil, nil)
}

// updated takes an UPDATE (RFC 3311): mostly without an offer, to refresh
// target, session timer or identity.
func (c *Call) updated(m *message) {
	c.identify(m)
	if len(m.Body) > 0 {
		if !c.offerRefused(m) {
			c.open(&reoffer{m: m})
		}
		return
	}
	s, brief := sessionFromRequest(m)
	if brief {
		c.u.reply(m, 422, minSE)
		return
	}
	hs := c.u.sessionHeaders()
	if c.state == up || c.state == accepted {
		c.refreshTarget(m)
		c.setSession(s)
		hs = append(hs, s.headers()...)
	}
	c.u.reply(m, 200, hs...)
}

// offerRefused answers an offer that cannot be put before the seat.
func (c *Call) offerRefused(m *message) bool {
	_, brief := sessionFromRequest(m)
	switch {
	case c.own || c.state == calling || c.state == accepted:
		c.u.refuseInDialog(m, 491)
	case c.busy() || c.state == ringing:
		after := int(10 * c.u.jitter())
		c.u.refuseInDialog(m, 500, header{"Retry-After", strconv.Itoa(after)})
	case m.sdp() == nil && len(m.Body) > 0:
		c.u.refuseInDialog(m, 415, header{"Accept", "application/sdp"})
	case m.sdp() == nil:
		c.u.refuseInDialog(m, 488, header{"Warning", `399 deskset "an offer is needed"`})
	case brief:
		c.u.refuseInDialog(m, 422, minSE)
	default:
		return false
	}
	return true
}

func (c *Call) open(r *reoffer) {
	r.session, _ = sessionFromRequest(r.m)
	c.reoffer = r
	r.timer = c.u.after(reofferTime, func() {
		if c.reoffer == r {
			c.u.log.Warn("re-offer was not answered", "call", c.short())
			c.rejectReoffer(488)
		}
	})
	c.u.tell(Reoffer{Call: c, SDP: r.m.sdp()})
}

// AnswerReoffer accepts what Reoffer told. ErrState when the PBX has taken it
// back.
func (c *Call) AnswerReoffer(sdp []byte) error {
	c.u.mu.Lock()
	defer c.u.mu.Unlock()
	r := c.reoffer
	if r == nil || len(sdp) == 0 {
		return ErrState
	}
	c.sdp = sdp
	c.refreshTarget(r.m)
	hs := append(c.u.sessionHeaders(), r.session.headers()...)
	if r.server != nil {
		c.u.answer(r.server, 200, hs, sdp)
		c.awaitAck(r.server)
	} else {
		c.u.send(c.u.encodeResponse(r.m, 200, "", hs, sdp))
	}
	c.setSession(r.session)
	c.closeReoffer()
	return nil
}

// RejectReoffer refuses it (400-699); the session stays as it was.
func (c *Call) RejectReoffer(code int) error {
	c.u.mu.Lock()
	defer c.u.mu.Unlock()
	if c.reoffer == nil || code < 400 || code > 699 {
		return ErrState
	}
	c.rejectReoffer(code)
	return nil
}

func (c *Call) rejectReoffer(code int) {
	if r := c.reoffer; r.server != nil {
		c.u.answer(r.server, code, nil, nil)
	} else {
		c.u.reply(r.m, code)
	}
	c.closeReoffer()
}

// closeReoffer forgets an open re-offer, answered or not.
func (c *Call) closeReoffer() {
	r := c.reoffer
	if r == nil {
		return
	}
	c.reoffer = nil
	r.timer.Stop()
	if r.server != nil && !r.server.final {
		c.u.forgetServer(r.server)
	}
	c.free()
}

// refreshTarget takes over a new Contact (RFC 3261 section 12.2).
func (c *Call) refreshTarget(m *message) {
	if t := m.contact(); t != "" {
		c.d.target = t
	}
}

// identify tells the seat when the PBX names another party.
func (c *Call) identify(m *message) {
	if m.get("P-Asserted-Identity") == "" {
		return
	}
	number, name := m.caller()
	if number == c.number && name == c.name {
		return
	}
	c.number, c.name = number, name
	c.u.tell(Identity{Call: c, From: number, Name: name})
}
