package smallpbx

import (
	"context"
	"fmt"

	"deskset/cmd/desksim/smallpbx/rtplite"

	"github.com/emiago/sipgo/sip"
)

// Registered tells whether a user has a live registration.
func (p *PBX) Registered(user string) bool {
	c, err := p.current()
	return err == nil && c.find(user, "") != nil
}

// WaitRegistered returns when the user is registered.
func (p *PBX) WaitRegistered(ctx context.Context, user string) error {
	return p.waitFor(ctx, "registration of "+user, func() bool { return p.Registered(user) })
}

// CutWebSocket breaks the user's WebSocket connections as a network does: reset,
// without a close frame. It returns how many there were.
func (p *PBX) CutWebSocket(user string) int {
	n := 0
	for _, f := range p.flowsOf(user) {
		f.cut()
		n++
	}
	p.bump()
	return n
}

// flowsOf are the WebSockets that the user registered over.
func (p *PBX) flowsOf(user string) []*wsFlow {
	c, err := p.current()
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*wsFlow
	for _, b := range c.bindings {
		if f, ok := b.flow.(*wsFlow); ok && b.user == user && f.alive() {
			out = append(out, f)
		}
	}
	return out
}

// LegInfo is one leg of a call.
type LegInfo struct {
	User   string // extension, or the caller's number
	Name   string
	CallID string // SIP Call-ID of this leg
	Peer   string // the user it is bridged to, "" for none
	App    string // "600", "queue" ...: what it is in when it has no peer
	Codec  string
	Up     bool
	Caller bool              // it called us
	Hold   rtplite.Direction // what it last asked for
}

// Calls are the legs of all calls.
func (p *PBX) Calls() []LegInfo {
	c, err := p.current()
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []LegInfo
	for l := range c.legs {
		if l.dialog == nil {
			continue
		}
		i := LegInfo{User: l.user, Name: l.name, CallID: l.dialog.CallID(), App: l.app, Codec: l.codecName(),
			Up: l.up, Caller: l.caller, Hold: l.hold}
		if l.peer != nil {
			i.Peer = l.peer.user
		}
		out = append(out, i)
	}
	return out
}

// WaitCalls returns when cond holds for the calls; it is asked again whenever
// they change.
func (p *PBX) WaitCalls(ctx context.Context, what string, cond func([]LegInfo) bool) error {
	return p.waitFor(ctx, what, func() bool { return cond(p.Calls()) })
}

// HangupAll ends all calls from the PBX's side.
func (p *PBX) HangupAll() {
	if c, err := p.current(); err == nil {
		c.hangupAll()
	}
}

func (c *core) hangupAll() {
	c.mu.Lock()
	var legs []*leg
	for l := range c.legs {
		legs = append(legs, l)
	}
	c.mu.Unlock()
	for _, l := range legs {
		l.hangup("by the PBX")
	}
}

// Hangup ends the call that has a leg with this SIP Call-ID, both sides.
func (p *PBX) Hangup(callID string) error {
	l, err := p.leg(func(l *leg) bool { return l.dialog.CallID() == callID })
	if err != nil {
		return err
	}
	l.hangup("by the PBX")
	return nil
}

// HangupUser ends the user's call.
func (p *PBX) HangupUser(user string) error {
	l, err := p.leg(func(l *leg) bool { return l.user == user })
	if err != nil {
		return err
	}
	l.hangup("by the PBX")
	return nil
}

func (p *PBX) leg(match func(*leg) bool) (*leg, error) {
	c, err := p.current()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.legs {
		if l.dialog != nil && match(l) {
			return l, nil
		}
	}
	return nil, fmt.Errorf("no such call")
}

// Impair makes the network from the PBX to the user worse, in its present call.
func (p *PBX) Impair(user string, i rtplite.Impairment) error {
	l, err := p.leg(func(l *leg) bool { return l.user == user && l.up })
	if err != nil {
		return err
	}
	l.out.impair.Set(i)
	return nil
}

// Reoffer sends the user a re-INVITE with the present description, as a PBX does
// for a session timer or a changed line; the status of the answer comes back.
func (p *PBX) Reoffer(ctx context.Context, user string) (code int, err error) {
	l, err := p.leg(func(l *leg) bool { return l.user == user && l.up })
	if err != nil {
		return 0, err
	}
	sdp, err := l.media.offer(ctx)
	if err != nil {
		return 0, err
	}
	res, err := l.dialog.Request(ctx, sip.INVITE, sdp, nil, allow(), sip.NewHeader("Content-Type", "application/sdp"))
	if err != nil {
		return 0, err
	}
	if !res.IsSuccess() {
		return res.StatusCode, nil
	}
	if err := l.dialog.Ack(ctx, res, nil); err != nil {
		return res.StatusCode, err
	}
	if err := l.media.accept(ctx, res.Body()); err != nil {
		return res.StatusCode, err
	}
	l.out.renegotiated()
	a, _ := l.media.agreed()
	l.setHold(a.peer)
	return res.StatusCode, nil
}
