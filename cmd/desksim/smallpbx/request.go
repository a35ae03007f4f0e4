package smallpbx

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"deskset/cmd/desksim/smallpbx/rtplite"
	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/emiago/sipgo/sip"
)

// request takes a party's requests inside its dialog; it must not block.
func (l *leg) request(in *siplite.Incoming) {
	l.c.mu.Lock()
	l.flow = in.Flow // the way back, also after a reconnect
	l.c.mu.Unlock()
	switch in.Req.Method {
	case sip.BYE:
		in.Respond(sip.StatusOK, "", nil)
		if l.finish("it hung up") {
			l.dialog.Close()
		}
	case sip.INVITE, sip.UPDATE:
		l.reoffered(in)
	case sip.REFER:
		l.referred(in)
	case sip.INFO, sip.OPTIONS, sip.NOTIFY, sip.MESSAGE:
		in.Respond(sip.StatusOK, "", nil, allow())
	default:
		in.Respond(sip.StatusMethodNotAllowed, "", nil, allow())
	}
}

// reoffered answers a re-INVITE or UPDATE: hold, resume, target refresh, an ICE
// restart, another codec.
func (l *leg) reoffered(in *siplite.Incoming) {
	if len(in.Req.Body()) == 0 {
		code := sip.StatusOK
		if in.Req.Method == sip.INVITE {
			code = sip.StatusNotAcceptableHere // no delayed offers here
		}
		in.Respond(code, "", nil, l.dialog.ContactHeader(in.Flow))
		return
	}
	in.Respond(sip.StatusTrying, "", nil)
	l.c.start(func() {
		ctx, cancel := context.WithTimeout(l.c.ctx, 5*time.Second)
		defer cancel()
		sdp, err := l.media.answer(ctx, in.Req.Body())
		if err != nil {
			l.c.log.Warn("re-INVITE refused", "leg", mask(l.user), "err", err)
			in.Respond(sip.StatusNotAcceptableHere, "", nil)
			return
		}
		l.out.renegotiated()
		a, _ := l.media.agreed()
		l.setHold(a.peer)
		in.Respond(sip.StatusOK, "", sdp, l.dialog.ContactHeader(in.Flow), allow(),
			sip.NewHeader("Content-Type", "application/sdp"))
		l.c.pbx.bump()
	})
}

// setHold notes the direction that the leg asked for.
func (l *leg) setHold(d rtplite.Direction) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.hold = d
	l.wire()
	if l.peer != nil {
		l.peer.wire()
	}
}

// referred starts a transfer (RFC 3515), blind or with Replaces (RFC 3891).
func (l *leg) referred(in *siplite.Incoming) {
	to := in.Req.ReferTo()
	if to == nil || to.Address.User == "" {
		in.Respond(sip.StatusBadRequest, "", nil)
		return
	}
	in.Respond(sip.StatusAccepted, "", nil, l.dialog.ContactHeader(in.Flow))
	ext, replaces := to.Address.User, ""
	for _, kv := range to.Address.Headers {
		if strings.EqualFold(kv.K, "Replaces") {
			if v, err := url.PathUnescape(kv.V); err == nil {
				replaces = v
			}
		}
	}
	l.c.start(func() {
		if replaces != "" {
			l.transferAttended(replaces)
		} else {
			l.transferBlind(ext)
		}
	})
}

// notify tells how a transfer goes, by a sipfrag.
func (l *leg) notify(code int) {
	state := "active;expires=60"
	if code >= 200 {
		state = "terminated;reason=noresource"
	}
	ctx, cancel := context.WithTimeout(l.c.ctx, 5*time.Second)
	defer cancel()
	body := fmt.Sprintf("SIP/2.0 %d %s\r\n", code, siplite.Phrase(code))
	_, err := l.dialog.Request(ctx, sip.NOTIFY, []byte(body), nil, sip.NewHeader("Event", "refer"),
		sip.NewHeader("Subscription-State", state), sip.NewHeader("Content-Type", "message/sipfrag;version=2.0"))
	if err != nil {
		l.c.log.Debug("NOTIFY not answered", "leg", mask(l.user), "err", err)
	}
}

