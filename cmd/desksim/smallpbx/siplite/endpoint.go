package siplite

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// Config of an Endpoint.
type Config struct {
	// Handle gets each request that belongs to no dialog. It must not block.
	Handle func(*Incoming)
	// UserAgent is sent as User-Agent and Server; optional.
	UserAgent string
	Log       *slog.Logger
}

// Endpoint matches messages to transactions and dialogs.
type Endpoint struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	clients map[string]*clientTx // by branch + method
	servers map[string]*Incoming // by branch + method
	invites map[string]*Incoming // by dialog and CSeq: the ACK of a 2xx
	dialogs map[dialogKey]*Dialog
}

type dialogKey struct{ callID, localTag string }

// New makes an endpoint; nothing runs until a message arrives or is sent.
func New(cfg Config) *Endpoint {
	e := &Endpoint{
		cfg:     cfg,
		clients: map[string]*clientTx{},
		servers: map[string]*Incoming{},
		invites: map[string]*Incoming{},
		dialogs: map[dialogKey]*Dialog{},
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// Close fails what is pending, and returns when no goroutine is left.
func (e *Endpoint) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.cancel()
	e.wg.Wait()
}

// start runs f on a goroutine that Close waits for; false when closed.
func (e *Endpoint) start(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.wg.Go(f)
	return true
}

// Receive takes one message from a flow. The error says what was wrong with it
// (the connection may well go on); it has already been logged.
func (e *Endpoint) Receive(flow Flow, data []byte) error {
	msg, err := Parse(data)
	if err != nil {
		if !errors.Is(err, errNotSIP) {
			e.cfg.Log.Warn("dropped a message", "remote", flow.Remote(), "bytes", len(data), "err", err)
		}
		return err
	}
	switch m := msg.(type) {
	case *sip.Request:
		m.SetSource(flow.Remote())
		e.receiveRequest(flow, m)
	case *sip.Response:
		e.receiveResponse(m)
	}
	return nil
}

func (e *Endpoint) receiveResponse(res *sip.Response) {
	e.mu.Lock()
	tx := e.clients[branchOf(res)+string(res.CSeq().MethodName)]
	d := e.dialogs[dialogKey{res.CallID().Value(), tagOf(res.From().Params)}]
	e.mu.Unlock()
	switch {
	case tx != nil:
		tx.receive(res)
	case d != nil && res.CSeq().MethodName == sip.INVITE && res.IsSuccess():
		d.ackAgain(res) // our ACK got lost, RFC 3261 section 13.2.2.4
	}
}

func (e *Endpoint) receiveRequest(flow Flow, req *sip.Request) {
	switch req.Method {
	case sip.ACK:
		e.receiveAck(req)
		return
	case sip.CANCEL:
		e.receiveCancel(flow, req)
		return
	}
	key := branchOf(req) + string(req.Method)
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	if old := e.servers[key]; old != nil {
		e.mu.Unlock()
		old.repeat(flow)
		return
	}
	in := newIncoming(e, flow, req, key)
	e.servers[key] = in
	d := e.dialogs[dialogKey{req.CallID().Value(), tagOf(req.To().Params)}]
	e.mu.Unlock()
	switch {
	case d != nil:
		d.receive(in)
	case tagOf(req.To().Params) != "":
		in.Respond(sip.StatusCallTransactionDoesNotExists, "", nil)
	default:
		e.cfg.Handle(in)
	}
}

func (e *Endpoint) receiveAck(req *sip.Request) {
	e.mu.Lock()
	in := e.servers[branchOf(req)+string(sip.INVITE)] // ACK of a non-2xx: same branch
	if in == nil {
		in = e.invites[inviteKey(req)]
	}
	e.mu.Unlock()
	if in != nil {
		in.ack(req.Body())
	}
}

func (e *Endpoint) receiveCancel(flow Flow, req *sip.Request) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	inv := e.servers[branchOf(req)+string(sip.INVITE)]
	key := branchOf(req) + string(sip.CANCEL)
	if old := e.servers[key]; old != nil {
		e.mu.Unlock()
		old.repeat(flow)
		return
	}
	in := newIncoming(e, flow, req, key)
	e.servers[key] = in
	e.mu.Unlock()
	if inv == nil {
		in.Respond(sip.StatusCallTransactionDoesNotExists, "", nil)
		return
	}
	in.tag = inv.tag
	in.Respond(sip.StatusOK, "", nil)
	inv.cancelNow()
}

// inviteKey names an INVITE that was answered with 2xx, by what its ACK repeats.
func inviteKey(req *sip.Request) string {
	return req.CallID().Value() + " " + tagOf(req.From().Params) + " " + req.CSeq().Value()[:cseqDigits(req)]
}

func cseqDigits(req *sip.Request) int {
	v := req.CSeq().Value()
	for i := range len(v) {
		if v[i] == ' ' {
			return i
		}
	}
	return len(v)
}
