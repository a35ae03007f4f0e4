package sipua

import (
	"errors"
	"strings"
	"time"
)

// A transfer is given up when the PBX has told nothing of it within
// referSilence (RFC 6665's Timer N; Asterisk connects without a word when no
// sound flows), or not its end within referTime.
const (
	referSilence = timerB
	referTime    = 3 * time.Minute
)

// referral is a transfer on its way: the REFER and its implicit subscription
// (RFC 3515).
type referral struct{ timer *time.Timer }

// Refer asks the PBX to connect the other party to target (blind transfer).
// ReferStatus tells how it goes.
func (c *Call) Refer(target string) error {
	uri, err := targetURI(target, c.u.cfg.Domain)
	if err != nil {
		return err
	}
	c.u.mu.Lock()
	defer c.u.mu.Unlock()
	return c.transfer("<" + uri + ">")
}

// ReferReplaces connects this call's other party with that of other (attended
// transfer, RFC 3891). Both calls are at this PBX and stand.
func (c *Call) ReferReplaces(other *Call) error {
	if other == nil || other == c || other.u != c.u {
		return ErrState
	}
	c.u.mu.Lock()
	defer c.u.mu.Unlock()
	if other.state != up {
		return ErrState
	}
	a, err := parseAddress(other.d.remote)
	if err != nil {
		return err
	}
	// The tags as the other's peer sees them.
	replaces := other.d.callID + ";to-tag=" + other.d.remoteTag + ";from-tag=" + other.d.localTag
	uri, _ := cutKeep(a.URI, '?')
	return c.transfer("<" + uri + "?Replaces=" + escapeHeader(replaces) + ">")
}

var errReferring = errors.New("a transfer of this call is already on its way")

func (c *Call) transfer(to string) error {
	switch {
	case c.state != up:
		return ErrState
	case c.refer != nil:
		return errReferring
	case c.u.flow == nil:
		return ErrFlowLost
	}
	r := &referral{}
	req := c.d.request("REFER")
	req.headers = []header{
		{"Contact", c.u.contact(true)},
		{"Refer-To", to},
		{"Referred-By", "<sip:" + c.u.account + ">"},
		{"Supported", supported},
	}
	_, err := c.u.do(req, func(m *message, err error) {
		switch {
		case c.refer != r:
		case errors.Is(err, ErrFlowLost):
			c.referDone(503)
		case err != nil:
			c.referDone(408)
		case m.Code < 300:
			c.u.tell(ReferStatus{Call: c, Code: m.Code})
		default:
			c.referDone(m.Code)
			if m.Code == 481 {
				c.gone("the PBX no longer knows the call")
			}
		}
	})
	if err != nil {
		return err
	}
	c.refer = r
	r.timer = c.u.after(referSilence, func() {
		if c.refer == r {
			c.referDone(408)
		}
	})
	return nil
}

func (c *Call) referDone(code int) {
	c.refer.timer.Stop()
	c.refer = nil
	c.u.tell(ReferStatus{Call: c, Code: code, Done: true})
}

// notified takes a NOTIFY within the call. Only transfers are subscribed to;
// anything else is answered and passed over.
func (c *Call) notified(m *message) {
	c.u.reply(m, 200)
	event, _ := cutKeep(m.get("Event"), ';')
	if c.refer == nil || !strings.EqualFold(strings.TrimSpace(event), "refer") {
		return
	}
	c.refer.timer.Reset(referTime)
	code := fragmentStatus(m.Body)
	state, _ := cutKeep(m.get("Subscription-State"), ';')
	switch {
	case code >= 200:
		c.referDone(code)
	case strings.EqualFold(strings.TrimSpace(state), "terminated"):
		// The PBX stopped telling before there was a result.
		c.referDone(500)
	case code >= 100:
		c.u.tell(ReferStatus{Call: c, Code: code})
	}
}

// fragmentStatus reads the status line of a message/sipfrag (RFC 3420), 0
// without one.
func fragmentStatus(b []byte) int {
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) < 2 || !strings.EqualFold(f[0], "SIP/2.0") || len(f[1]) != 3 {
		return 0
	}
	if code := atoi(f[1]); code >= 100 && code <= 699 {
		return code
	}
	return 0
}
