package smallpbx

import (
	"context"
	"errors"
	"time"

	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/emiago/sipgo/sip"
)

// invited takes a new call.
func (c *core) invited(in *siplite.Incoming) {
	in.Respond(sip.StatusTrying, "", nil)
	user := in.Req.From().Address.User
	_, overWS := in.Flow.(*wsFlow)
	if _, account := c.cfg.Accounts[user]; account || overWS {
		signed, challenges := c.verifier.Check(in.Req)
		switch {
		case signed == "":
			in.Respond(sip.StatusUnauthorized, "", nil, challenges...)
			return
		case signed != user:
			in.Respond(sip.StatusForbidden, "", nil)
			return
		}
	}
	if len(in.Req.Body()) == 0 {
		in.Respond(sip.StatusNotAcceptableHere, "", nil) // no delayed offers here
		return
	}
	if !c.start(func() { c.serve(in, user, overWS) }) {
		in.Respond(sip.StatusServiceUnavailable, "", nil)
	}
}

// serve is one call, from its INVITE until the caller is gone.
func (c *core) serve(in *siplite.Incoming, user string, overWS bool) {
	l, err := c.newLeg(user, in.Req.From().DisplayName, isWebRTC(in.Req.Body()))
	if err != nil {
		in.Respond(sip.StatusInternalServerError, "", nil)
		return
	}
	l.caller, l.viaWS = true, overWS
	if overWS {
		l.instance = c.instanceOf(in.Flow, user)
	}
	c.mu.Lock()
	l.in, l.flow = in, in.Flow
	d, err := c.ep.AcceptDialog(in, l.dialogConfig())
	l.dialog = d
	c.mu.Unlock()
	if err != nil {
		in.Respond(sip.StatusBadRequest, "", nil)
		l.finish(err.Error())
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	c.start(func() { // what ends the call while it is being set up
		select {
		case <-in.Cancelled():
		case <-in.Flow.Done():
			c.mu.Lock()
			answered := l.up
			c.mu.Unlock()
			if answered {
				return // the call outlives its WebSocket
			}
		case <-l.done:
			cancel()
			return
		case <-ctx.Done():
			return
		}
		cancel()
		if l.finish("cancelled") {
			l.dialog.Close()
		}
	})
	code := c.dialPlan(ctx, l, in.Req.Recipient.User)
	if code == 0 {
		return
	}
	c.mu.Lock()
	pending := l.in
	l.in = nil
	c.mu.Unlock()
	if pending != nil {
		pending.Respond(code, "", nil)
		if l.finish("refused") {
			l.dialog.Close()
		}
		return
	}
	l.hangup("refused")
}

// dialPlan does what was dialled; code is the refusal, 0 when the call is up or over.
func (c *core) dialPlan(ctx context.Context, l *leg, ext string) (code int) {
	if ext == "700" {
		return c.queue(ctx, l)
	}
	if app := apps[ext]; app != nil {
		return app(c, ctx, l, ext)
	}
	b, code := c.reach(ctx, l, []string{ext}, c.cfg.RingTime, "", l.progress)
	if code != 0 {
		return code
	}
	if err := l.answer(ctx); err != nil {
		b.hangup("the caller is gone")
		return 0
	}
	if !c.bridge(l, b) {
		b.hangup("the caller is gone")
	}
	return 0
}

// target is where an extension can be rung.
type target struct {
	ext      string
	uri      sip.Uri
	flow     siplite.Flow
	instance string
	viaWS    bool
}

// locate finds an extension; code says why not.
func (c *core) locate(ext string) (t target, code int) {
	if b := c.find(ext, ""); b != nil {
		_, ws := b.flow.(*wsFlow)
		return target{ext: ext, uri: b.contact, flow: b.flow, instance: b.instance, viaWS: ws}, 0
	}
	if addr, ok := c.cfg.Static[ext]; ok && c.udp != nil {
		f, err := c.udp.Flow(addr)
		if err != nil {
			return target{}, sip.StatusTemporarilyUnavailable
		}
		return target{ext: ext, uri: siplite.UserURI(ext, addr), flow: f}, 0
	}
	if _, ok := c.cfg.Accounts[ext]; ok {
		return target{}, sip.StatusTemporarilyUnavailable // known, not registered
	}
	return target{}, sip.StatusNotFound
}

// reach rings extensions, all at once, for the caller from, and returns the leg
// that answers first; else the code of the best refusal. rings, if any, is called
// when one begins to ring.
func (c *core) reach(ctx context.Context, from *leg, exts []string, ringTime time.Duration, queue string, rings func()) (*leg, int) {
	type result struct {
		l    *leg
		code int
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result, len(exts))
	pending, worst := 0, 0
	for _, ext := range exts {
		t, code := c.locate(ext)
		if code != 0 {
			worst = max(worst, code)
			continue
		}
		if c.start(func() {
			l, code := c.ring(ctx, from, t, ringTime, queue, rings)
			results <- result{l, code}
		}) {
			pending++
		}
	}
	var winner *leg
	for range pending {
		r := <-results
		switch {
		case r.l == nil:
			worst = better(worst, r.code)
		case winner == nil:
			winner = r.l
			cancel()
		default:
			r.l.hangup("answered elsewhere")
		}
	}
	if winner != nil {
		return winner, 0
	}
	if worst == 0 {
		worst = sip.StatusTemporarilyUnavailable
	}
	return nil, worst
}

// better is the refusal that tells the caller more: 6xx over busy over the rest.
func better(a, b int) int {
	rank := func(c int) int {
		switch {
		case c >= 600:
			return 3
		case c == sip.StatusBusyHere:
			return 2
		case c == sip.StatusRequestTerminated:
			return 0
		}
		return 1
	}
	if a == 0 || rank(b) > rank(a) {
		return b
	}
	return a
}

// ring calls one target and waits for its answer, for ringTime.
func (c *core) ring(ctx context.Context, from *leg, t target, ringTime time.Duration, queue string, rings func()) (*leg, int) {
	l, err := c.newLeg(t.ext, "", t.viaWS)
	if err != nil {
		return nil, sip.StatusInternalServerError
	}
	offer, err := l.media.offer(ctx)
	if err != nil {
		l.finish(err.Error())
		return nil, sip.StatusInternalServerError
	}
	ctx, cancel := context.WithTimeout(ctx, ringTime)
	defer cancel()
	realm := t.flow.Local()
	c.mu.Lock()
	l.viaWS, l.instance, l.flow, l.giveUp = t.viaWS, t.instance, t.flow, cancel
	l.dialog = c.ep.NewDialog(l.dialogConfig(), siplite.Party{Display: from.name, URI: siplite.UserURI(from.user, realm)},
		siplite.Party{URI: siplite.UserURI(t.ext, realm)}, t.uri)
	c.mu.Unlock()
	headers := []sip.Header{sip.NewHeader("Content-Type", "application/sdp"), allow(),
		sip.NewHeader("Supported", "replaces, outbound"),
		sip.NewHeader("P-Asserted-Identity", identity(from, realm))}
	if queue != "" {
		headers = append(headers, sip.NewHeader("X-Queue", queue))
	}
	res, err := l.dialog.Request(ctx, sip.INVITE, offer, func(res *sip.Response) {
		if res.StatusCode > 100 && rings != nil {
			rings()
		}
	}, headers...)
	if err != nil || !res.IsSuccess() {
		l.dialog.Close()
		l.finish("not answered")
		switch {
		case err == nil && res.StatusCode == sip.StatusRequestTerminated, errors.Is(err, context.DeadlineExceeded):
			return nil, sip.StatusTemporarilyUnavailable
		case err == nil:
			return nil, res.StatusCode
		case errors.Is(err, siplite.ErrTimeout):
			return nil, sip.StatusRequestTimeout
		}
		return nil, sip.StatusTemporarilyUnavailable
	}
	if err := l.dialog.Ack(c.ctx, res, nil); err != nil {
		c.log.Warn("ACK not sent", "err", err)
	}
	c.mu.Lock()
	l.up, l.giveUp = true, nil
	gone := l.ended
	c.mu.Unlock()
	if gone { // hung up while it was being answered
		c.start(l.bye)
		return nil, sip.StatusTemporarilyUnavailable
	}
	if err := l.media.accept(ctx, res.Body()); err != nil {
		c.log.Warn("answer without a usable SDP", "leg", mask(t.ext), "err", err)
		l.hangup("no common codec")
		return nil, sip.StatusNotAcceptableHere
	}
	l.out.renegotiated()
	if ctx.Err() != nil { // the answer crossed our CANCEL
		l.hangup("too late")
		return nil, sip.StatusTemporarilyUnavailable
	}
	c.pbx.bump()
	return l, 0
}

// progress tells a caller that the far end rings.
func (l *leg) progress() {
	l.c.mu.Lock()
	in := l.in
	l.c.mu.Unlock()
	if in != nil {
		in.Respond(sip.StatusRinging, "", nil, l.dialog.ContactHeader(in.Flow))
	}
}

func identity(from *leg, realm string) string {
	u := siplite.UserURI(from.user, realm)
	s := "<" + u.String() + ">"
	if from.name != "" {
		s = `"` + from.name + `" ` + s
	}
	return s
}
