package sipua

import (
	"fmt"
	"strings"
	"time"
)

// session is the timer of RFC 4028: one side refreshes the session half-way,
// the other ends it when that does not happen.
type session struct {
	every time.Duration // 0: none agreed
	ours  bool          // we refresh
	timer *time.Timer
}

// sessionLeast is the shortest interval accepted (RFC 4028 section 4).
const sessionLeast = 90 * time.Second

var minSE = header{"Min-SE", "90"}

// sessionRetry is the pause after a refresh that failed without ending the
// call.
const sessionRetry = 10 * time.Second

func sessionExpires(m *message) (d time.Duration, refresher string) {
	s, ok := m.seconds("Session-Expires")
	if !ok {
		return 0, ""
	}
	_, rest := cutKeep(m.get("Session-Expires"), ';')
	refresher, _ = lookup(parseParams(rest), "refresher")
	return time.Duration(min(s, 1<<20)) * time.Second, strings.ToLower(refresher)
}

// sessionFromRequest: what we agree to as the answering side. Left the choice,
// we let the PBX refresh.
func sessionFromRequest(m *message) (s session, brief bool) {
	every, refresher := sessionExpires(m)
	if every == 0 || !m.lists("Supported", "timer") && !m.lists("Require", "timer") {
		return session{}, false
	}
	if every < sessionLeast {
		return session{}, true
	}
	return session{every: every, ours: refresher == "uas"}, false
}

// sessionFromAnswer: what the 2xx to our request settled.
func sessionFromAnswer(m *message) session {
	every, refresher := sessionExpires(m)
	if every == 0 {
		return session{}
	}
	return session{every: max(every, sessionLeast), ours: refresher != "uas"}
}

// headers of our 2xx.
func (s session) headers() []header {
	if s.every == 0 {
		return nil
	}
	if s.ours {
		return []header{{"Session-Expires", fmt.Sprintf("%d;refresher=uas", s.every/time.Second)}}
	}
	return []header{
		{"Session-Expires", fmt.Sprintf("%d;refresher=uac", s.every/time.Second)},
		{"Require", "timer"},
	}
}

// asked are the headers of our own re-INVITE or UPDATE; the roles stay.
func (s session) asked() []header {
	if s.every == 0 {
		return nil
	}
	who := "uas"
	if s.ours {
		who = "uac"
	}
	return []header{{"Session-Expires", fmt.Sprintf("%d;refresher=%s", s.every/time.Second, who)}, minSE}
}

// setSession starts the timer anew with what was agreed last.
func (c *Call) setSession(s session) {
	if c.session.timer != nil {
		c.session.timer.Stop()
	}
	c.session = s
	switch {
	case s.every == 0:
	case s.ours:
		c.session.timer = c.u.after(s.every/2, c.refreshSession)
	default:
		c.session.timer = c.u.after(s.every-min(32*time.Second, s.every/3), c.sessionExpired)
	}
}

func (c *Call) sessionExpired() {
	if c.state != up && c.state != accepted {
		return
	}
	if !c.u.bound {
		// The refresh could not reach us. The clock runs on, but the call is
		// ended only by a PBX that had the chance to refresh it.
		c.session.timer.Reset(32 * time.Second)
		return
	}
	c.hangup("the PBX did not refresh the session")
}

// refreshSession shows the PBX that we live: by UPDATE without an offer, or,
// where that is not spoken, by offering what holds already.
func (c *Call) refreshSession() {
	again := func() {
		if c.session.timer != nil && c.state == up {
			c.session.timer.Reset(sessionRetry)
		}
	}
	if c.state != up || !c.u.bound || c.busy() {
		again()
		return
	}
	if !c.updates {
		c.offer(c.sdp, func(_ []byte, err error) {
			if err != nil {
				again()
			}
		})
		return
	}
	r := c.d.request("UPDATE")
	r.headers = append(c.u.sessionHeaders(), c.session.asked()...)
	_, err := c.u.do(r, func(m *message, err error) {
		switch {
		case c.state != up:
		case err != nil:
			again()
		case m.Code < 300:
			c.refreshTarget(m)
			c.setSession(sessionFromAnswer(m))
		case m.Code == 422:
			if s, ok := m.seconds("Min-SE"); ok {
				c.session.every = max(c.session.every, time.Duration(min(s, 1<<20))*time.Second)
			}
			again()
		case m.Code == 481:
			c.gone("the PBX no longer knows the call")
		case m.Code == 405 || m.Code == 501:
			c.updates = false
			again()
		default:
			again()
		}
	})
	if err != nil {
		again()
	}
}
