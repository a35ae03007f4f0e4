package siplite

import (
	"net"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Incoming is a request from a peer with its server transaction
// (RFC 3261 section 17.2).
type Incoming struct {
	Req  *sip.Request
	Flow Flow

	e   *Endpoint
	key string
	tag string

	mu        sync.Mutex
	last      []byte
	final     int
	acked     chan struct{}
	ackBody   []byte
	cancelled chan struct{}
}

func newIncoming(e *Endpoint, flow Flow, req *sip.Request, key string) *Incoming {
	return &Incoming{Req: req, Flow: flow, e: e, key: key, tag: NewTag(),
		acked: make(chan struct{}), cancelled: make(chan struct{})}
}

// Tag is the tag that our responses carry in To.
func (in *Incoming) Tag() string { return in.tag }

// Cancelled is closed when the caller cancels an INVITE that has no final
// response yet; the 487 has then been sent.
func (in *Incoming) Cancelled() <-chan struct{} { return in.cancelled }

// Acked is closed when the ACK of an INVITE's final response came.
func (in *Incoming) Acked() <-chan struct{} { return in.acked }

// AckBody is the body of the ACK, after Acked.
func (in *Incoming) AckBody() []byte {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.ackBody
}

// Respond sends a response; a second final one is dropped. reason "" takes the
// usual phrase. On UDP the final response to an INVITE is repeated until its ACK.
func (in *Incoming) Respond(code int, reason string, body []byte, headers ...sip.Header) {
	if reason == "" {
		reason = Phrase(code)
	}
	res := sip.NewResponse(code, reason)
	for _, h := range in.Req.GetHeaders("Via") {
		res.AppendHeader(sip.HeaderClone(h))
	}
	if via := res.Via(); via != nil && via.Params.Has("rport") { // RFC 3581
		if host, port, err := net.SplitHostPort(in.Flow.Remote()); err == nil {
			via.Params.Add("rport", port)
			via.Params.Add("received", host)
		}
	}
	if in.Req.Method == sip.INVITE || in.Req.Method == sip.SUBSCRIBE || in.Req.Method == sip.REFER {
		for _, h := range in.Req.GetHeaders("Record-Route") {
			res.AppendHeader(sip.HeaderClone(h))
		}
	}
	res.AppendHeader(sip.HeaderClone(in.Req.From()))
	to := sip.HeaderClone(in.Req.To()).(*sip.ToHeader)
	if code > 100 && !to.Params.Has("tag") {
		to.Params.Add("tag", in.tag)
	}
	res.AppendHeader(to)
	res.AppendHeader(sip.HeaderClone(in.Req.CallID()))
	res.AppendHeader(sip.HeaderClone(in.Req.CSeq()))
	if in.e.cfg.UserAgent != "" {
		res.AppendHeader(sip.NewHeader("Server", in.e.cfg.UserAgent))
	}
	for _, h := range headers {
		res.AppendHeader(h)
	}
	res.SetBody(body)

	in.mu.Lock()
	if in.final != 0 {
		in.mu.Unlock()
		return
	}
	in.last = render(res)
	if code >= 200 {
		in.final = code
	}
	msg := in.last
	in.mu.Unlock()
	var ackKey string
	if in.Req.Method == sip.INVITE && code >= 200 && code < 300 {
		ackKey = inviteKey(in.Req) // before the 200 leaves: its ACK may be quick
		in.e.mu.Lock()
		in.e.invites[ackKey] = in
		in.e.mu.Unlock()
	}
	if err := in.Flow.Send(msg); err != nil {
		in.e.cfg.Log.Debug("response not sent", "code", code, "err", err)
	}
	if code >= 200 {
		in.finish(msg, ackKey)
	}
}

// finish keeps the transaction for repeats, then forgets it.
func (in *Incoming) finish(msg []byte, ackKey string) {
	invite := in.Req.Method == sip.INVITE
	forget := func() {
		in.e.mu.Lock()
		delete(in.e.servers, in.key)
		if ackKey != "" && in.e.invites[ackKey] == in {
			delete(in.e.invites, ackKey)
		}
		in.e.mu.Unlock()
	}
	started := in.e.start(func() {
		defer forget()
		in.linger(invite, msg)
	})
	if !started {
		forget()
	}
}

func (in *Incoming) linger(invite bool, msg []byte) {
	end := time.NewTimer(Timeout)
	defer end.Stop()
	if in.Flow.Reliable() && !invite {
		return
	}
	acked := in.acked
	var again <-chan time.Time
	wait := T1
	if invite && !in.Flow.Reliable() {
		again = time.After(wait)
	}
	for {
		select {
		case <-again:
			in.Flow.Send(msg)
			wait = min(2*wait, T2)
			again = time.After(wait)
		case <-acked:
			if in.Flow.Reliable() {
				return
			}
			again, acked = nil, nil // linger for repeats of request and ACK
		case <-end.C:
			return
		case <-in.e.ctx.Done():
			return
		}
	}
}

// repeat answers a retransmitted request.
func (in *Incoming) repeat(flow Flow) {
	in.mu.Lock()
	msg := in.last
	in.mu.Unlock()
	if msg != nil {
		flow.Send(msg)
	}
}

func (in *Incoming) ack(body []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	select {
	case <-in.acked:
	default:
		in.ackBody = body
		close(in.acked)
	}
}

func (in *Incoming) cancelNow() {
	in.mu.Lock()
	late := in.final != 0
	in.mu.Unlock()
	if late {
		return // CANCEL crossed our final response: no effect, RFC 3261 section 9.2
	}
	in.Respond(sip.StatusRequestTerminated, "", nil)
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.final != sip.StatusRequestTerminated {
		return
	}
	select {
	case <-in.cancelled:
	default:
		close(in.cancelled)
	}
}
