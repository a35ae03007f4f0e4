package soundcard

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is what an Event tells.
type Kind int

const (
	// Lost: the headset is gone (or was not there when Run began).
	Lost Kind = iota + 1
	// Back: both its directions bring sound.
	Back
)

func (k Kind) String() string {
	switch k {
	case Lost:
		return "lost"
	case Back:
		return "back"
	}
	return fmt.Sprintf("kind(%d)", int(k))
}

// Event is a change of the headset's presence.
type Event struct {
	Kind   Kind
	ID     string // of the capture device
	Reason string // in words, for logs and the panel
}

const (
	// closeLimit bounds the closing of a device: a dead PulseAudio server can
	// hold it for ever, and the seat carries on without it.
	closeLimit = time.Second
	// firstPeriod bounds the wait for a newly opened device; a PulseAudio source
	// can take two seconds to wake up.
	firstPeriod = 4 * time.Second
	// stallPeriods without a callback are a stall: Wait falls back to the
	// monotonic clock and the watchdog looks whether the device is still there.
	stallPeriods = 5
	// lostAfter without a callback the device is given up even if its id still
	// exists. A busy machine holds a thread up for 200 ms, and opening the device
	// again would cost more sound than the wait.
	lostAfter = 400 * time.Millisecond
	// lookEvery is the watchdog's own pace; in a call Wait calls it sooner.
	lookEvery = 250 * time.Millisecond
)

// device is an opened headset. close stops it before it frees it and may hang.
type device interface{ close() }

// opener is a backend.
type opener interface {
	// open starts both directions on a new stream, or fails without leaving
	// anything open.
	open(mk func() *stream) (*stream, device, error)
	// gone tells that the device is certainly not there; it must be quick.
	gone() bool
	// changed is poked when something was plugged in; nil if unknown.
	changed(ctx context.Context) <-chan struct{}
	// release frees what open keeps between attempts.
	release()
}

// Card is one headset. Run owns the devices; Wait, ReadMic and WriteEar belong
// to one consumer goroutine; the rest may be called by anyone.
type Card struct {
	cfg    Config
	log    *slog.Logger
	clock  clock
	opener opener
	period time.Duration

	events chan Event
	kick   chan struct{} // consumer -> watchdog
	cur    atomic.Pointer[stream]

	pace     pace
	consumer consumer

	mu    sync.Mutex
	total Stats // of streams that were closed

	abandoned atomic.Int64 // devices whose closing hangs
	present   int          // Run's: 0 nothing said yet, 1 Back, -1 Lost
}

// New checks the configuration and makes a card. It opens nothing. An id that
// means a default device or a monitor is refused (ErrID).
func New(cfg Config, log *slog.Logger) (*Card, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Card{
		cfg: cfg, log: log, period: time.Duration(cfg.PeriodMs) * time.Millisecond,
		events: make(chan Event, 16), kick: make(chan struct{}, 1),
	}
	var err error
	switch cfg.Backend {
	case Virtual:
		clk := newChanClock()
		c.clock = clk
		c.opener, err = newVirtual(cfg, clk, log)
	default:
		if c.clock, err = newFDClock(); err == nil {
			c.opener = newMalgo(cfg)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sound card: %w", err)
	}
	c.consumer.init(cfg.PeriodMs)
	return c, nil
}

// Events tells of the headset going and coming, in order. If nobody reads, the
// oldest are thrown away.
func (c *Card) Events() <-chan Event { return c.events }

// Present tells whether the headset is open and brings sound both ways.
func (c *Card) Present() bool { return c.cur.Load() != nil }

// Run opens the headset, watches it, closes it when it vanishes and opens the
// same one when it returns, until ctx ends. A headset that is not there is not
// an error. It returns nil, or the reason why the backend can never work.
func (c *Card) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	changed := c.opener.changed(ctx)
	for ctx.Err() == nil {
		s, dev := c.acquire(ctx, changed)
		if dev == nil {
			break
		}
		reason := c.watch(ctx, s, changed)
		c.cur.Store(nil)
		s.dead.Store(1)
		if ctx.Err() == nil {
			c.announce(Lost, reason)
		}
		c.retire(s)
		c.close(dev)
	}
	if c.abandoned.Load() == 0 {
		c.opener.release()
		c.clock.close()
	} // else a callback might still come: leave what it touches
	return nil
}

// watch returns, with the reason, when the device is lost or ctx ends.
func (c *Card) watch(ctx context.Context, s *stream, changed <-chan struct{}) string {
	if !c.flows(ctx, s) {
		return "opened, but brings no sound"
	}
	c.cur.Store(s)
	c.announce(Back, "")
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return "stopped"
		case <-c.kick:
		case <-changed:
		case <-look.C:
		}
		mic, ear := s.silentFor()
		which, silent := "capture", mic
		if ear > mic {
			which, silent = "playback", ear
		}
		switch {
		case s.moved.Load() != 0:
			return "the sound server moved the stream to another device"
		case c.opener.gone():
			return "unplugged"
		case silent >= max(lostAfter, stallPeriods*c.period):
			return fmt.Sprintf("no %s period for %d ms", which, silent.Milliseconds())
		}
	}
}

// flows waits for the first period of both directions.
func (c *Card) flows(ctx context.Context, s *stream) bool {
	look := time.NewTicker(c.period)
	defer look.Stop()
	limit := time.NewTimer(firstPeriod)
	defer limit.Stop()
	for !s.flowing() {
		select {
		case <-ctx.Done():
			return false
		case <-limit.C:
			return s.flowing()
		case <-look.C:
		}
	}
	return true
}

// close closes dev, but does not wait for it longer than closeLimit.
func (c *Card) close(dev device) {
	done := make(chan struct{})
	c.abandoned.Add(1)
	go func() {
		defer close(done)
		dev.close()
		c.abandoned.Add(-1)
	}()
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		c.log.Warn("sound device does not close, going on without it", "backend", c.cfg.Backend)
	}
}

// announce sends an event if it is news.
func (c *Card) announce(k Kind, reason string) {
	now := 1
	if k == Lost {
		now = -1
	}
	if c.present == now {
		return
	}
	c.present = now
	c.log.Info("headset "+k.String(), "id", c.cfg.Capture, "reason", reason)
	ev := Event{Kind: k, ID: c.cfg.Capture, Reason: reason}
	for {
		select {
		case c.events <- ev:
			return
		default:
		}
		select {
		case <-c.events:
		default:
		}
	}
}

// poke wakes the watchdog; it never blocks.
func (c *Card) poke() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}
