package sipua

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dialTimeout     = 10 * time.Second
	goodbyeTimeout  = 2 * time.Second
	deliveryTimeout = time.Second
)

// Run connects, registers and serves calls until ctx ends; then it hangs up,
// unregisters (both within 2 s) and closes the events' channel. It returns nil
// after an ordered end.
func (u *UA) Run(ctx context.Context) error {
	u.mu.Lock()
	if u.running {
		u.mu.Unlock()
		return errors.New("sipua: Run was called twice")
	}
	u.running = true
	u.mu.Unlock()

	hard, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { u.events.run(hard, stop) })

	u.keep(ctx)

	u.mu.Lock()
	u.closing = true
	for _, c := range u.calls {
		c.hangup("the seat ends") // there was no flow to say goodbye on
	}
	u.over = true
	for _, c := range u.calls {
		c.stopTimers()
	}
	u.mu.Unlock()
	close(stop)
	t := time.AfterFunc(deliveryTimeout, cancel)
	wg.Wait()
	t.Stop()
	return nil
}

// keep is always on its way to be registered.
func (u *UA) keep(ctx context.Context) {
	out := &outage{jitter: u.jitter}
	defer out.over()
	for {
		err := u.serve(ctx, out)
		if ctx.Err() != nil {
			return
		}
		wait := out.next(err)
		u.lost(err, wait)
		if !sleep(ctx, nil, wait) {
			return
		}
	}
}

// outage knows how long to wait before the next try.
type outage struct {
	jitter  func() float64
	tries   int
	refused int // refusals of the account
	timer   *time.Timer
	long    atomic.Bool // it has lasted beyond backoffSwitch
}

func (o *outage) next(err error) time.Duration {
	if o.timer == nil {
		o.timer = time.AfterFunc(backoffSwitch, func() { o.long.Store(true) })
	}
	if errors.Is(err, ErrCredentials) {
		// A PBX that is starting may not know its accounts yet: the first
		// refusals are not believed.
		if o.refused++; o.refused > backoffBelieve {
			return backoffAuth(o.jitter())
		}
	}
	if errors.Is(err, errTimeout) {
		return backoff(0, false, o.jitter()) // the silence was the wait
	}
	d := backoff(o.tries, o.long.Load(), o.jitter())
	o.tries++
	return d
}

func (o *outage) over() {
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	o.tries, o.refused = 0, 0
	o.long.Store(false)
}

// serve makes one connection and stays on it until it breaks.
func (u *UA) serve(ctx context.Context, out *outage) error {
	dctx, cancel := context.WithTimeout(ctx, dialTimeout)
	conn, err := u.cfg.Dial(dctx, u.cfg.URL)
	cancel()
	if err != nil {
		return err
	}
	f := newFlow(conn, u.cfg.PingEvery, u.cfg.PingTimeout, u.receive, u.oversized)
	u.mu.Lock()
	u.flow = f
	u.stats.Flows++
	u.mu.Unlock()
	f.start()

	err = u.stay(ctx, f, out)
	polite, cancel := context.WithTimeout(context.Background(), goodbyeTimeout)
	defer cancel()
	if ctx.Err() != nil {
		u.goodbye(polite, f)
	} else {
		cancel()
	}
	f.close(polite)
	u.flowDown(f)
	return err
}

// stay registers and refreshes until the flow breaks or ctx ends.
func (u *UA) stay(ctx context.Context, f *flow, out *outage) error {
	for {
		res := u.register(ctx, f, true)
		var wait time.Duration
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case res.err == nil:
			out.over()
			u.nowRegistered(res.granted)
			// Between 85 and 90 %: never late, and a floor of seats spreads.
			wait = time.Duration((0.85 + 0.05*u.jitter()) * float64(res.granted))
		case errors.Is(res.err, ErrFlowLost):
			<-f.dead
			return f.err
		case errors.Is(res.err, errTimeout):
			// An answered ping and no answer to REGISTER: try another flow.
			return fmt.Errorf("REGISTER: %w", res.err)
		default:
			wait = max(out.next(res.err), res.retryAfter)
			if u.Registered() && !errors.Is(res.err, ErrCredentials) {
				// The binding still stands; it is lost when it expires.
				u.log.Warn("refresh of the registration failed", "err", res.err, "retry", wait)
				u.remember(res.err)
			} else {
				u.lost(res.err, wait)
			}
		}
		if !sleep(ctx, f.dead, wait) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return f.err
		}
	}
}

// sleep is false when ctx ended or dead was closed first.
func sleep(ctx context.Context, dead <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-dead:
	}
	return false
}

// flowDown ends what cannot outlive its flow.
func (u *UA) flowDown(f *flow) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.log.Info("connection to the PBX ended", "err", f.err)
	u.flow = nil
	u.bound = false
	u.loseClients()
	for _, c := range u.calls {
		c.flowLost()
	}
}

// goodbye hangs up and unregisters while ctx lasts.
func (u *UA) goodbye(ctx context.Context, f *flow) {
	u.mu.Lock()
	u.closing = true
	for _, c := range u.calls {
		c.hangup("the seat ends")
	}
	u.quiet = make(chan struct{})
	quiet := u.quiet
	u.checkQuiet()
	bound := u.bound
	u.mu.Unlock()
	select {
	case <-quiet:
	case <-f.dead:
		return
	case <-ctx.Done():
		return
	}
	if bound {
		if res := u.register(ctx, f, false); res.err != nil {
			u.log.Info("not unregistered", "err", res.err)
		}
	}
}

// checkQuiet tells goodbye when every call has parted from the PBX.
func (u *UA) checkQuiet() {
	if u.quiet != nil && len(u.farewells) == 0 && len(u.calls) == 0 {
		close(u.quiet)
		u.quiet = nil
	}
}
