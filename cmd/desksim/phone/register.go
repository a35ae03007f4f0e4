package phone

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/emiago/sipgo/sip"
)

// registerFor is the expiry that we ask for, in seconds.
const registerFor = 120

// keepRegistered registers, refreshes in time, and unregisters when ctx ends.
func (p *Phone) keepRegistered(ctx context.Context) {
	callID, seq := siplite.NewTag(), uint32(0)
	first := true
	for ctx.Err() == nil {
		granted, err := p.register(ctx, callID, &seq, registerFor)
		wait := 2 * time.Second
		if err != nil {
			p.cfg.Log.Warn("not registered", "err", err)
		} else {
			wait = time.Duration(granted) * time.Second * 4 / 5
			if first {
				first = false
				close(p.registered)
			}
		}
		select {
		case <-time.After(max(wait, time.Second)):
		case <-ctx.Done():
		}
	}
	if first {
		return
	}
	off, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := p.register(off, callID, &seq, 0); err != nil {
		p.cfg.Log.Debug("not unregistered", "err", err)
	}
}

// register sends one REGISTER (RFC 3261 section 10), twice when challenged, and
// returns the seconds that were granted.
func (p *Phone) register(ctx context.Context, callID string, seq *uint32, expires int) (int, error) {
	var auth sip.Header
	for {
		registrar := siplite.UserURI("", p.cfg.PBX)
		req := sip.NewRequest(sip.REGISTER, registrar)
		me := p.aor()
		from := &sip.FromHeader{Address: me.URI, Params: sip.NewParams()}
		from.Params.Add("tag", siplite.NewTag())
		req.AppendHeader(from)
		req.AppendHeader(&sip.ToHeader{Address: me.URI})
		id := sip.CallIDHeader(callID)
		req.AppendHeader(&id)
		*seq++
		req.AppendHeader(&sip.CSeqHeader{SeqNo: *seq, MethodName: sip.REGISTER})
		mf := sip.MaxForwardsHeader(70)
		req.AppendHeader(&mf)
		req.AppendHeader(&sip.ContactHeader{Address: p.contact(nil)})
		req.AppendHeader(sip.NewHeader("Expires", strconv.Itoa(expires)))
		if auth != nil {
			req.AppendHeader(auth)
		}
		req.SetBody(nil)
		res, err := p.ep.Do(ctx, p.pbx, req, nil)
		switch {
		case err != nil:
			return 0, fmt.Errorf("register: %w", err)
		case (res.StatusCode == 401 || res.StatusCode == 407) && auth == nil:
			if auth, err = siplite.Authorize(req, res, p.cfg.User, p.cfg.Password); err != nil {
				return 0, fmt.Errorf("register: %w", err)
			}
			continue
		case !res.IsSuccess():
			return 0, fmt.Errorf("register: %d %s", res.StatusCode, res.Reason)
		}
		granted := expires
		for _, h := range res.GetHeaders("Contact") {
			if c, ok := h.(*sip.ContactHeader); ok && c.Address.User == p.cfg.User {
				if n, err := strconv.Atoi(c.Params.GetOr("expires", "")); err == nil {
					granted = n
				}
			}
		}
		return granted, nil
	}
}
