package siplite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Party is one end of a dialog, as From and To show it.
type Party struct {
	Display string
	URI     sip.Uri
}

// DialogConfig says how a dialog reaches its peer and who listens to it.
type DialogConfig struct {
	// Flow finds the way to the peer, now: it may wait for a peer that is
	// reconnecting, as long as ctx allows.
	Flow func(ctx context.Context) (Flow, error)
	// Contact is our own target, sent in each request and 2xx that carries one.
	Contact func(Flow) sip.Uri
	// Handle gets the peer's requests in this dialog, in order. It must not block.
	Handle func(*Incoming)
	// User and Password answer a 401 or 407; Password "" gives up.
	User, Password string
}

// Dialog is one SIP dialog (RFC 3261 section 12), from the first INVITE on. All
// methods may be called from any goroutine.
type Dialog struct {
	e   *Endpoint
	cfg DialogConfig

	mu         sync.Mutex
	callID     string
	localTag   string
	remoteTag  string
	local      Party
	remote     Party
	target     sip.Uri
	routes     []*sip.RouteHeader
	localSeq   uint32
	remoteSeq  uint32
	lastAck    []byte
	lastAckSeq uint32
	closed     bool
}

// NewDialog makes the caller's side of a dialog to be. Close it in the end.
func (e *Endpoint) NewDialog(cfg DialogConfig, local, remote Party, target sip.Uri) *Dialog {
	d := &Dialog{e: e, cfg: cfg, callID: NewTag() + "@deskset.invalid", localTag: NewTag(),
		local: local, remote: remote, target: target}
	e.mu.Lock()
	e.dialogs[d.key()] = d
	e.mu.Unlock()
	return d
}

// AcceptDialog makes the called side's dialog of an INVITE.
func (e *Endpoint) AcceptDialog(in *Incoming, cfg DialogConfig) (*Dialog, error) {
	c := in.Req.Contact()
	if c == nil || c.Address.Wildcard {
		return nil, errors.New("INVITE without Contact")
	}
	d := &Dialog{e: e, cfg: cfg, callID: in.Req.CallID().Value(), localTag: in.tag,
		remoteTag: tagOf(in.Req.From().Params), remoteSeq: in.Req.CSeq().SeqNo,
		local:  Party{in.Req.To().DisplayName, *in.Req.To().Address.Clone()},
		remote: Party{in.Req.From().DisplayName, *in.Req.From().Address.Clone()},
		target: *c.Address.Clone()}
	for _, h := range in.Req.GetHeaders("Record-Route") {
		if rr, ok := h.(*sip.RecordRouteHeader); ok {
			d.routes = append(d.routes, &sip.RouteHeader{Address: *rr.Address.Clone()})
		}
	}
	e.mu.Lock()
	e.dialogs[d.key()] = d
	e.mu.Unlock()
	return d, nil
}

func (d *Dialog) key() dialogKey { return dialogKey{d.callID, d.localTag} }

// CallID is the dialog's Call-ID.
func (d *Dialog) CallID() string { return d.callID }

// LocalTag is our tag.
func (d *Dialog) LocalTag() string { return d.localTag }

// RemoteTag is the peer's tag, "" before its first response.
func (d *Dialog) RemoteTag() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.remoteTag
}

// Remote is the other party as the dialog's From or To names it.
func (d *Dialog) Remote() Party { return d.remote }

// Target is the peer's current Contact.
func (d *Dialog) Target() sip.Uri {
	d.mu.Lock()
	defer d.mu.Unlock()
	return *d.target.Clone()
}

// Close forgets the dialog: later requests in it get 481.
func (d *Dialog) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.e.mu.Lock()
	delete(d.e.dialogs, d.key())
	d.e.mu.Unlock()
}

func (d *Dialog) receive(in *Incoming) {
	d.mu.Lock()
	from := tagOf(in.Req.From().Params)
	seq := in.Req.CSeq().SeqNo
	code := 0
	switch {
	case d.closed || (d.remoteTag != "" && from != d.remoteTag):
		code = sip.StatusCallTransactionDoesNotExists
	case d.remoteSeq != 0 && seq <= d.remoteSeq:
		code = sip.StatusInternalServerError // out of order, section 12.2.2
	default:
		d.remoteSeq = seq
		if in.Req.Method == sip.INVITE || in.Req.Method == sip.UPDATE { // target refresh
			if c := in.Req.Contact(); c != nil && !c.Address.Wildcard {
				d.target = *c.Address.Clone()
			}
		}
	}
	d.mu.Unlock()
	if code != 0 {
		in.Respond(code, "", nil)
		return
	}
	d.cfg.Handle(in)
}

