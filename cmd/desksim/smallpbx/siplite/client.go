package siplite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// clientTx is one request of ours (RFC 3261 section 17.1).
type clientTx struct {
	e    *Endpoint
	flow Flow
	req  *sip.Request
	key  string
	got  chan *sip.Response
	ack  []byte // of a non-2xx final, repeated with it
	// done is closed when nobody reads got any more.
	done chan struct{}
}

func (tx *clientTx) receive(res *sip.Response) {
	select {
	case <-tx.done:
		if tx.ack != nil && res.StatusCode >= 300 {
			tx.flow.Send(tx.ack)
		}
		return
	default:
	}
	select {
	case tx.got <- res:
	case <-tx.done:
	default: // a flood of provisional responses: the final one is repeated or comes again
		if res.StatusCode >= 200 {
			select {
			case tx.got <- res:
			case <-tx.done:
			case <-tx.e.ctx.Done():
			}
		}
	}
}

// Do sends a request and returns its final response; provisional gets the others
// (it may be nil). The Via is added here. An INVITE whose ctx ends is cancelled,
// and its final response returned: after a crossing that can be a 2xx, which the
// caller must ACK and BYE.
func (e *Endpoint) Do(ctx context.Context, flow Flow, req *sip.Request, provisional func(*sip.Response)) (*sip.Response, error) {
	branch := "z9hG4bK" + NewTag()
	addVia(req, flow, branch)
	if e.cfg.UserAgent != "" && req.GetHeader("User-Agent") == nil {
		req.AppendHeader(sip.NewHeader("User-Agent", e.cfg.UserAgent))
	}
	tx := &clientTx{e: e, flow: flow, req: req, key: branch + string(req.Method),
		got: make(chan *sip.Response, 16), done: make(chan struct{})}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil, ErrClosed
	}
	e.clients[tx.key] = tx
	e.mu.Unlock()

	res, err := tx.run(ctx, provisional)
	if res != nil && req.Method == sip.INVITE && res.StatusCode >= 300 {
		tx.ack = render(ackFor(req, res))
		flow.Send(tx.ack)
	}
	close(tx.done)
	forget := func() {
		e.mu.Lock()
		delete(e.clients, tx.key)
		e.mu.Unlock()
	}
	// An INVITE on UDP stays matched for repeats of its final response.
	if tx.ack == nil || flow.Reliable() || !e.start(func() {
		defer forget()
		sleep(e.ctx, Timeout)
	}) {
		forget()
	}
	if err != nil {
		return nil, fmt.Errorf("%s to %s: %w", req.Method, flow.Remote(), err)
	}
	return res, nil
}

func (tx *clientTx) run(ctx context.Context, provisional func(*sip.Response)) (*sip.Response, error) {
	msg := render(tx.req)
	if err := tx.flow.Send(msg); err != nil {
		return nil, err
	}
	invite := tx.req.Method == sip.INVITE
	var again <-chan time.Time
	wait := T1
	if !tx.flow.Reliable() {
		again = time.After(wait)
	}
	end := time.NewTimer(Timeout)
	defer end.Stop()
	ended := ctx.Done()
	proceeding, cancelling, cancelSent := false, false, false
	for {
		if cancelling && proceeding && !cancelSent { // never before a provisional: section 9.1
			cancelSent = true
			end.Reset(Timeout)
			tx.cancel()
		}
		select {
		case res := <-tx.got:
			if res.StatusCode >= 200 {
				return res, nil
			}
			proceeding = true
			if invite {
				again = nil
				if !cancelSent {
					end.Stop()
				}
			}
			if provisional != nil {
				provisional(res)
			}
		case <-again:
			tx.flow.Send(msg)
			wait *= 2
			if !invite {
				wait = min(wait, T2)
			}
			again = time.After(wait)
		case <-end.C:
			return nil, ErrTimeout
		case <-ended:
			if !invite {
				return nil, ctx.Err()
			}
			ended, cancelling = nil, true
		case <-tx.flow.Done():
			return nil, ErrFlowGone
		case <-tx.e.ctx.Done():
			return nil, ErrClosed
		}
	}
}

// cancel sends the CANCEL on a transaction of its own.
func (tx *clientTx) cancel() {
	c := sip.NewRequest(sip.CANCEL, *tx.req.Recipient.Clone())
	via := tx.req.Via().Clone()
	c.AppendHeader(via)
	copyHeaders(tx.req, c, "Route", "From", "To", "Call-ID")
	c.AppendHeader(&sip.CSeqHeader{SeqNo: tx.req.CSeq().SeqNo, MethodName: sip.CANCEL})
	mf := sip.MaxForwardsHeader(70)
	c.AppendHeader(&mf)
	c.SetBody(nil)
	msg := render(c)
	tx.flow.Send(msg)
	if tx.flow.Reliable() {
		return
	}
	// Repeated until the INVITE ends: its 487 is what we wait for.
	tx.e.start(func() {
		for wait := T1; wait < Timeout; wait *= 2 {
			select {
			case <-time.After(wait):
				tx.flow.Send(msg)
			case <-tx.done:
				return
			case <-tx.e.ctx.Done():
				return
			}
		}
	})
}

// ackFor is the ACK of a non-2xx final, RFC 3261 section 17.1.1.3.
func ackFor(req *sip.Request, res *sip.Response) *sip.Request {
	a := sip.NewRequest(sip.ACK, *req.Recipient.Clone())
	a.AppendHeader(req.Via().Clone())
	copyHeaders(req, a, "Route", "From")
	a.AppendHeader(sip.HeaderClone(res.To()))
	copyHeaders(req, a, "Call-ID")
	a.AppendHeader(&sip.CSeqHeader{SeqNo: req.CSeq().SeqNo, MethodName: sip.ACK})
	mf := sip.MaxForwardsHeader(70)
	a.AppendHeader(&mf)
	a.SetBody(nil)
	return a
}

func copyHeaders(from, to sip.Message, names ...string) {
	for _, n := range names {
		for _, h := range from.GetHeaders(n) {
			to.AppendHeader(sip.HeaderClone(h))
		}
	}
}

// addVia puts our Via on top, replacing one of an earlier try.
func addVia(req *sip.Request, flow Flow, branch string) {
	for req.RemoveHeader("Via") {
	}
	local := UserURI("", flow.Local())
	via := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: strings.ToUpper(flow.Transport()),
		Host: local.Host, Port: local.Port, Params: sip.NewParams()}
	via.Params.Add("branch", branch)
	if !flow.Reliable() {
		via.Params.Add("rport", "")
	}
	req.PrependHeader(via)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
