package smallpbx

import (
	"context"
	"log"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/emiago/sipgo/sip"
)

// core is all that a running PBX knows and owns: what kill -9 takes away.
type core struct {
	pbx      *PBX
	cfg      Config
	log      *slog.Logger
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	ep       *siplite.Endpoint
	udp      *siplite.UDP
	verifier *siplite.Verifier
	mediaIP  netip.Addr

	// mu guards what follows and the topology of legs (see leg.go).
	mu        sync.Mutex
	dead      bool
	flows     map[*wsFlow]struct{}
	bindings  []*binding
	legs      map[*leg]struct{}
	queueNext int // who the queue offers first
}

func newCore(p *PBX, s *sockets) *core {
	c := &core{pbx: p, cfg: p.cfg, log: p.cfg.Log, udp: s.udp,
		flows: map[*wsFlow]struct{}{}, legs: map[*leg]struct{}{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.mediaIP = mediaIP(p.cfg)
	c.ep = siplite.New(siplite.Config{Handle: c.handle, UserAgent: "deskset-smallpbx", Log: c.log})
	c.verifier = siplite.NewVerifier(p.cfg.Realm, func(user string) (string, bool) {
		pw, ok := p.cfg.Accounts[user]
		return pw, ok
	})
	c.verifier.MD5Only = p.cfg.MD5Only
	if s.ws != nil {
		c.serveWS(s.ws, "WS", nil)
	}
	if s.wss != nil {
		c.serveWS(s.wss, "WSS", p.cfg.TLS)
	}
	if s.udp != nil {
		c.wg.Go(func() {
			s.udp.Run(c.ctx, func(f siplite.Flow, b []byte) { c.ep.Receive(f, b) })
		})
	}
	return c
}

// mediaIP is where media is received: the address that seats or phones connect
// to, loopback where that says "all".
func mediaIP(cfg Config) netip.Addr {
	for _, a := range []string{cfg.UDP, cfg.WSS, cfg.WS} {
		if ip, err := netip.ParseAddr(hostOf(a)); err == nil && !ip.IsUnspecified() {
			return ip
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// kill ends everything at once and waits until it is gone.
func (c *core) kill() {
	c.mu.Lock()
	c.dead = true
	var legs []*leg
	for l := range c.legs {
		legs = append(legs, l)
	}
	var flows []*wsFlow
	for f := range c.flows {
		flows = append(flows, f)
	}
	c.mu.Unlock()
	c.cancel()
	for _, f := range flows {
		f.cut()
	}
	var media sync.WaitGroup
	for _, l := range legs {
		media.Go(l.drop)
	}
	media.Wait()
	c.ep.Close()
	c.wg.Wait()
}

// start runs f on a goroutine that kill waits for.
func (c *core) start(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return false
	}
	c.wg.Go(f)
	return true
}

func (c *core) addFlow(f *wsFlow) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return false
	}
	c.wg.Add(1) // the HTTP server does not wait for hijacked connections
	c.flows[f] = struct{}{}
	return true
}

func (c *core) removeFlow(f *wsFlow) {
	c.mu.Lock()
	delete(c.flows, f)
	c.mu.Unlock()
	c.pbx.bump()
	c.wg.Done()
}

func (c *core) httpLog() *log.Logger {
	return slog.NewLogLogger(c.log.Handler(), slog.LevelDebug)
}

// handle gets requests outside dialogs; it must not block.
func (c *core) handle(in *siplite.Incoming) {
	switch in.Req.Method {
	case sip.REGISTER:
		c.register(in)
	case sip.INVITE:
		c.invited(in)
	case sip.OPTIONS:
		in.Respond(sip.StatusOK, "", nil, allow())
	case sip.SUBSCRIBE, sip.PUBLISH:
		in.Respond(489, "", nil) // Bad Event: we keep no presence
	case sip.MESSAGE, sip.NOTIFY:
		in.Respond(sip.StatusOK, "", nil)
	default:
		in.Respond(sip.StatusMethodNotAllowed, "", nil, allow())
	}
}

func allow() sip.Header {
	return sip.NewHeader("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, REFER, NOTIFY, INFO, UPDATE, MESSAGE")
}

// waitCalls returns when no leg is left, or after d.
func (c *core) waitCalls(d time.Duration) {
	ctx, cancel := context.WithTimeout(c.ctx, d)
	defer cancel()
	c.pbx.waitFor(ctx, "the calls' end", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.legs) == 0
	})
}

func splitList(s string) []string {
	var out []string
	for f := range strings.SplitSeq(s, ",") {
		if f = strings.TrimSpace(f); f != "" {
			out = append(out, f)
		}
	}
	return out
}
