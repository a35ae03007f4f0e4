package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// How long a pairing lives. All of it is in RAM only: a seat that starts anew
// knows no browser.
const (
	pairingWait  = 60 * time.Second // for the HELP key, and again for the browser to come for its cookie
	sessionLife  = 12 * time.Hour   // the longest shift
	unsignedLife = 15 * time.Minute // paired, but nobody has signed in
	pageHelpWait = time.Second      // after a page's own HELP press no press confirms
)

// Reasons for the end of a pairing, as the page is told.
const (
	ReasonSignedOut = "signed-out"
	ReasonExpired   = "expired"
	ReasonReplaced  = "replaced" // another browser was confirmed
	ReasonUnpaired  = "unpaired" // the page asked for it
	ReasonClosing   = "closing"  // the seat stops
)

// door decides which browser may see the seat: one that was confirmed by the
// physical key, for one agent's time at the desk, and one at a time.
type door struct {
	now func() time.Time

	mu       sync.Mutex
	pair     *pairing // at most one waits
	sess     *session // at most one is in
	pageHelp time.Time
}

// pairing is a browser that waits for the key.
type pairing struct {
	hash      hash // of its cookie
	code      string
	from      string
	until     time.Time
	confirmed bool
}

// session is a browser that was let in. Its fields but agent and sockets do
// not change; reason is set before gone is closed.
type session struct {
	hash    hash
	began   time.Time
	until   time.Time
	bucket  bucket // of its actions
	gone    chan struct{}
	agent   string // whose shift it shows; empty until somebody signs in
	sockets int
	reason  string
}

// Cookies are 256 random bits; only their hash is kept.
type hash [sha256.Size]byte

func newToken() (string, hash) {
	t := rand.Text() + rand.Text() // 130 bits each
	return t, sha256.Sum256([]byte(t))
}

func (h hash) is(token string) bool {
	other := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(h[:], other[:]) == 1
}

// start lets a browser wait for the key. A browser that waits already gets a
// new code; any other is refused until the first has had its time: two codes
// at once and nobody could say which the key meant.
func (d *door) start(old, from string) (token, code string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if p := d.pending(now); p != nil && !p.hash.is(old) {
		return "", "", &Error{Code: CodePairBusy, Text: fmt.Sprintf("another browser (%s) waits for the HELP key", p.from)}
	}
	n, err := rand.Int(rand.Reader, big.NewInt(10000))
	if err != nil {
		return "", "", fmt.Errorf("make a pairing code: %w", err)
	}
	token, h := newToken()
	d.pair = &pairing{hash: h, code: fmt.Sprintf("%04d", n), from: from, until: now.Add(pairingWait)}
	return token, d.pair.code, nil
}

func (d *door) pending(now time.Time) *pairing {
	if d.pair != nil && !now.Before(d.pair.until) {
		d.pair = nil
	}
	return d.pair
}

// confirm is the physical key.
func (d *door) confirm() (from string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	p := d.pending(now)
	if p == nil || p.confirmed {
		return "", false
	}
	if !d.pageHelp.IsZero() && now.Sub(d.pageHelp) < pageHelpWait {
		return "", false // a seat that mixes up page and desk must not let anyone in
	}
	p.confirmed, p.until = true, now.Add(pairingWait)
	return p.from, true
}

// pagePressed notes that a page has pressed HELP.
func (d *door) pagePressed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pageHelp = d.now()
}

func (d *door) waiting() (code, from string, until time.Time, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.pending(d.now()); p != nil && !p.confirmed {
		return p.code, p.from, p.until, true
	}
	return "", "", time.Time{}, false
}

// poll is how far the browser with this cookie has come.
func (d *door) poll(token string) (state, code string, left time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	p := d.pending(now)
	switch {
	case p == nil:
		return "none", "", 0
	case !p.hash.is(token):
		return "busy", "", p.until.Sub(now)
	case p.confirmed:
		return "confirmed", p.code, p.until.Sub(now)
	}
	return "waiting", p.code, p.until.Sub(now)
}

// cancel ends the browser's own wait.
func (d *door) cancel(token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pair != nil && d.pair.hash.is(token) {
		d.pair = nil
	}
}

// claim turns a confirmed wait into a session with a cookie of its own, and
// ends the session before it.
func (d *door) claim(token, agent string) (cookie string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	p := d.pending(now)
	if p == nil || !p.confirmed || !p.hash.is(token) {
		return "", &Error{Code: CodeNotPaired}
	}
	d.pair = nil
	d.end(ReasonReplaced)
	cookie, h := newToken()
	d.sess = &session{hash: h, began: now, until: now.Add(sessionLife), gone: make(chan struct{}), agent: agent,
		bucket: bucket{rate: 20, burst: 40}}
	return cookie, nil
}

// session is the one with this cookie, nil if there is none any more.
func (d *door) session(cookie string) *session {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.age()
	if d.sess == nil || cookie == "" || !d.sess.hash.is(cookie) {
		return nil
	}
	return d.sess
}

// see is told who is signed in. A session belongs to the first agent it sees
// and ends with that agent's sign-out, R34.
func (d *door) see(agent string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.age()
	switch {
	case d.sess == nil || d.sess.agent == agent:
	case d.sess.agent == "":
		d.sess.agent = agent
	default:
		d.end(ReasonSignedOut)
	}
}

// maySee is asked before each view is given out: is the session still in, and
// is this agent its own?
func (d *door) maySee(s *session, agent string) bool {
	d.see(agent)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sess == s
}

// age ends what is too old. The caller holds mu.
func (d *door) age() {
	if d.sess == nil {
		return
	}
	now := d.now()
	if !now.Before(d.sess.until) || d.sess.agent == "" && now.Sub(d.sess.began) >= unsignedLife {
		d.end(ReasonExpired)
	}
}

// leave ends one session, if it is still in.
func (d *door) leave(s *session, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sess == s {
		d.end(reason)
	}
}

// drop ends whatever session there is.
func (d *door) drop(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pair = nil
	d.end(reason)
}

func (d *door) end(reason string) {
	if d.sess != nil {
		d.sess.reason = reason
		close(d.sess.gone)
		d.sess = nil
	}
}

// maxSockets of one browser: a few tabs.
const maxSockets = 4

// enter counts a socket of the session in; false if it has too many.
func (d *door) enter(s *session) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.sockets >= maxSockets {
		return false
	}
	s.sockets++
	return true
}

func (d *door) exit(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.sockets--
}

// act takes one action from the session's allowance.
func (d *door) act(s *session) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return s.bucket.take(d.now())
}
