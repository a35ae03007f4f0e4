package sipua

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Timers of RFC 3261 table 4. The transport is reliable: nothing but a 2xx to
// INVITE is ever repeated.
const (
	timerT1 = 500 * time.Millisecond
	timerT2 = 4 * time.Second
	timerB  = 64 * timerT1 // also F, H and M
)

var errTimeout = errors.New("no answer from the PBX")

// request is one that we send. The user agent adds Via, Max-Forwards and its
// name.
type request struct {
	method, uri string
	from, to    string // values with their tags
	callID      string
	seq         uint32
	next        func() uint32 // the number under which it is repeated with credentials
	routes      []string
	headers     []header
	sdp         []byte

	auth   []header // credentials, at most one of each kind
	branch string
}

func (u *UA) encode(r *request) []byte {
	hs := make([]header, 0, 16)
	hs = append(hs,
		header{"Via", "SIP/2.0/" + u.transport + " " + u.host + ";branch=" + r.branch + ";rport"},
		header{"Max-Forwards", "70"})
	for _, v := range r.routes {
		hs = append(hs, header{"Route", v})
	}
	hs = append(hs,
		header{"From", r.from}, header{"To", r.to},
		header{"Call-ID", r.callID},
		header{"CSeq", fmt.Sprintf("%d %s", r.seq, r.method)})
	hs = append(hs, r.headers...)
	hs = append(hs, r.auth...)
	hs = append(hs, header{"User-Agent", u.cfg.UserAgent})
	if r.sdp != nil {
		hs = append(hs, header{"Content-Type", "application/sdp"})
	}
	return encode(r.method+" "+r.uri+" SIP/2.0", hs, r.sdp)
}

func newBranch() string { return "z9hG4bK" + rand.Text() }
func newTag() string    { return rand.Text()[:16] }

// client is a client transaction (RFC 3261 section 17.1, RFC 6026).
type client struct {
	req         *request
	on          func(res *message, err error) // with the lock held
	timer       *time.Timer
	provisional bool
	accepted    bool
	acks        map[string][]byte // to the 2xx of each To tag
	keep        bool              // outlives the flow: a late 2xx must still be hung up
}

func clientKey(branch, method string) string { return branch + " " + method }

// start sends req in a new transaction; on is told every provisional answer to
// an INVITE, each final one (several 2xx when the call forked), or the error,
// always later and with the lock held.
func (u *UA) start(req *request, on func(*message, error)) (*client, error) {
	if u.flow == nil {
		return nil, ErrFlowLost
	}
	if req.branch == "" { // a CANCEL has that of its INVITE
		req.branch = newBranch()
	}
	t := &client{req: req, on: on}
	key := clientKey(req.branch, req.method)
	u.clients[key] = t
	t.timer = u.after(timerB, func() {
		if u.clients[key] != t {
			return
		}
		delete(u.clients, key)
		if !t.accepted {
			t.on(nil, errTimeout)
		}
	})
	u.send(u.encode(req))
	return t, nil
}

// forget ends a transaction without a word to its owner.
func (u *UA) forgetClient(t *client) {
	t.timer.Stop()
	if key := clientKey(t.req.branch, t.req.method); u.clients[key] == t {
		delete(u.clients, key)
	}
}

// response brings m to its transaction.
func (u *UA) response(m *message) {
	t := u.clients[clientKey(m.Branch, m.SeqMethod)]
	if t == nil || t.req.callID != m.CallID || t.req.seq != m.Seq {
		return
	}
	invite := t.req.method == "INVITE"
	switch {
	case m.Code < 200:
		if invite && !t.accepted {
			t.provisional = true
			t.timer.Stop()
			t.on(m, nil)
		}
	case invite && m.Code < 300:
		if ack := t.acks[m.ToTag]; ack != nil {
			u.send(ack) // the peer has not seen the first
			return
		}
		t.accepted = true
		t.timer.Reset(timerB)
		t.on(m, nil)
	default:
		if t.accepted {
			return
		}
		if invite {
			u.send(u.ackRefusal(t.req, m))
		}
		u.forgetClient(t)
		t.on(m, nil)
	}
}

