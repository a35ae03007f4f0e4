// Package console is the seat's panel as a web page and its API: the real seat
// serves it over TLS to the agent's PC. A browser sees nothing of a seat until
// somebody at the desk has confirmed it with the physical HELP key, and sees
// nothing of an agent after that agent has signed out. API.md describes the
// wire.
package console

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"deskset/firmware/panel"
)

// Seat is what the page shows and works. All methods may be called from any
// goroutine.
type Seat interface {
	// View is the seat at this moment. Nobody changes it afterwards, nor what
	// it points to.
	View() panel.View

	// Changed gives a channel that holds a token whenever the View has changed
	// since the last one was taken, levels of the headset apart (the console
	// samples those itself). The seat never waits for a reader: many changes
	// make one token. stop may be called more than once.
	Changed() (changed <-chan struct{}, stop func())

	// Do asks for one thing. It returns when the seat has taken it or refused
	// it, not when the PBX has confirmed it: that shows in the View. A refusal
	// is an *Error. The context ends when nobody waits any longer.
	//
	// The seat must not tell KeyPressed of a press that came through Do.
	Do(context.Context, Action) error
}

// Config of a Server. Addr, TLS, Seat and Now are needed.
type Config struct {
	Addr  string         // "host:port" to listen on, TCP
	TLS   *tls.Config    // with the certificate, see SelfSigned
	Names []string       // host names it may be asked for, beside its own addresses
	Allow []netip.Prefix // peers that may connect; empty: any
	Seat  Seat
	Log   *slog.Logger     // nil: none
	Now   func() time.Time // the seat's wall clock
}

// Server is the panel's page. Make it with New.
type Server struct {
	cfg   Config
	log   *slog.Logger
	names map[string]bool

	door    door    // who may see
	limits  limiter // how often a peer may ask
	handler http.Handler

	mu      sync.Mutex
	ln      net.Listener
	closing bool
	conns   sync.WaitGroup // sockets that the HTTP server no longer owns
}

// New checks the configuration. It listens to nothing and starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Seat == nil {
		return nil, errors.New("console: no seat")
	}
	if _, _, err := net.SplitHostPort(cfg.Addr); err != nil {
		return nil, fmt.Errorf("console: address: %w", err)
	}
	if cfg.TLS == nil || len(cfg.TLS.Certificates) == 0 && cfg.TLS.GetCertificate == nil {
		return nil, errors.New("console: no TLS certificate; the page is never served in the clear")
	}
	if cfg.Now == nil {
		return nil, errors.New("console: no clock")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, log: cfg.Log, names: map[string]bool{}}
	for _, n := range cfg.Names {
		s.names[canonicalHost(n)] = true
	}
	s.door.now, s.limits.now = cfg.Now, cfg.Now
	s.handler = s.routes()
	return s, nil
}

// Listen takes the address now, so that a wrong or taken one is an error
// before Run. Run does it if nobody did.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ln != nil {
		return nil
	}
	ln, err := net.Listen("tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("console: listen: %w", err)
	}
	s.ln = ln
	return nil
}

// Addr is where it listens, nil before Listen.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ln == nil {
		return nil
	}
	return s.ln.Addr()
}

// URL is the page's address for a person: the first configured name if there
// is one. Empty before Listen.
func (s *Server) URL() string {
	addr, ok := s.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "localhost"
	}
	if len(s.cfg.Names) > 0 {
		host = s.cfg.Names[0]
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(addr.Port)) + "/"
}

// Run serves until ctx ends, then closes every socket and waits for what it
// started.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		Protocols:         new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true) // a WebSocket needs it, and nothing needs more
	tlsConf := s.cfg.TLS.Clone()
	tlsConf.MinVersion = max(tlsConf.MinVersion, tls.VersionTLS12)
	tlsConf.NextProtos = []string{"http/1.1"}

	var parts sync.WaitGroup
	parts.Go(func() { s.watch(ctx) })
	parts.Go(func() {
		<-ctx.Done()
		end, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer stop()
		if srv.Shutdown(end) != nil {
			srv.Close()
		}
	})
	s.log.Info("console: serving", "url", s.URL())
	err := srv.Serve(tls.NewListener(newBounded(s.ln, s.cfg.Allow), tlsConf))
	cancel()
	parts.Wait()
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.conns.Wait()
	s.door.drop(ReasonClosing)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("console: serve: %w", err)
}

// watch ends a pairing at sign-out even while no page looks, and at its age.
func (s *Server) watch(ctx context.Context) {
	changed, stop := s.cfg.Seat.Changed()
	defer stop()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		s.door.see(s.cfg.Seat.View().Agent)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// KeyPressed tells of a short press of a physical key. It is consumed, and
// must do nothing else, when it confirms a browser that waits for it. Only the
// seat's own keys may be told of: never a press that came from a page.
func (s *Server) KeyPressed(k panel.Key) (consumed bool) {
	if k != panel.Help {
		return false
	}
	from, ok := s.door.confirm()
	if ok {
		s.log.Info("console: browser confirmed at the desk", "from", from)
	}
	return ok
}

// Pairing tells whether a browser waits for the HELP key, for a seat that can
// show it: the code that the browser shows, where it is and how long it waits.
func (s *Server) Pairing() (code, from string, until time.Time, waiting bool) {
	return s.door.waiting()
}
