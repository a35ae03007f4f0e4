// Package seat runs a seat: it owns the agent's state, the calls, the lamps
// and the goroutines behind them.
//
// One goroutine, the loop, owns all state. Keys, the PBX, the headset and the
// page reach it as events; what takes time (a gathering of candidates, a
// re-INVITE, the closing of a recording) runs on the call's own goroutine and
// comes back as an event. What the loop does follows from agent.Step alone.
package seat

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"deskset/audio/tone"
	"deskset/firmware/agent"
	"deskset/firmware/fleet"
	"deskset/firmware/keypad"
	"deskset/firmware/media"
	"deskset/firmware/panel"
	"deskset/firmware/sipua"
	"deskset/firmware/vault"
)

// Keys is the panel's inputs.
type Keys interface {
	// Run calls edge at every edge, from any goroutine, until ctx ends.
	Run(ctx context.Context, edge func(k panel.Key, down bool)) error
}

// Lamps is the panel's outputs. Set is called from one goroutine and must not
// block.
type Lamps interface {
	Set(l panel.Lamp, c panel.Colour) error
}

// Headset is the sound card with its clock.
type Headset interface {
	media.Headset
	Present() bool
}

// HeadsetEvent tells that the headset went or came back.
type HeadsetEvent struct {
	Present bool
	Reason  string
}

// Config of a seat. Policy, Keys, Lamps, Headset and Vault are needed.
type Config struct {
	Name     string // of the seat, as the centre knows it
	Firmware string // version
	Lang     string // "zh-CN" or "en"
	Policy   *fleet.Policy
	Keys     Keys
	Lamps    Lamps
	Headset  Headset
	Headsets <-chan HeadsetEvent // presence; may be nil
	Vault    *vault.Vault

	Instance  string      // urn:uuid of this seat, RFC 5626
	Insecure  bool        // ws:// is allowed
	TLS       *tls.Config // roots for the PBX, beside the CA that the policy names
	MediaAddr netip.Addr  // zero: the one that reaches the PBX

	Log *slog.Logger
	Now func() time.Time // with a monotonic reading, as time.Now
	// Wall is the time for the record, and whether it may be believed; nil: Now,
	// not believed.
	Wall func() (t time.Time, trusted bool)

	// Dial replaces the PBX's WebSocket, and NewLeg the socket of a call, in
	// tests with a simulated network.
	Dial   func(ctx context.Context, url string) (sipua.Conn, error)
	NewLeg func(media.Config) (*media.Leg, error)
}

// Seat is one running seat. Make it with New.
type Seat struct {
	cfg   Config
	log   *slog.Logger
	start time.Time
	inbox chan func()
	done  chan struct{} // closed when the loop has ended

	pump     *media.Pump
	identity *media.Identity
	events   *journal

	// Owned by the loop.
	state     agent.State
	rules     agent.Rules
	queue     []agent.Event // not yet stepped; the first one is being done
	policy    *fleet.Policy
	keys      keypad.Keypad
	lamps     *blinker
	ua        *sipua.UA
	uaStop    context.CancelFunc
	uaEnded   chan struct{} // closed when its Run has returned
	uaEvents  <-chan sipua.Event
	account   fleet.PBX
	pbxErr    string // why not registered, in words; and its sentence key
	pbxCode   string
	centreUp  bool
	centreErr string
	ctx       context.Context // of the parts that the loop starts
	space     vault.Space
	spaceErr  error
	spaceAt   time.Duration
	lines     map[string]*line // by our own id
	lineSeq   int
	shift     []*item
	loops     tone.Kind      // what is heard until it is stopped
	closing   bool           // shutdown has begun
	stale     bool           // the View is not what is
	parts     sync.WaitGroup // goroutines of UAs and lines

	view    atomic.Pointer[panel.View]
	inCall  atomic.Bool
	watch   watchers
	pairing atomic.Pointer[func(panel.Key) bool]
	help    atomic.Int64 // when the supervisor was last asked for, on the seat's clock; 0: never
	sound   soundCheck
	lang    string // of the loop
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Seat, error) {
	switch {
	case cfg.Policy == nil:
		return nil, errors.New("seat: no policy; enrol the seat first: deskset enrol --token TOKEN")
	case cfg.Keys == nil || cfg.Lamps == nil || cfg.Headset == nil || cfg.Vault == nil || cfg.Now == nil:
		return nil, errors.New("seat: keys, lamps, headset, vault and clock are needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Wall == nil {
		cfg.Wall = func() (time.Time, bool) { return cfg.Now(), false }
	}
	if cfg.NewLeg == nil {
		cfg.NewLeg = media.New
	}
	id, err := media.NewIdentity()
	if err != nil {
		return nil, err
	}
	s := &Seat{
		cfg: cfg, log: cfg.Log, identity: id, policy: cfg.Policy, lang: cfg.Lang,
		inbox: make(chan func(), 64), done: make(chan struct{}), lines: map[string]*line{},
		events: newJournal(cfg.Now), rules: rulesOf(cfg.Policy.Times),
	}
	s.start = cfg.Now()
	s.state.Now = s.now()
	s.pump, err = media.NewPump(media.PumpConfig{Headset: cfg.Headset, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	s.show()
	s.render()
	return s, nil
}

// rulesOf takes the policy's figures, and the rulebooks' where it has none.
func rulesOf(t fleet.Times) agent.Rules {
	r := agent.DefaultRules()
	set := func(d *time.Duration, s int) {
		if s > 0 {
			*d = time.Duration(s) * time.Second
		}
	}
	set(&r.WrapUp, t.WrapUpSeconds)
	set(&r.HoldCue, t.HoldCueSeconds)
	set(&r.HoldMax, t.HoldMaxSeconds)
	set(&r.MuteCue, t.MuteCueSeconds)
	if t.RONARings > 0 {
		r.RONARings = t.RONARings
	}
	if t.RingBacks > 0 {
		r.RingBacks = t.RingBacks
	}
	return r
}

// Run owns the seat until ctx ends; then it hangs up what is on, closes the
// recordings and returns.
func (s *Seat) Run(ctx context.Context) error {
	s.lamps = newBlinker(s.cfg.Lamps, s.log)

	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var parts sync.WaitGroup
	fail := make(chan error, 2)
	run := func(f func(context.Context) error) {
		parts.Go(func() {
			if err := f(inner); err != nil && inner.Err() == nil {
				fail <- err
			}
		})
	}
	run(s.pump.Run)
	run(func(ctx context.Context) error {
		return s.cfg.Keys.Run(ctx, func(k panel.Key, down bool) {
			at := s.now()
			s.post(func() { s.edge(k, down, at) })
		})
	})

	s.events.add("seat", "started")
	s.ctx = inner
	s.lamps.show(agent.Lamps(s.state, s.rules), s.now())
	s.register()
	err := s.loop(ctx, fail)
	s.shutdown()
	close(s.done) // who still posts may go
	stop()
	parts.Wait()
	return err
}

// now is the seat's monotonic clock; it begins at one second, so that zero can
// mean "never".
func (s *Seat) now() time.Duration { return s.cfg.Now().Sub(s.start) + time.Second }

// post hands f to the loop. It waits for room, and gives up when the seat has
// ended.
func (s *Seat) post(f func()) {
	select {
	case s.inbox <- f:
	case <-s.done:
	}
}