// ackRefusal is the ACK within the transaction (RFC 3261 section 17.1.1.3).
func (u *UA) ackRefusal(r *request, m *message) []byte {
	return u.encode(&request{
		method: "ACK", uri: r.uri, from: r.from, to: m.get("To"), callID: r.callID,
		seq: r.seq, routes: r.routes, branch: r.branch,
	})
}

// loseClients tells every transaction that its flow is gone.
func (u *UA) loseClients() {
	var lost []*client
	for key, t := range u.clients {
		if t.accepted && t.keep {
			continue // still absorbs repeated 2xx
		}
		t.timer.Stop()
		if !t.keep {
			delete(u.clients, key)
		}
		if !t.accepted {
			lost = append(lost, t)
		}
	}
	for _, t := range lost {
		t.on(nil, ErrFlowLost)
	}
}

// server is the server transaction of an INVITE. Other requests are answered
// in one go and need none: over a reliable flow they are not repeated.
type server struct {
	m     *message
	tag   string // our To tag
	last  []byte // last answer, for a repeated INVITE
	final bool
	timer *time.Timer // waits for the ACK of a refusal
}

// serverKey matches INVITE, CANCEL and ACK of one transaction (section 17.2.3).
func serverKey(m *message) string {
	if !strings.HasPrefix(m.Branch, "z9hG4bK") {
		return fmt.Sprintf("old %s %s %d", m.CallID, m.FromTag, m.Seq)
	}
	sentBy, _ := cutKeep(m.list("Via")[0], ';')
	return m.Branch + " " + strings.TrimSpace(sentBy)
}

func (u *UA) newServer(m *message, tag string) *server {
	t := &server{m: m, tag: tag}
	u.servers[serverKey(m)] = t
	return t
}

func (u *UA) forgetServer(t *server) {
	if t.timer != nil {
		t.timer.Stop()
	}
	if key := serverKey(t.m); u.servers[key] == t {
		delete(u.servers, key)
	}
}

// answer sends a response within the transaction. After a refusal the ACK is
// awaited; a 2xx is repeated by its call.
func (u *UA) answer(t *server, code int, hs []header, sdp []byte) {
	if t.final {
		return
	}
	t.last = u.encodeResponse(t.m, code, t.tag, hs, sdp)
	u.send(t.last)
	switch {
	case code >= 300:
		t.final = true
		t.timer = u.after(timerB, func() { u.forgetServer(t) })
	case code >= 200:
		t.final = true
	}
}

// reply answers a request that has no transaction of its own.
func (u *UA) reply(m *message, code int, hs ...header) {
	u.send(u.encodeResponse(m, code, "", hs, nil))
}

func (u *UA) encodeResponse(m *message, code int, tag string, extra []header, sdp []byte) []byte {
	hs := make([]header, 0, 16)
	for _, v := range m.all("Via") {
		hs = append(hs, header{"Via", v})
	}
	to := m.get("To")
	if m.ToTag == "" && code > 100 {
		if tag == "" {
			tag = newTag()
		}
		to += ";tag=" + tag
	}
	hs = append(hs, header{"From", m.get("From")}, header{"To", to},
		header{"Call-ID", m.CallID}, header{"CSeq", m.get("CSeq")})
	if m.Method == "INVITE" && code > 100 && code < 300 {
		for _, v := range m.all("Record-Route") {
			hs = append(hs, header{"Record-Route", v})
		}
	}
	hs = append(hs, extra...)
	hs = append(hs, header{"Server", u.cfg.UserAgent})
	if sdp != nil {
		hs = append(hs, header{"Content-Type", "application/sdp"})
	}
	return encode(fmt.Sprintf("SIP/2.0 %d %s", code, reasonPhrase(code)), hs, sdp)
}

func reasonPhrase(code int) string {
	if s := phrases[code]; s != "" {
		return s
	}
	return [...]string{"", "Trying", "OK", "Redirected", "Refused", "Server Failure", "Refused"}[code/100]
}

var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted",
	400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	408: "Request Timeout", 415: "Unsupported Media Type", 420: "Bad Extension",
	422: "Session Interval Too Small", 480: "Temporarily Unavailable",
	481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 486: "Busy Here",
	487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event",
	491: "Request Pending", 500: "Server Internal Error", 501: "Not Implemented",
	503: "Service Unavailable", 600: "Busy Everywhere", 603: "Decline",
}