// build makes a request of the dialog.
func (d *Dialog) build(method sip.RequestMethod, seq uint32, flow Flow, body []byte, headers []sip.Header) *sip.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	req := sip.NewRequest(method, *d.target.Clone())
	for _, r := range d.routes {
		req.AppendHeader(r.Clone())
	}
	mf := sip.MaxForwardsHeader(70)
	req.AppendHeader(&mf)
	from := &sip.FromHeader{DisplayName: d.local.Display, Address: *d.local.URI.Clone(), Params: sip.NewParams()}
	from.Params.Add("tag", d.localTag)
	req.AppendHeader(from)
	to := &sip.ToHeader{DisplayName: d.remote.Display, Address: *d.remote.URI.Clone(), Params: sip.NewParams()}
	if d.remoteTag != "" {
		to.Params.Add("tag", d.remoteTag)
	}
	req.AppendHeader(to)
	id := sip.CallIDHeader(d.callID)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: method})
	switch method {
	case sip.INVITE, sip.UPDATE, sip.REFER, sip.NOTIFY, sip.SUBSCRIBE:
		req.AppendHeader(&sip.ContactHeader{Address: d.cfg.Contact(flow)})
	}
	for _, h := range headers {
		req.AppendHeader(h)
	}
	req.SetBody(body)
	return req
}

func (d *Dialog) nextSeq() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.localSeq++
	return d.localSeq
}

// Request sends a request in the dialog and returns its final response, after
// one try with credentials where it is asked for. provisional may be nil.
func (d *Dialog) Request(ctx context.Context, method sip.RequestMethod, body []byte, provisional func(*sip.Response), headers ...sip.Header) (*sip.Response, error) {
	var auth []sip.Header
	for try := 0; ; try++ {
		flow, err := d.cfg.Flow(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
		seq := d.nextSeq()
		req := d.build(method, seq, flow, body, slices.Concat(headers, auth))
		res, err := d.e.Do(ctx, flow, req, func(res *sip.Response) {
			d.learn(method, res)
			if provisional != nil {
				provisional(res)
			}
		})
		if err != nil {
			return nil, err
		}
		if res.StatusCode == 401 || res.StatusCode == 407 {
			h, err := Authorize(req, res, d.cfg.User, d.cfg.Password)
			if try > 0 || err != nil {
				return res, nil
			}
			auth = []sip.Header{h}
			continue
		}
		d.learn(method, res)
		return res, nil
	}
}

// learn takes the peer's tag, target and routes from a response.
func (d *Dialog) learn(method sip.RequestMethod, res *sip.Response) {
	if method != sip.INVITE && method != sip.UPDATE || res.StatusCode == 100 || res.StatusCode >= 300 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	early := d.remoteTag == "" || d.lastAckSeq == 0 // before the first ACK the answerer may change (forking)
	if tag := tagOf(res.To().Params); tag != "" && early {
		d.remoteTag = tag
	}
	if c := res.Contact(); c != nil && !c.Address.Wildcard {
		d.target = *c.Address.Clone()
	}
	if early && method == sip.INVITE {
		d.routes = nil
		rr := res.GetHeaders("Record-Route")
		for _, h := range slices.Backward(rr) {
			if r, ok := h.(*sip.RecordRouteHeader); ok {
				d.routes = append(d.routes, &sip.RouteHeader{Address: *r.Address.Clone()})
			}
		}
	}
}

// Ack acknowledges the 2xx of an INVITE (a transaction of its own, section
// 13.2.2.4). It is repeated when the 2xx is.
func (d *Dialog) Ack(ctx context.Context, res *sip.Response, body []byte, headers ...sip.Header) error {
	flow, err := d.cfg.Flow(ctx)
	if err != nil {
		return fmt.Errorf("ACK: %w", err)
	}
	seq := res.CSeq().SeqNo
	req := d.build(sip.ACK, seq, flow, body, headers)
	addVia(req, flow, "z9hG4bK"+NewTag())
	msg := render(req)
	d.mu.Lock()
	d.lastAck, d.lastAckSeq = msg, seq
	d.mu.Unlock()
	return flow.Send(msg)
}

func (d *Dialog) ackAgain(res *sip.Response) {
	d.mu.Lock()
	msg, seq := d.lastAck, d.lastAckSeq
	d.mu.Unlock()
	if msg == nil || seq != res.CSeq().SeqNo {
		return
	}
	d.e.start(func() {
		ctx, cancel := context.WithTimeout(d.e.ctx, time.Second)
		defer cancel()
		if flow, err := d.cfg.Flow(ctx); err == nil {
			flow.Send(msg)
		}
	})
}

// ContactHeader is our Contact for a 2xx to a request that came by flow.
func (d *Dialog) ContactHeader(flow Flow) sip.Header {
	return &sip.ContactHeader{Address: d.cfg.Contact(flow)}
}
