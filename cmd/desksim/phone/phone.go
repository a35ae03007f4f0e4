// Package phone is a scripted desk phone: SIP over UDP with plain RTP, Opus or
// G.711. In the demo and in the stories it is the customer who calls, and the
// colleague that a call is transferred to; it works against the small PBX and
// against a real Asterisk alike.
//
// What a phone says is given as PCM ([Call.Say]); what it heard can be read as
// one continuous time line ([Call.Heard]).
package phone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"deskset/audio/codec"
	"deskset/cmd/desksim/smallpbx/rtplite"
	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/emiago/sipgo/sip"
)

// Policy says what to do with an incoming call. The zero value answers at once.
type Policy struct {
	After   time.Duration // ring this long, then answer
	Reject  int           // answer with this code (486, 480, 603 ...) instead
	LetRing bool          // ring until Call.Answer, Call.Reject or the caller gives up
}

// Config of a phone.
type Config struct {
	Listen   string // SIP socket, "127.0.0.1:0" takes a free port
	PBX      string // host:port of the PBX's SIP over UDP
	User     string
	Password string // answers a digest challenge; "" gives up when challenged
	Display  string // shown as the caller's name; optional
	// Codec is "opus", "PCMU" or "PCMA", or several with commas in between, the
	// preferred first; "" is "opus,PCMU".
	Codec    string
	Register bool // keep registered while running
	Answer   Policy
	// Impair makes the network towards the PBX worse, from the first packet on.
	Impair rtplite.Impairment
	Log    *slog.Logger
}

// Phone is one phone. New opens its socket, Run works it.
type Phone struct {
	cfg    Config
	codecs []codec.Codec
	udp    *siplite.UDP
	pbx    siplite.Flow
	ep     *siplite.Endpoint
	ip     netip.Addr

	incoming   chan *Call
	registered chan struct{}
	started    chan struct{}

	wg     sync.WaitGroup
	mu     sync.Mutex
	ctx    context.Context // of Run; nil before and after
	policy Policy
	calls  map[*Call]struct{}
}

// ErrNotRunning says that the phone's Run has not begun or has ended.
var ErrNotRunning = errors.New("the phone is not running")

// New opens the phone's socket.
func New(cfg Config) (*Phone, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Codec == "" {
		cfg.Codec = "opus,PCMU"
	}
	if cfg.User == "" {
		return nil, errors.New("phone: no user")
	}
	p := &Phone{cfg: cfg, policy: cfg.Answer, calls: map[*Call]struct{}{},
		incoming: make(chan *Call, 32), registered: make(chan struct{}), started: make(chan struct{})}
	for name := range strings.SplitSeq(cfg.Codec, ",") {
		clock := uint32(8000)
		if strings.EqualFold(name, "opus") {
			clock = 48000
		}
		c, ok := codec.ByName(name, clock)
		if !ok {
			return nil, fmt.Errorf("phone: codec %q (want opus, PCMU or PCMA)", name)
		}
		p.codecs = append(p.codecs, c)
	}
	var err error
	if p.udp, err = siplite.ListenUDP(cfg.Listen); err != nil {
		return nil, err
	}
	if p.pbx, err = p.udp.Flow(cfg.PBX); err != nil {
		p.udp.Close()
		return nil, err
	}
	a, err := netip.ParseAddrPort(p.udp.Addr())
	if err != nil {
		p.udp.Close()
		return nil, fmt.Errorf("phone: own address: %w", err)
	}
	p.ip = a.Addr().Unmap()
	if p.ip.IsUnspecified() {
		p.ip = outgoingIP(cfg.PBX)
	}
	p.ep = siplite.New(siplite.Config{Handle: p.handle, UserAgent: "deskset-phone", Log: cfg.Log})
	return p, nil
}

// outgoingIP is the address by which the system would reach the PBX.
func outgoingIP(pbx string) netip.Addr {
	c, err := net.Dial("udp4", pbx) // sends nothing
	if err != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// Addr is the phone's SIP host:port.
func (p *Phone) Addr() string { return p.udp.Addr() }

// URI is what calls this phone directly, sip:user@host:port.
func (p *Phone) URI() string {
	u := p.contact(nil)
	return u.String()
}

// Incoming gives the calls that others started, as they begin to ring.
func (p *Phone) Incoming() <-chan *Call { return p.incoming }

// Registered is closed at the first successful registration.
func (p *Phone) Registered() <-chan struct{} { return p.registered }

// SetPolicy changes what is done with the next incoming call.
func (p *Phone) SetPolicy(a Policy) {
	p.mu.Lock()
	p.policy = a
	p.mu.Unlock()
}

// Run works the phone until ctx ends; then it hangs up, unregisters and returns.
func (p *Phone) Run(ctx context.Context) error {
	// Calls end by BYE, for which the socket must outlive ctx.
	sockCtx, closeSocket := context.WithCancel(context.WithoutCancel(ctx))
	defer closeSocket()
	callCtx, endCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer endCalls()
	p.mu.Lock()
	p.ctx = callCtx
	p.mu.Unlock()
	close(p.started)

	var sock sync.WaitGroup
	sock.Go(func() { p.udp.Run(sockCtx, func(f siplite.Flow, b []byte) { p.ep.Receive(f, b) }) })
	var regDone chan struct{}
	if p.cfg.Register {
		regDone = make(chan struct{})
		go func() { defer close(regDone); p.keepRegistered(ctx) }()
	}
	<-ctx.Done()

	p.mu.Lock()
	p.ctx = nil
	calls := make([]*Call, 0, len(p.calls))
	for c := range p.calls {
		calls = append(calls, c)
	}
	p.mu.Unlock()
	for _, c := range calls {
		c.Hangup()
	}
	if regDone != nil {
		<-regDone
	}
	done := make(chan struct{})
	go func() { p.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * time.Second): // a dead PBX answers no BYE
	}
	endCalls()
	p.ep.Close()
	closeSocket()
	sock.Wait()
	<-done
	return nil
}

// start runs f on a goroutine that Run waits for, with the context of the calls.
func (p *Phone) start(f func(ctx context.Context)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil {
		return ErrNotRunning
	}
	ctx := p.ctx
	p.wg.Go(func() { f(ctx) })
	return nil
}

func (p *Phone) contact(siplite.Flow) sip.Uri {
	_, port, _ := net.SplitHostPort(p.udp.Addr())
	return siplite.UserURI(p.cfg.User, net.JoinHostPort(p.ip.String(), port))
}

// aor is the phone's address of record.
func (p *Phone) aor() siplite.Party {
	return siplite.Party{Display: p.cfg.Display, URI: siplite.UserURI(p.cfg.User, p.cfg.PBX)}
}

// handle gets requests outside dialogs; it must not block.
func (p *Phone) handle(in *siplite.Incoming) {
	switch in.Req.Method {
	case sip.INVITE:
		p.invited(in)
	case sip.OPTIONS:
		in.Respond(sip.StatusOK, "", nil, allow())
	case sip.NOTIFY, sip.MESSAGE:
		in.Respond(sip.StatusOK, "", nil) // e.g. unsolicited message waiting
	default:
		in.Respond(sip.StatusMethodNotAllowed, "", nil, allow())
	}
}

func allow() sip.Header {
	return sip.NewHeader("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, NOTIFY, REFER")
}

// Started is closed when Run has begun.
func (p *Phone) Started() <-chan struct{} { return p.started }