// transferBlind calls ext for the party that l is talking to. l stays in its call
// until the target answers; then it is on its own, and is expected to hang up.
func (l *leg) transferBlind(ext string) {
	c := l.c
	c.mu.Lock()
	other := l.peer
	c.mu.Unlock()
	if other == nil {
		l.notify(sip.StatusBadRequest) // as Asterisk says of an unbridged leg
		return
	}
	l.notify(sip.StatusTrying)
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	c.start(func() { // the transferred party gives up
		select {
		case <-other.done:
			cancel()
		case <-stop:
		}
	})
	if ext == "700" || apps[ext] != nil {
		c.detach(l, other)
		l.notify(sip.StatusOK)
		c.byeLater(l)
		if code := c.dialPlan(ctx, other, ext); code != 0 {
			other.hangup("transfer refused")
		}
		return
	}
	// The 180 is told beside the call that is being made, and before its end.
	var rang sync.Once
	var told sync.WaitGroup
	b, code := c.reach(ctx, other, []string{ext}, c.cfg.RingTime, "", func() {
		rang.Do(func() { told.Go(func() { l.notify(sip.StatusRinging) }) })
	})
	told.Wait()
	if b == nil {
		l.notify(code)
		return
	}
	c.detach(l, other)
	if !c.bridge(other, b) {
		b.hangup("the transferred party is gone")
		l.notify(sip.StatusRequestTerminated)
		return
	}
	l.notify(sip.StatusOK)
	c.byeLater(l)
}

// detach takes l off its call without ending either side.
func (c *core) detach(l, other *leg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.peer == other {
		l.unbridge()
	}
}

// byeLater ends a leg that has transferred its call away, when it does not do so
// itself.
func (c *core) byeLater(l *leg) {
	c.start(func() {
		select {
		case <-time.After(siplite.Timeout):
			l.hangup("transferred")
		case <-l.done:
		case <-c.ctx.Done():
		}
	})
}

// transferAttended joins the party that l talks to with the one that the replaced
// dialog talks to, and ends both legs of the transferor.
func (l *leg) transferAttended(replaces string) {
	c := l.c
	second := c.findReplaced(replaces)
	c.mu.Lock()
	var far, near *leg
	near = l.peer
	if second != nil {
		far = second.peer
	}
	c.mu.Unlock()
	if second == nil || second == l || near == nil || far == nil || near == second {
		l.notify(sip.StatusBadRequest)
		return
	}
	l.notify(sip.StatusTrying)
	c.detach(l, near)
	c.detach(second, far)
	if !c.bridge(near, far) {
		near.hangup("the transfer's other side is gone")
		far.hangup("the transfer's other side is gone")
		l.notify(sip.StatusRequestTerminated)
		return
	}
	l.notify(sip.StatusOK)
	second.hangup("transferred")
	l.hangup("transferred")
}

// findReplaced finds the leg whose dialog a Replaces value names, whichever side's
// tags come first.
func (c *core) findReplaced(v string) *leg {
	id, to, from := parseReplaces(v)
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.legs {
		if d := l.dialog; d != nil && d.CallID() == id {
			mine, its := d.LocalTag(), d.RemoteTag()
			if (to == mine && from == its) || (to == its && from == mine) {
				return l
			}
		}
	}
	return nil
}

// parseReplaces reads "call-id;to-tag=a;from-tag=b" (RFC 3891 section 6.1).
func parseReplaces(v string) (callID, toTag, fromTag string) {
	id, rest, _ := strings.Cut(v, ";")
	for kv := range strings.SplitSeq(rest, ";") {
		k, val, _ := strings.Cut(strings.TrimSpace(kv), "=")
		switch strings.ToLower(k) {
		case "to-tag":
			toTag = val
		case "from-tag":
			fromTag = val
		}
	}
	return strings.TrimSpace(id), toTag, fromTag
}
