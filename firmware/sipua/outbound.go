package sipua

import (
	"crypto/rand"
	"errors"
)

// Invite calls target (a number, or a sip: URI) with our offer.
func (u *UA) Invite(target string, sdp []byte) (*Call, error) {
	uri, err := targetURI(target, u.cfg.Domain)
	if err != nil {
		return nil, err
	}
	if len(sdp) == 0 {
		return nil, errors.New("a call needs an offer")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.flow == nil || u.closing {
		return nil, ErrFlowLost
	}
	c := &Call{u: u, out: true, state: calling, sdp: sdp, early: map[string][]byte{}}
	c.d = dialog{
		callID: rand.Text(), localTag: newTag(),
		local: u.from, remote: "<" + uri + ">", target: uri, routes: u.reg.routes,
	}
	c.id = c.d.callID
	req := c.d.request("INVITE")
	req.headers = u.sessionHeaders()
	req.sdp = sdp
	if c.ex, err = u.do(req, c.answered); err != nil {
		return nil, err
	}
	c.ex.keep, c.ex.tx.keep = true, true
	u.calls[c.key()] = c
	u.log.Info("calling", "call", c.short(), "to", mask(uri))
	return c, nil
}

// answered is told everything that comes back for our INVITE.
func (c *Call) answered(m *message, err error) {
	switch {
	case errors.Is(err, ErrFlowLost):
		if c.state != calling && c.state != over {
			return
		}
		c.end(Failed{Call: c, Code: 503, Reason: "connection to the PBX lost"})
		c.parting = true
		c.u.cancelLater(c.ex, c.forget)
	case err != nil:
		c.end(Failed{Call: c, Code: 408, Reason: "the PBX does not answer"})
		c.forget()
	case m.Code == 100:
	case m.Code < 200:
		c.progress(m)
	case m.Code < 300:
		c.success(m)
	default:
		// A redirection is not followed: whom the seat may call is decided
		// where it dials, not by the far end.
		c.end(Failed{Call: c, Code: m.Code, Reason: refusedWords(m)})
		c.forget()
	}
}

func refusedWords(m *message) string {
	if _, text := m.cause(); text != "" {
		return text
	}
	return clean(m.Reason, maxName)
}

func (c *Call) progress(m *message) {
	if c.state != calling {
		return
	}
	sdp := m.sdp()
	if sdp != nil && len(c.early) < 16 {
		c.early[m.ToTag] = sdp
	}
	c.u.tell(Progress{Call: c, Code: m.Code, SDP: sdp})
}

// success: a 2xx, which may be the second of a forked call, or have crossed
// our CANCEL.
func (c *Call) success(m *message) {
	d := c.d.fromAnswer(m)
	c.u.acknowledge(c.ex.tx, &d, m)
	switch c.state {
	case calling:
		c.d = d
		answer := m.sdp()
		if answer == nil {
			answer = c.early[m.ToTag]
		}
		c.state = up
		if answer == nil {
			c.end(Failed{Call: c, Code: 488, Reason: "the PBX answered without a session description"})
			c.part()
			return
		}
		c.updates = m.lists("Allow", "UPDATE")
		c.setSession(sessionFromAnswer(m))
		c.u.tell(Answered{Call: c, SDP: answer})
	default:
		if c.state == over && !c.parting { // it crossed our CANCEL
			c.d = d
			c.part()
			return
		}
		c.u.log.Info("another branch hung up", "call", c.short())
		c.u.bye(&d, func() {})
	}
}

// acknowledge answers a 2xx, and each repetition of it.
func (u *UA) acknowledge(tx *client, d *dialog, m *message) {
	ack := u.encode(d.ack(tx.req))
	if tx.acks == nil {
		tx.acks = map[string][]byte{}
	}
	if len(tx.acks) < 16 {
		tx.acks[m.ToTag] = ack
	}
	u.send(ack)
}
