package sipua

import (
	"crypto/rand"

	"deskset/firmware/sipua/digest"
)

// exchange is a request with its answer, challenges answered on the way
// (RFC 3261 section 22, RFC 8760).
type exchange struct {
	u        *UA
	req      *request
	on       func(res *message, err error)
	tx       *client
	answered map[string]bool // kinds of challenge already answered
	tries    int
	cancel   bool // wanted by the user
	sent     bool // the CANCEL was
	keep     bool
}

// do sends req and answers challenges; on is as for start. What is in do's
// error will not be told to on.
func (u *UA) do(req *request, on func(*message, error)) (*exchange, error) {
	e := &exchange{u: u, req: req, on: on, answered: map[string]bool{}}
	var err error
	if e.tx, err = u.start(req, e.receive); err != nil {
		return nil, err
	}
	return e, nil
}

// maxTries bounds the challenges of one request: proxy and server, each with a
// stale nonce.
const maxTries = 4

func (e *exchange) receive(m *message, err error) {
	if err == nil && (m.Code == 401 || m.Code == 407) && !e.cancel && e.authorize(m) {
		e.req.seq = e.req.next()
		e.req.branch = ""
		tx, err := e.u.start(e.req, e.receive)
		if err != nil {
			e.on(nil, err)
			return
		}
		tx.keep = e.keep
		e.tx = tx
		return
	}
	if err == nil && m.Code < 200 && e.cancel {
		e.sendCancel()
	}
	e.on(m, err)
}

// authorize puts credentials into the request; false when the challenge
// cannot be answered or was already answered in vain.
func (e *exchange) authorize(m *message) bool {
	ask, give := "WWW-Authenticate", "Authorization"
	if m.Code == 407 {
		ask, give = "Proxy-Authenticate", "Proxy-Authorization"
	}
	var cs []digest.Challenge
	for _, v := range m.all(ask) {
		if c, err := digest.Parse(v); err == nil {
			cs = append(cs, c)
		}
	}
	c, ok := digest.Strongest(cs)
	if !ok || e.answered[ask] && !c.Stale || e.tries == maxTries {
		return false
	}
	v, err := c.Authorize(digest.Request{
		User: e.u.cfg.AuthUser, Password: e.u.cfg.Password,
		Method: e.req.method, URI: e.req.uri, Body: e.req.sdp,
		CNonce: rand.Text(), NC: 1,
	})
	if err != nil {
		return false
	}
	e.answered[ask] = true
	e.tries++
	auth := []header{{give, v}}
	for _, h := range e.req.auth {
		if h.Name != give {
			auth = append(auth, h)
		}
	}
	e.req.auth = auth
	return true
}

// abort cancels a pending INVITE: at once if something was heard of it, else
// as soon as that happens (RFC 3261 section 9.1).
func (e *exchange) abort() {
	e.cancel = true
	if e.tx.provisional {
		e.sendCancel()
	}
}

func (e *exchange) sendCancel() {
	if e.sent || e.tx.accepted {
		return
	}
	e.sent = true
	if _, err := e.u.start(e.cancelRequest(), func(*message, error) {}); err != nil {
		e.sent = false
	}
}

// cancelRequest is the CANCEL of the last INVITE sent.
func (e *exchange) cancelRequest() *request {
	r := e.req
	return &request{
		method: "CANCEL", uri: r.uri, from: r.from, to: r.to, callID: r.callID,
		seq: r.seq, routes: r.routes, branch: r.branch,
	}
}
