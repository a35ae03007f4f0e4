package sipua

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

type callState int

const (
	calling  callState = iota // our INVITE has no final answer
	ringing                   // theirs has none
	accepted                  // we answered 200 and wait for the ACK
	up                        //
	over                      // the seat was told; the PBX may not know yet
)

// Call is one call. Its methods may be called from any goroutine; on a call
// that is over the hanging-up ones do nothing and the others give ErrState.
type Call struct {
	u      *UA
	out    bool
	id     string
	invite *message // the inbound INVITE

	// Guarded by u.mu.
	state  callState
	d      dialog
	server *server   // the inbound INVITE's transaction
	ex     *exchange // our INVITE
	early  map[string][]byte
	sdp    []byte // our last description, for a refresh by re-INVITE

	ackWait  *ackWait
	byeOnAck bool
	parting  bool // a farewell is on its way
	replaces *Call
	others   []func() // Reinvite callers that wait for the negotiation to be free
	own      bool     // a re-INVITE or UPDATE with offer of ours is open
	ownDone  func(error)
	reoffer  *reoffer
	refer    *referral
	session  session
	number   string // identity last told
	name     string
	updates  bool // the peer allows UPDATE
}

// ID is the SIP Call-ID.
func (c *Call) ID() string { return c.id }

// Inbound tells who called.
func (c *Call) Inbound() bool { return !c.out }

// Header of the inbound INVITE, first value; "" when there is none.
func (c *Call) Header(name string) string {
	if c.invite == nil {
		return ""
	}
	return c.invite.get(name)
}

func (c *Call) key() string { return c.d.callID + " " + c.d.localTag }

// short names the call in logs.
func (c *Call) short() string { return c.id[:min(len(c.id), 12)] }

// end tells the seat that the call is over; it does so once.
func (c *Call) end(e Event) {
	if c.state == over {
		return
	}
	if c.state != accepted {
		c.dropAck() // else the ACK decides when our BYE may go
	}
	c.state = over
	c.stopTimers()
	c.refer = nil
	if c.reoffer != nil {
		c.rejectReoffer(487)
	}
	if c.ownDone != nil {
		c.ownDone(ErrState)
	}
	c.free()
	c.u.log.Info("call over", "call", c.short(), "event", fmt.Sprintf("%T", e))
	c.u.tell(e)
}

// forget takes the call off the books: the PBX knows as well that it is over.
func (c *Call) forget() {
	c.stopTimers()
	c.dropAck()
	if c.server != nil && c.server.timer == nil {
		c.u.forgetServer(c.server) // a refused one waits for its ACK
	}
	if c.ex != nil {
		c.u.forgetClient(c.ex.tx)
	}
	delete(c.u.calls, c.key())
	c.u.checkQuiet()
}

func (c *Call) stopTimers() {
	if c.reoffer != nil {
		c.reoffer.timer.Stop()
	}
	if c.refer != nil {
		c.refer.timer.Stop()
	}
	if c.session.timer != nil {
		c.session.timer.Stop()
	}
}

// Hangup ends the call in whatever state it is: CANCEL, BYE or a refusal.
// Ended comes at once; bringing it to the PBX may take until after the next
// recovery. Always nil.
func (c *Call) Hangup() error {
	c.u.mu.Lock()
	defer c.u.mu.Unlock()
	c.hangup("hung up")
	return nil
}

// Bye is Hangup.
func (c *Call) Bye() error { return c.Hangup() }

// Cancel is Hangup.
func (c *Call) Cancel() error { return c.Hangup() }

func (c *Call) hangup(why string) {
	state := c.state
	if state == over {
		return
	}
	c.end(Ended{Call: c, Reason: why})
	switch state {
	case calling:
		c.ex.abort()
		// RFC 3261 section 9.1: no answer within 64*T1 is an answer.
		c.u.after(timerB, func() {
			if !c.parting {
				c.forget()
			}
		})
	case ringing:
		c.u.answer(c.server, 480, nil, nil)
		c.forget()
	case accepted:
		// A callee must not send BYE before the ACK (section 15).
		c.byeOnAck = true
	case up:
		c.part()
	}
}

// part brings a BYE to the PBX, however long that takes.
func (c *Call) part() {
	c.parting = true
	c.u.bye(&c.d, c.forget)
}

