package phone

import (
	"context"
	"fmt"
	"strings"
	"time"

	"deskset/cmd/desksim/smallpbx/rtplite"
	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/emiago/sipgo/sip"
)

// invited takes an incoming call.
func (p *Phone) invited(in *siplite.Incoming) {
	in.Respond(sip.StatusTrying, "", nil)
	from := in.Req.From()
	var replaced *Call
	if v := siplite.HeaderText(in.Req, "Replaces"); v != "" { // RFC 3891
		if replaced = p.findReplaced(v); replaced == nil {
			in.Respond(sip.StatusCallTransactionDoesNotExists, "", nil)
			return
		}
	}
	p.mu.Lock()
	policy := p.policy
	p.mu.Unlock()
	if policy.Reject != 0 && replaced == nil {
		in.Respond(policy.Reject, "", nil)
		return
	}
	c, err := p.newCall(true, from.Address.User, from.DisplayName)
	if err != nil {
		in.Respond(sip.StatusInternalServerError, "", nil)
		return
	}
	d, err := p.ep.AcceptDialog(in, c.dialogConfig(in.Flow))
	if err != nil {
		in.Respond(sip.StatusBadRequest, "", nil)
		c.finish(Remote, 400, err.Error())
		return
	}
	c.mu.Lock()
	c.dialog, c.in = d, in
	c.mu.Unlock()
	if replaced == nil {
		in.Respond(sip.StatusRinging, "", nil, d.ContactHeader(in.Flow))
		c.rang(180)
	}
	select {
	case p.incoming <- c:
	default: // nobody reads them: the policy alone decides
	}
	err = p.start(func(ctx context.Context) { c.ring(ctx, in, policy, replaced) })
	if err != nil {
		in.Respond(sip.StatusServiceUnavailable, "", nil)
		c.finish(Local, 503, err.Error())
	}
}

// ring waits for the policy's time, the script's decision or the caller's.
func (c *Call) ring(ctx context.Context, in *siplite.Incoming, policy Policy, replaced *Call) {
	var answer <-chan time.Time
	if replaced != nil {
		policy = Policy{}
	}
	if !policy.LetRing {
		answer = time.After(policy.After)
	}
	select {
	case <-answer:
		if err := c.Answer(); err != nil {
			c.p.cfg.Log.Warn("not answered", "err", err)
			return
		}
		if replaced != nil {
			replaced.Hangup()
		}
	case <-in.Cancelled():
		c.finish(Remote, sip.StatusRequestTerminated, "cancelled")
		return
	case <-c.answered:
	case <-c.done:
	case <-ctx.Done():
		return
	}
	// A caller that vanished before the ACK must not leave us in a call.
	select {
	case <-in.Acked():
		if c.media.unset() { // the offer was ours: the answer comes in the ACK
			if err := c.remoteSDP(in.AckBody()); err != nil {
				c.Hangup()
			}
		}
	case <-c.done:
	case <-ctx.Done():
	case <-time.After(siplite.Timeout):
		c.Hangup()
	}
}

// Answer takes an incoming call that rings.
func (c *Call) Answer() error {
	c.mu.Lock()
	in, d := c.in, c.dialog
	if in == nil || c.state != stateRinging {
		c.mu.Unlock()
		return fmt.Errorf("answer: the call does not ring")
	}
	c.in = nil
	c.mu.Unlock()
	body, code := c.answerTo(in.Req.Body())
	if code != 0 {
		in.Respond(code, "", nil)
		c.finish(Local, code, "no common codec")
		return fmt.Errorf("answer: %d, no common codec", code)
	}
	in.Respond(sip.StatusOK, "", body, d.ContactHeader(in.Flow), allow(),
		sip.NewHeader("Content-Type", "application/sdp"))
	c.up()
	return nil
}

// Reject refuses an incoming call that rings.
func (c *Call) Reject(code int) {
	c.mu.Lock()
	in := c.in
	c.in = nil
	c.mu.Unlock()
	if in != nil {
		in.Respond(code, "", nil)
		c.finish(Local, code, "rejected")
	}
}

// answerTo answers an offer, the first or a later one; an empty one is answered
// with an offer of our own. code is the refusal.
func (c *Call) answerTo(offer []byte) (body []byte, code int) {
	if len(offer) == 0 {
		return rtplite.Offer(c.media.addr(), c.p.codecs, rtplite.SendRecv).SDP(&c.origin), 0
	}
	d, err := rtplite.ParseSDP(offer)
	if err != nil {
		return nil, sip.StatusNotAcceptableHere
	}
	dir := d.Dir.Answer()
	a, ok := d.AnswerTo(c.media.addr(), c.p.codecs, dir)
	if !ok {
		return nil, sip.StatusNotAcceptableHere
	}
	if err := c.media.use(d, dir); err != nil {
		return nil, sip.StatusNotAcceptableHere
	}
	return a.SDP(&c.origin), 0
}

// findReplaced finds the call that a Replaces header names.
func (p *Phone) findReplaced(v string) *Call {
	id, rest, _ := strings.Cut(v, ";")
	id = strings.TrimSpace(id)
	params := map[string]string{}
	for kv := range strings.SplitSeq(rest, ";") {
		k, val, _ := strings.Cut(strings.TrimSpace(kv), "=")
		params[strings.ToLower(k)] = val
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.calls {
		c.mu.Lock()
		d := c.dialog
		c.mu.Unlock()
		if d != nil && d.CallID() == id && d.LocalTag() == params["to-tag"] && d.RemoteTag() == params["from-tag"] {
			return c
		}
	}
	return nil
}
