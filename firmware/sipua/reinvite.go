package sipua

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Reinvite offers a changed session and waits for the answer. It waits its
// turn while another offer is open and retries glare (491) by itself, both
// until ctx ends; do not call it from the goroutine that answers Reoffer. When
// ctx ends while the offer is with the PBX its outcome stays unknown. A
// refusal is a *StatusError and leaves the session as it was; after a 408 or
// 481 the call is over.
func (c *Call) Reinvite(ctx context.Context, sdp []byte) (answer []byte, err error) {
	if len(sdp) == 0 {
		return nil, ErrState
	}
	for {
		answer, wait, err := c.reinvite(ctx, sdp)
		if wait == 0 {
			return answer, err
		}
		if !sleep(ctx, nil, wait) {
			return nil, fmt.Errorf("%w: %w", ErrGlare, ctx.Err())
		}
	}
}

// reinvite is one try; a wait above 0 asks for another one after it.
func (c *Call) reinvite(ctx context.Context, sdp []byte) (answer []byte, wait time.Duration, err error) {
	type result struct {
		answer []byte
		err    error
	}
	c.u.mu.Lock()
	switch {
	case c.state != up:
		c.u.mu.Unlock()
		return nil, 0, ErrState
	case c.busy():
		turn := make(chan struct{})
		c.others = append(c.others, func() { close(turn) })
		c.u.mu.Unlock()
		select {
		case <-turn:
			return nil, time.Nanosecond, nil
		case <-ctx.Done():
			return nil, 0, fmt.Errorf("%w: %w", ErrGlare, ctx.Err())
		}
	}
	done := make(chan result, 1)
	c.offer(sdp, func(answer []byte, err error) { done <- result{answer, err} })
	c.u.mu.Unlock()
	select {
	case r := <-done:
		if errors.Is(r.err, ErrGlare) {
			return nil, c.glareWait(), nil
		}
		return r.answer, 0, r.err
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

// glareWait is RFC 3261 section 14.1's: who made the Call-ID waits longer.
func (c *Call) glareWait() time.Duration {
	const step = 10 * time.Millisecond
	r := c.u.jitter()
	if c.out {
		return 2100*time.Millisecond + step*time.Duration(r*191)
	}
	return max(step, step*time.Duration(r*201))
}

// offer sends a re-INVITE; done is told once.
func (c *Call) offer(sdp []byte, done func(answer []byte, err error)) {
	req := c.d.request("INVITE")
	req.headers = append(c.u.sessionHeaders(), c.session.asked()...)
	req.sdp = sdp
	c.own = true
	finish := func(answer []byte, err error) {
		if c.own {
			c.own, c.ownDone = false, nil
			done(answer, err)
			c.free()
		}
	}
	c.ownDone = func(err error) { finish(nil, err) }
	var ex *exchange
	ex, err := c.u.do(req, func(m *message, err error) {
		switch {
		case errors.Is(err, ErrFlowLost):
			finish(nil, ErrFlowLost)
		case err != nil:
			finish(nil, err)
			c.gone("the PBX no longer answers")
		case m.Code < 200:
		case m.Code < 300:
			c.refreshTarget(m)
			c.u.acknowledge(ex.tx, &c.d, m)
			if c.state == over || !c.own {
				return
			}
			c.sdp = sdp
			c.setSession(sessionFromAnswer(m))
			if m.sdp() == nil {
				finish(nil, errors.New("the PBX accepted without a session description"))
				return
			}
			finish(m.sdp(), nil)
		case m.Code == 491:
			finish(nil, ErrGlare)
		case m.Code == 408 || m.Code == 481:
			finish(nil, refusal(m))
			c.gone("the PBX no longer knows the call")
		default:
			finish(nil, refusal(m))
		}
	})
	if err != nil {
		finish(nil, err)
	}
}
