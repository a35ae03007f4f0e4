// Package smallpbx is the demo's own PBX, small enough to start in a test: SIP
// over WebSocket (RFC 7118) with WebRTC media for seats, SIP over UDP with plain
// RTP for desk phones, a queue, hold, transfers. It is a back-to-back user agent:
// each leg has its own dialog and its own media, and Opus passes through
// untouched where both legs speak it.
//
// Its WebRTC is a pion PeerConnection, not the seat's own stack, so that each
// call between the two is a test of both. What a real PBX does to a seat on a bad
// day can be done here on purpose: see [PBX.CutWebSocket], [PBX.Stop],
// [PBX.Misbehave].
//
// The dial plan:
//
//	extension of an account   rings its registered seat or phone
//	700                       the queue "support"
//	600                       echo
//	601                       an announcement (tones), then hangs up
//	602                       early media: rings by sound after a 183, never answers
//	603                       rings (180), never answers
//	604                       busy (486)
package smallpbx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"deskset/audio/codec"
)

// Hold says what the other party hears while it is held.
type Hold int

const (
	HoldTone   Hold = iota // a quiet tone in place of music
	HoldSilent             // packets of silence
)

// QueueConfig is the queue 700.
type QueueConfig struct {
	// Name is sent to the member as X-Queue; "" is "support".
	Name string
	// Members are the extensions that are offered calls, in this order; nil
	// takes each account that is registered over WebSocket.
	Members []string
	// RingAll offers to all free members at once instead of one after another.
	RingAll bool
	// RingTime is how long one member rings (0: 15 s), Retry the pause after a
	// round without an answer (0: 1 s), MaxWait when the caller is sent away
	// (0: 5 min).
	RingTime, Retry, MaxWait time.Duration
}

// Config of a PBX.
type Config struct {
	WS  string      // listen address of plain WebSocket; "" has none
	WSS string      // of WebSocket over TLS; "" has none
	TLS *tls.Config // with a certificate, for WSS
	UDP string      // of SIP over UDP; "" has none
	// Accounts maps extension to password. An account must prove itself to
	// register and to call; UDP callers without an account are let in, as
	// customers are.
	Accounts map[string]string
	// Static maps extensions to host:port of phones that do not register.
	Static map[string]string
	Realm  string // of digest; "" is "deskset"
	// MD5Only offers no SHA-256 challenge, like an old PBX.
	MD5Only bool
	Queue   QueueConfig
	// RingTime is how long a direct call rings (0: 60 s).
	RingTime time.Duration
	// Codecs in order of preference; nil is Opus, PCMU, PCMA.
	Codecs []codec.Codec
	Hold   Hold
	// MediaTimeout ends the call of a WebRTC peer that has not answered ICE
	// checks for so long, as when its process was killed (0: 15 s).
	MediaTimeout time.Duration
	Log          *slog.Logger
}

// PBX is a running PBX, or one to be run.
type PBX struct {
	cfg Config

	mu      sync.Mutex
	sockets *sockets
	core    *core
	ctx     context.Context // of Run
	changed chan struct{}
}

// ErrNotRunning says that the PBX is not running (or was stopped).
var ErrNotRunning = errors.New("the PBX is not running")

// New opens the PBX's sockets; Run works them.
func New(cfg Config) (*PBX, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Realm == "" {
		cfg.Realm = "deskset"
	}
	if cfg.Queue.Name == "" {
		cfg.Queue.Name = "support"
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&cfg.RingTime, time.Minute)
	def(&cfg.MediaTimeout, 15*time.Second)
	def(&cfg.Queue.RingTime, 15*time.Second)
	def(&cfg.Queue.Retry, time.Second)
	def(&cfg.Queue.MaxWait, 5*time.Minute)
	if cfg.Codecs == nil {
		cfg.Codecs = []codec.Codec{codec.Opus, codec.PCMU, codec.PCMA}
	}
	if cfg.WSS != "" && cfg.TLS == nil {
		return nil, errors.New("small PBX: WSS without a certificate")
	}
	s, err := listen(cfg)
	if err != nil {
		return nil, fmt.Errorf("small PBX: %w", err)
	}
	// A restart listens on the same ports.
	cfg.WS, cfg.WSS, cfg.UDP = s.addrs()
	return &PBX{cfg: cfg, sockets: s, changed: make(chan struct{})}, nil
}

// WSAddr, WSSAddr and UDPAddr are the host:port listened on, "" for none.
func (p *PBX) WSAddr() string  { return p.cfg.WS }
func (p *PBX) WSSAddr() string { return p.cfg.WSS }
func (p *PBX) UDPAddr() string { return p.cfg.UDP }

// WSURL and WSSURL are what a seat is given to connect to.
func (p *PBX) WSURL() string  { return "ws://" + p.cfg.WS + "/ws" }
func (p *PBX) WSSURL() string { return "wss://" + p.cfg.WSS + "/ws" }

// URI is what any softphone calls to reach an extension: sip:700@host:port.
func (p *PBX) URI(extension string) string { return "sip:" + extension + "@" + p.cfg.UDP }

// Run works the PBX until ctx ends; then it hangs up all calls and returns when
// nothing of it is left.
func (p *PBX) Run(ctx context.Context) error {
	p.mu.Lock()
	if p.sockets == nil {
		p.mu.Unlock()
		return errors.New("small PBX: Run called twice")
	}
	p.ctx = ctx
	p.core = newCore(p, p.sockets)
	p.sockets = nil
	p.mu.Unlock()
	p.bump()
	<-ctx.Done()
	p.mu.Lock()
	c := p.core
	p.core, p.ctx = nil, nil
	p.mu.Unlock()
	p.bump()
	if c != nil {
		c.hangupAll()
		c.waitCalls(time.Second)
		c.kill()
	}
	return nil
}

// Stop ends the PBX as kill -9 would: nobody is told, and nothing is remembered.
func (p *PBX) Stop() error {
	p.mu.Lock()
	c := p.core
	p.core = nil
	p.mu.Unlock()
	if c == nil {
		return ErrNotRunning
	}
	c.kill()
	p.bump()
	return nil
}

// Restart starts a stopped PBX again on the same ports, with an empty memory.
func (p *PBX) Restart() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil || p.ctx.Err() != nil {
		return ErrNotRunning
	}
	if p.core != nil {
		return errors.New("small PBX: restart: it is running")
	}
	s, err := listen(p.cfg)
	if err != nil {
		return fmt.Errorf("small PBX: restart: %w", err)
	}
	p.core = newCore(p, s)
	p.bumpLocked()
	return nil
}

// current is the running core.
func (p *PBX) current() (*core, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.core == nil {
		return nil, ErrNotRunning
	}
	return p.core, nil
}

// bump wakes those who wait for a change.
func (p *PBX) bump() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bumpLocked()
}

func (p *PBX) bumpLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// waitFor returns when cond holds; it is asked again after each change.
func (p *PBX) waitFor(ctx context.Context, what string, cond func() bool) error {
	for {
		p.mu.Lock()
		ch := p.changed
		p.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
}

func hostOf(addr string) string {
	h, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return h
}
