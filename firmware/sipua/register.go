package sipua

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// registerTimeout: REGISTER is answered by the PBX itself, so much sooner than
// Timer F.
const registerTimeout = 10 * time.Second

// registerFirst is how long the first REGISTER of a connection waits. A PBX
// that is starting takes connections before it knows what SIP is, and what it
// swallowed then is never answered. Each such silence doubles it, up to
// registerTimeout, for a PBX that is only slow.
const registerFirst = 2500 * time.Millisecond

// registration is the state of our binding (RFC 3261 section 10, RFC 5626).
type registration struct {
	callID, tag string
	seq         uint32
	expires     uint32   // asked for, seconds
	routes      []string // Service-Route (RFC 3608) of the last answer
	lastErr     error
	silent      int // REGISTERs in a row without any answer
}

type regResult struct {
	granted    time.Duration
	retryAfter time.Duration
	err        error
}

// register sends one REGISTER (with its challenges and a 423) and waits.
func (u *UA) register(ctx context.Context, f *flow, on bool) regResult {
	ctx, cancel := context.WithTimeoutCause(ctx, u.registerPatience(), errTimeout)
	defer cancel()
	for range 3 {
		done := make(chan regResult, 1)
		u.mu.Lock()
		expires := u.reg.expires
		if !on {
			expires = 0
		}
		ex, err := u.do(u.registerRequest(expires), func(m *message, err error) {
			done <- u.registerResult(m, err, expires)
		})
		u.mu.Unlock()
		if err != nil {
			return regResult{err: err}
		}
		var res regResult
		select {
		case res = <-done:
		case <-f.dead:
			res.err = ErrFlowLost
		case <-ctx.Done():
			res.err = context.Cause(ctx)
		}
		u.mu.Lock()
		u.forgetClient(ex.tx)
		if errors.Is(res.err, errTimeout) {
			u.reg.silent++
		} else {
			u.reg.silent = 0
		}
		again := res.err == errBrief && on
		u.mu.Unlock()
		if !again {
			return res
		}
	}
	return regResult{err: errBrief}
}

// registerPatience is how long the next REGISTER waits for its answer.
func (u *UA) registerPatience() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bound {
		return registerTimeout
	}
	return min(registerFirst<<min(u.reg.silent, 8), registerTimeout)
}

var errBrief = fmt.Errorf("the PBX wants a longer registration than it grants: check its expiry limits")

func (u *UA) registerRequest(expires uint32) *request {
	u.reg.seq++
	return &request{
		method: "REGISTER", uri: "sip:" + u.cfg.Domain,
		from: u.from + ";tag=" + u.reg.tag, to: u.from,
		callID: u.reg.callID, seq: u.reg.seq,
		next: func() uint32 { u.reg.seq++; return u.reg.seq },
		headers: []header{
			{"Contact", fmt.Sprintf(`%s;+sip.instance="<%s>";reg-id=1;expires=%d`, u.contact(false), u.cfg.Instance, expires)},
			{"Supported", supported},
			{"Allow", allow},
		},
	}
}

func (u *UA) registerResult(m *message, err error, asked uint32) regResult {
	switch {
	case err != nil:
		return regResult{err: err}
	case m.Code < 300:
		u.reg.routes = m.list("Service-Route")
		granted := u.granted(m, asked)
		if asked > 0 && granted <= 0 {
			return regResult{err: fmt.Errorf("the PBX did not keep the registration")}
		}
		return regResult{granted: granted}
	case m.Code == 423:
		if least, ok := m.seconds("Min-Expires"); ok && least > u.reg.expires && least < 1<<20 {
			u.reg.expires = least
			return regResult{err: errBrief}
		}
	case m.Code == 401, m.Code == 407, m.Code == 403:
		return regResult{err: fmt.Errorf("%w (%d %s)", ErrCredentials, m.Code, clean(m.Reason, maxName))}
	case m.Code == 404:
		return regResult{err: fmt.Errorf("%w: it knows no such account (404)", ErrCredentials)}
	}
	res := regResult{err: fmt.Errorf("the PBX refused the registration: %d %s", m.Code, clean(m.Reason, maxName))}
	if s, ok := m.seconds("Retry-After"); ok {
		res.retryAfter = min(time.Duration(s)*time.Second, backoffLong)
	}
	return res
}

// granted finds our binding's lifetime in a 200.
func (u *UA) granted(m *message, asked uint32) time.Duration {
	whole := asked
	if s, ok := m.seconds("Expires"); ok {
		whole = s
	}
	// Ours by its host, else by its instance, else the first: PBXs rewrite
	// contacts.
	best := 0
	for _, v := range m.list("Contact") {
		a, err := parseAddress(v)
		if err != nil {
			continue
		}
		likeness := 1
		if instance, _ := a.param("+sip.instance"); strings.EqualFold(instance, "<"+u.cfg.Instance+">") {
			likeness = 2
		}
		if strings.Contains(a.URI, u.host) {
			likeness = 3
		}
		if p, ok := a.param("expires"); ok && likeness > best {
			best, whole = likeness, uint32(atoi(p))
		}
	}
	return time.Duration(min(whole, 1<<20)) * time.Second
}

// nowRegistered notes an accepted REGISTER and, after an outage, brings to the
// PBX what it missed.
func (u *UA) nowRegistered(granted time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closing || u.flow == nil {
		return
	}
	u.stats.Registrations++
	u.reg.lastErr = nil
	if u.expiry != nil {
		u.expiry.Stop()
	}
	u.expiry = u.after(granted, u.expired)
	fresh := !u.bound
	u.bound = true
	if !u.registered {
		u.registered = true
		u.lostText = ""
		u.log.Info("registered", "expires", granted, "recovered", u.ever)
		u.tell(Registered{Recovered: u.ever, Expires: granted})
		u.ever = true
	}
	if fresh {
		for f := range u.farewells {
			f.resend()
		}
		for _, c := range u.calls {
			c.flowBack()
		}
	}
}

// expired: the binding ran out before a refresh was accepted.
func (u *UA) expired() {
	err := u.reg.lastErr
	if err == nil {
		err = fmt.Errorf("the registration ran out")
	}
	u.lostLocked(err, backoffShort)
}

func (u *UA) remember(err error) {
	u.mu.Lock()
	u.reg.lastErr = err
	u.mu.Unlock()
}

// lost tells the seat once, and again when the cause changes.
func (u *UA) lost(err error, retry time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lostLocked(err, retry)
}

func (u *UA) lostLocked(err error, retry time.Duration) {
	if u.closing {
		return
	}
	if u.expiry != nil {
		u.expiry.Stop()
	}
	text := err.Error()
	if u.registered || text != u.lostText {
		u.log.Warn("not registered", "err", err, "retry", retry.Round(time.Millisecond))
		u.tell(Lost{Err: err, Retry: retry})
	}
	u.registered = false
	u.lostText = text
}