// gone: the PBX says that there is no such call, or nothing at all.
func (c *Call) gone(why string) {
	if c.state == over {
		return
	}
	c.end(Ended{Call: c, ByRemote: true, Reason: why})
	c.u.bye(&c.d, c.forget)
}

// free wakes who waits for the negotiation.
func (c *Call) free() {
	waiting := c.others
	c.others = nil
	for _, f := range waiting {
		f()
	}
}

// busy: an offer of either side is open.
func (c *Call) busy() bool { return c.own || c.reoffer != nil || c.ackWait != nil }

// flowLost is called for every call when the flow breaks.
func (c *Call) flowLost() {
	c.closeReoffer() // nobody is left to hear the answer
	if c.state == ringing {
		// PBXs give up an INVITE with its connection and offer the caller
		// again; a seat that went on ringing would ring for nobody.
		c.end(Ended{Call: c, Reason: "connection to the PBX lost"})
	}
}

// flowBack is called after the first registration on a new flow.
func (c *Call) flowBack() {
	if c.state == over && c.server != nil && !c.server.final {
		c.u.answer(c.server, 480, nil, nil)
		c.forget()
	}
}

// ackWait repeats a 2xx until its ACK comes (RFC 3261 section 13.3.1.4).
type ackWait struct {
	t     *server
	every time.Duration
	spent time.Duration
	timer *time.Timer
}

// dropAck stops waiting.
func (c *Call) dropAck() {
	if w := c.ackWait; w != nil {
		w.timer.Stop()
		c.u.forgetServer(w.t)
		c.ackWait = nil
	}
}

func (c *Call) awaitAck(t *server) {
	w := &ackWait{t: t, every: timerT1}
	c.ackWait = w
	w.timer = c.u.after(w.every, func() {
		if c.ackWait != w {
			return
		}
		w.spent += w.every
		if w.spent >= timerB {
			c.noAck()
			return
		}
		c.u.send(t.last)
		w.every = min(2*w.every, timerT2, timerB-w.spent)
		w.timer.Reset(w.every)
	})
}

// noAck: the PBX never acknowledged our 200; the session is ended.
func (c *Call) noAck() {
	c.dropAck()
	c.end(Ended{Call: c, Reason: "the PBX did not acknowledge the answer"})
	c.part()
}

// ack brings an ACK of a 2xx to its call, or ends a refused INVITE.
func (u *UA) ack(m *message) {
	if t := u.servers[serverKey(m)]; t != nil && t.final {
		u.forgetServer(t)
	}
	c := u.find(m)
	if c == nil || c.ackWait == nil || c.ackWait.t.m.Seq != m.Seq {
		return
	}
	c.dropAck()
	switch {
	case c.byeOnAck:
		c.byeOnAck = false
		u.bye(&c.d, c.forget)
	case c.state == accepted:
		c.state = up
		u.tell(Confirmed{Call: c})
	}
	c.free()
}

// find is the call of a request within a dialog.
func (u *UA) find(m *message) *Call {
	c := u.calls[m.CallID+" "+m.ToTag]
	if c == nil {
		return nil
	}
	// While our INVITE rings, requests may come from any of its branches.
	if c.d.remoteTag != m.FromTag && !(c.out && c.state == calling) {
		return nil
	}
	return c
}

// targetURI turns what was dialled into a Request-URI.
func targetURI(target, domain string) (string, error) {
	lower := strings.ToLower(target)
	switch {
	case strings.HasPrefix(lower, "sip:") || strings.HasPrefix(lower, "sips:"):
		if strings.ContainsAny(target, " \t\r\n<>\"?") || userPart(target) == "" {
			return "", errors.New("not a SIP address that can be dialled")
		}
		return target, nil
	case target == "" || len(target) > 64:
		return "", errors.New("no number to dial")
	}
	for _, r := range target {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("+*#-_.", r)) {
			return "", errors.New("not a number that can be dialled")
		}
	}
	return "sip:" + escapeUser(target) + "@" + domain, nil
}

// StatusError is a refusal by the PBX.
type StatusError struct {
	Code   int
	Reason string
}

func (e *StatusError) Error() string { return fmt.Sprintf("the PBX refused: %d %s", e.Code, e.Reason) }

func refusal(m *message) error { return &StatusError{m.Code, clean(m.Reason, maxName)} }
