package sipua

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"deskset/firmware/sipua/wsflow"
)

// UA is one account at one PBX. Make it with New, then call Run once.
type UA struct {
	cfg       Config
	log       *slog.Logger
	transport string         // of the Via: WS or WSS
	host      string         // random .invalid name (RFC 7118 section 5)
	account   string         // user@domain
	from      string         // our From and To value, without tag
	events    *queue         //
	jitter    func() float64 // [0,1)

	mu         sync.Mutex
	running    bool
	closing    bool // Run is ending: nothing new begins
	over       bool // Run has ended
	flow       *flow
	bound      bool // the REGISTER on this flow was accepted once
	registered bool
	ever       bool   // was registered before
	lostText   string // of the last Lost told
	expiry     *time.Timer
	reg        registration

	calls     map[string]*Call // by Call-ID and our tag
	clients   map[string]*client
	servers   map[string]*server
	farewells map[*farewell]struct{}
	quiet     chan struct{} // closed when nothing is left to say to the PBX
	stats     Stats
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*UA, error) {
	u, err := wsflow.Check(cfg.URL, cfg.Insecure)
	if err != nil {
		return nil, err
	}
	if cfg.User == "" {
		return nil, errors.New("the account at the PBX has no user name")
	}
	if !strings.HasPrefix(strings.ToLower(cfg.Instance), "urn:uuid:") {
		return nil, fmt.Errorf("instance %q: want an urn:uuid", cfg.Instance)
	}
	for _, s := range []string{cfg.User, cfg.AuthUser, cfg.Domain, cfg.Display, cfg.Instance, cfg.UserAgent} {
		if strings.ContainsAny(s, "\r\n") {
			return nil, errors.New("a line break in the account's data")
		}
	}
	if cfg.Domain == "" {
		cfg.Domain = u.Hostname()
	}
	if cfg.AuthUser == "" {
		cfg.AuthUser = cfg.User
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "deskset"
	}
	if cfg.QueueHeaders == nil {
		cfg.QueueHeaders = []string{"X-Queue", "Diversion"}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	orDefault(&cfg.Expires, 10*time.Minute)
	orDefault(&cfg.PingEvery, 3*time.Second)
	orDefault(&cfg.PingTimeout, 3*time.Second)
	if cfg.Dial == nil {
		o := wsflow.Options{TLS: cfg.TLS, Insecure: cfg.Insecure, MaxMessage: MaxMessage}
		cfg.Dial = func(ctx context.Context, url string) (Conn, error) {
			c, err := wsflow.Dial(ctx, url, o)
			if err != nil {
				return nil, err
			}
			return c, nil
		}
	}
	ua := &UA{
		cfg: cfg, log: cfg.Log,
		transport: strings.ToUpper(u.Scheme),
		host:      strings.ToLower(rand.Text()[:12]) + ".invalid",
		account:   escapeUser(cfg.User) + "@" + cfg.Domain,
		events:    newQueue(),
		jitter:    mrand.Float64,
		calls:     map[string]*Call{},
		clients:   map[string]*client{},
		servers:   map[string]*server{},
		farewells: map[*farewell]struct{}{},
	}
	ua.from = "<sip:" + ua.account + ">"
	if cfg.Display != "" {
		ua.from = quoteDisplay(cfg.Display) + " " + ua.from
	}
	ua.reg = registration{callID: rand.Text(), tag: newTag(), expires: uint32(cfg.Expires / time.Second)}
	return ua, nil
}

func orDefault(d *time.Duration, v time.Duration) {
	if *d <= 0 {
		*d = v
	}
}

// Events is the one ordered stream of what happens; one consumer. It is closed
// when Run ends; what was not taken a second later is dropped.
func (u *UA) Events() <-chan Event { return u.events.out }

// Registered tells whether the PBX has the seat's contact now.
func (u *UA) Registered() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.registered
}

// Stats may be called at any time.
func (u *UA) Stats() Stats {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stats
}

func (u *UA) tell(e Event) { u.events.push(e) }

// after is time.AfterFunc with the lock held and not after the end of Run.
func (u *UA) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if !u.over {
			f()
		}
	})
}

// send gives a message to the flow; without one it is lost, which whoever
// must know learns from its transaction.
func (u *UA) send(msg []byte) {
	if u.flow != nil {
		u.stats.Sent++
		u.flow.send(msg)
	}
}

// receive is called by the flow's one reader, in the order of arrival.
func (u *UA) receive(f *flow, msg []byte) {
	m, err := parseMessage(msg)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.flow != f || u.over {
		return
	}
	var bad *malformed
	switch {
	case errors.As(err, &bad):
		u.unparsable(err, len(msg))
		u.reply(bad.m, 400)
	case err != nil:
		u.unparsable(err, len(msg))
	case m.request():
		u.stats.Received++
		u.request(m)
	default:
		u.stats.Received++
		u.response(m)
	}
}

// unparsable counts a message that was skipped. A peer that sends rubbish
// without end fills no log: the 1st, 2nd, 4th, 8th ... is told.
func (u *UA) unparsable(err error, size int) {
	u.stats.Unparsable++
	if n := u.stats.Unparsable; n&(n-1) == 0 {
		u.log.Warn("message from the PBX skipped", "err", err, "bytes", size, "skipped", n)
	}
}

func (u *UA) oversized(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stats.Oversized++
	if n := u.stats.Oversized; n&(n-1) == 0 {
		u.log.Warn("message from the PBX skipped", "err", err, "skipped", n)
	}
}

// contact is our Contact URI; within dialogs it asks proxies to keep to the
// flow (RFC 5626 section 4.3).
func (u *UA) contact(inDialog bool) string {
	s := "<sip:" + escapeUser(u.cfg.User) + "@" + u.host + ";transport=ws"
	if inDialog {
		s += ";ob"
	}
	return s + ">"
}

const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, MESSAGE, REFER, UPDATE"

// supported option tags. No 100rel: who requires it is answered 420.
const supported = "outbound, path, replaces, timer"

// sessionHeaders go with every INVITE, UPDATE and their 2xx.
func (u *UA) sessionHeaders() []header {
	return []header{{"Contact", u.contact(true)}, {"Allow", allow}, {"Supported", supported}}
}
