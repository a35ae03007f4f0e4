package phone

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"deskset/cmd/desksim/smallpbx/rtplite"
	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/emiago/sipgo/sip"
)

// request takes the peer's requests inside the call; it must not block.
func (c *Call) request(in *siplite.Incoming) {
	switch in.Req.Method {
	case sip.BYE:
		in.Respond(sip.StatusOK, "", nil)
		c.finish(Remote, 0, "hung up")
	case sip.INVITE, sip.UPDATE:
		c.reoffered(in)
	case sip.NOTIFY:
		in.Respond(sip.StatusOK, "", nil)
		c.notified(in)
	case sip.REFER:
		c.referred(in)
	case sip.OPTIONS, sip.INFO, sip.MESSAGE:
		in.Respond(sip.StatusOK, "", nil, allow())
	default:
		in.Respond(sip.StatusMethodNotAllowed, "", nil, allow())
	}
}

// reoffered answers a re-INVITE or an UPDATE (RFC 3264 section 8): hold, resume,
// another address or codec.
func (c *Call) reoffered(in *siplite.Incoming) {
	if in.Req.Method == sip.UPDATE && len(in.Req.Body()) == 0 {
		in.Respond(sip.StatusOK, "", nil, c.dialog.ContactHeader(in.Flow)) // target or timer refresh only
		return
	}
	was := c.media.held()
	body, code := c.answerTo(in.Req.Body())
	if code != 0 {
		in.Respond(code, "", nil)
		return
	}
	if is := c.media.held(); is != was {
		c.mu.Lock()
		if is {
			c.note("held", "")
		} else {
			c.note("resumed", "")
		}
		c.mu.Unlock()
	}
	in.Respond(sip.StatusOK, "", body, c.dialog.ContactHeader(in.Flow), allow(),
		sip.NewHeader("Content-Type", "application/sdp"))
	if len(in.Req.Body()) == 0 {
		c.p.start(func(ctx context.Context) {
			select {
			case <-in.Acked():
				if err := c.remoteSDP(in.AckBody()); err != nil {
					c.p.cfg.Log.Warn("ACK without a good answer", "err", err)
				}
			case <-c.done:
			case <-ctx.Done():
			}
		})
	}
}

// referred follows a REFER (RFC 3515): it makes the new call and tells how it
// went. The new call comes out of Incoming; the peer ends this one.
func (c *Call) referred(in *siplite.Incoming) {
	target := in.Req.ReferTo()
	if target == nil {
		in.Respond(sip.StatusBadRequest, "", nil)
		return
	}
	uri := *target.Address.Clone()
	var headers []sip.Header
	for _, kv := range uri.Headers {
		if strings.EqualFold(kv.K, "Replaces") {
			headers = append(headers, sip.NewHeader("Replaces", unescape(kv.V)))
		}
	}
	uri.Headers = nil
	in.Respond(sip.StatusAccepted, "", nil, c.dialog.ContactHeader(in.Flow))
	c.p.start(func(ctx context.Context) {
		notify := func(code int, state string) {
			body := fmt.Sprintf("SIP/2.0 %d %s\r\n", code, siplite.Phrase(code))
			c.dialog.Request(ctx, sip.NOTIFY, []byte(body), nil, sip.NewHeader("Event", "refer"),
				sip.NewHeader("Subscription-State", state), sip.NewHeader("Content-Type", "message/sipfrag;version=2.0"))
		}
		notify(100, "active;expires=60")
		next, err := c.p.call(ctx, uri.String(), headers...)
		if err != nil {
			notify(503, "terminated;reason=noresource")
			return
		}
		select {
		case c.p.incoming <- next:
		default:
		}
		code := sip.StatusOK
		if err := next.Wait(ctx); err != nil {
			code = max(next.Code(), 480)
		}
		notify(code, "terminated;reason=noresource")
	})
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// notified notes how our REFER goes.
func (c *Call) notified(in *siplite.Incoming) {
	code, ok := sipfrag(in.Req.Body())
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note("refer", strconv.Itoa(code))
	c.refer = append(c.refer, code)
	close(c.referWait)
	c.referWait = make(chan struct{})
}

// sipfrag reads the status of a message/sipfrag body.
func sipfrag(b []byte) (code int, ok bool) {
	rest, ok := strings.CutPrefix(string(b), "SIP/2.0 ")
	if !ok || len(rest) < 3 {
		return 0, false
	}
	code, err := strconv.Atoi(rest[:3])
	return code, err == nil && code >= 100 && code <= 699
}

// Hold and Resume re-INVITE with sendonly and sendrecv.
func (c *Call) Hold(ctx context.Context) error { return c.reinvite(ctx, rtplite.SendOnly) }

// Resume takes the call back.
func (c *Call) Resume(ctx context.Context) error { return c.reinvite(ctx, rtplite.SendRecv) }

func (c *Call) reinvite(ctx context.Context, dir rtplite.Direction) error {
	c.mu.Lock()
	c.dir = dir
	up := c.state == stateUp
	c.mu.Unlock()
	if !up {
		return fmt.Errorf("re-INVITE: the call is not up")
	}
	offer := rtplite.Offer(c.media.addr(), c.p.codecs, dir).SDP(&c.origin)
	res, err := c.dialog.Request(ctx, sip.INVITE, offer, nil, allow(), sip.NewHeader("Content-Type", "application/sdp"))
	if err != nil {
		return err
	}
	if !res.IsSuccess() {
		return fmt.Errorf("re-INVITE: %d %s", res.StatusCode, res.Reason)
	}
	if err := c.dialog.Ack(ctx, res, nil); err != nil {
		return err
	}
	return c.remoteSDP(res.Body())
}

// Refer transfers the call to a target, blind (RFC 3515), and returns the final
// status that the PBX notified.
func (c *Call) Refer(ctx context.Context, target string) (code int, err error) {
	uri := siplite.UserURI(target, c.p.cfg.PBX)
	return c.referTo(ctx, "<"+uri.String()+">")
}

// ReferReplaces joins the far ends of two calls of ours (RFC 3891): the attended
// transfer's last step.
func (c *Call) ReferReplaces(ctx context.Context, other *Call) (code int, err error) {
	d := other.dialog
	uri := siplite.UserURI(other.number, c.p.cfg.PBX)
	replaces := strings.NewReplacer("@", "%40", ";", "%3B", "=", "%3D").Replace(
		fmt.Sprintf("%s;to-tag=%s;from-tag=%s", d.CallID(), d.RemoteTag(), d.LocalTag()))
	return c.referTo(ctx, "<"+uri.String()+"?Replaces="+replaces+">")
}

func (c *Call) referTo(ctx context.Context, to string) (int, error) {
	c.mu.Lock()
	c.refer = nil
	c.mu.Unlock()
	me := c.p.aor()
	res, err := c.dialog.Request(ctx, sip.REFER, nil, nil, sip.NewHeader("Refer-To", to),
		sip.NewHeader("Referred-By", "<"+me.URI.String()+">"))
	if err != nil {
		return 0, err
	}
	if !res.IsSuccess() {
		return res.StatusCode, fmt.Errorf("REFER: %d %s", res.StatusCode, res.Reason)
	}
	for {
		c.mu.Lock()
		wait := c.referWait
		last := 0
		if n := len(c.refer); n > 0 {
			last = c.refer[n-1]
		}
		c.mu.Unlock()
		if last >= 200 {
			return last, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return last, fmt.Errorf("REFER: no final NOTIFY: %w", ctx.Err())
		case <-time.After(siplite.Timeout):
			return last, fmt.Errorf("REFER: no final NOTIFY")
		}
	}
}
