package phone

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"deskset/cmd/desksim/smallpbx/rtplite"
	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/emiago/sipgo/sip"
)

// Who ended a call.
const (
	Local  = "local"
	Remote = "remote"
)

// Event is a step of a call, for a story to read.
type Event struct {
	At     time.Time
	Kind   string // ringing, answered, held, resumed, refer, ended
	Detail string
}

// Call is one call of the phone.
type Call struct {
	p       *Phone
	inbound bool
	number  string
	name    string

	ringing  chan struct{}
	answered chan struct{}
	done     chan struct{}

	media *media

	mu         sync.Mutex
	dialog     *siplite.Dialog
	in         *siplite.Incoming // of an incoming call that is not answered yet
	giveUp     context.CancelFunc
	state      callState
	answeredAt time.Time
	endedBy    string
	code       int
	reason     string
	events     []Event
	refer      []int
	referWait  chan struct{}
	origin     rtplite.Origin
	dir        rtplite.Direction // what we last wanted
}

type callState int

const (
	stateRinging callState = iota
	stateUp
	stateEnded
)

func (p *Phone) newCall(inbound bool, number, name string) (*Call, error) {
	m, err := newMedia(p)
	if err != nil {
		return nil, err
	}
	c := &Call{p: p, inbound: inbound, number: number, name: name, media: m,
		ringing: make(chan struct{}), answered: make(chan struct{}), done: make(chan struct{}),
		dir: rtplite.SendRecv, referWait: make(chan struct{})}
	p.mu.Lock()
	p.calls[c] = struct{}{}
	p.mu.Unlock()
	return c, nil
}

// ID is the call's SIP Call-ID, "" for a moment at the very start.
func (c *Call) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dialog == nil {
		return ""
	}
	return c.dialog.CallID()
}

// Inbound tells whether the other side called.
func (c *Call) Inbound() bool { return c.inbound }

// Number and Name are the other party as its From (or our target) says.
func (c *Call) Number() string { return c.number }
func (c *Call) Name() string   { return c.name }

// Ringing is closed when the far phone rings (an outgoing call), or ours.
func (c *Call) Ringing() <-chan struct{} { return c.ringing }

// Answered is closed when the call is up.
func (c *Call) Answered() <-chan struct{} { return c.answered }

// AnsweredAt is when the 200 came or went; zero before.
func (c *Call) AnsweredAt() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answeredAt
}

// Done is closed when the call has ended or failed.
func (c *Call) Done() <-chan struct{} { return c.done }

// EndedBy is Local or Remote after Done, "" before.
func (c *Call) EndedBy() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endedBy
}

// Code is the final response's status when the call failed (0 without one);
// Reason says why in words.
func (c *Call) Code() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code
}

// Reason says why the call ended.
func (c *Call) Reason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// Events is what happened so far.
func (c *Call) Events() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

func (c *Call) note(kind, detail string) { // with c.mu
	c.events = append(c.events, Event{time.Now(), kind, detail})
}

// Wait returns nil when the call is up, an error when it ended before or ctx did.
func (c *Call) Wait(ctx context.Context) error {
	select {
	case <-c.answered:
		return nil
	case <-c.done:
		select {
		case <-c.answered:
			return nil
		default:
		}
		return fmt.Errorf("call to %s: %d %s", c.number, c.Code(), c.Reason())
	case <-ctx.Done():
		return fmt.Errorf("call to %s: %w", c.number, ctx.Err())
	}
}

// Call starts a call to an extension of the PBX ("700") or to a SIP URI, and
// returns at once. When ctx ends while it rings, the call is cancelled; later
// ctx has no effect.
func (p *Phone) Call(ctx context.Context, target string) (*Call, error) {
	return p.call(ctx, target)
}

func (p *Phone) call(ctx context.Context, target string, headers ...sip.Header) (*Call, error) {
	uri := siplite.UserURI(target, p.cfg.PBX)
	if strings.HasPrefix(target, "sip:") {
		if err := sip.ParseUri(target, &uri); err != nil {
			return nil, fmt.Errorf("call: %w", err)
		}
	}
	c, err := p.newCall(false, uri.User, "")
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.dialog = p.ep.NewDialog(c.dialogConfig(p.pbx), p.aor(), siplite.Party{URI: uri}, uri)
	inviteCtx, giveUp := context.WithCancel(ctx)
	c.giveUp = giveUp
	c.mu.Unlock()
	err = p.start(func(run context.Context) {
		stop := context.AfterFunc(run, giveUp)
		defer stop()
		c.invite(inviteCtx, headers)
	})
	if err != nil {
		giveUp()
		c.finish(Local, 0, err.Error())
		return nil, err
	}
	return c, nil
}

func (c *Call) dialogConfig(flow siplite.Flow) siplite.DialogConfig {
	return siplite.DialogConfig{
		Flow:    func(context.Context) (siplite.Flow, error) { return flow, nil },
		Contact: c.p.contact, Handle: c.request,
		User: c.p.cfg.User, Password: c.p.cfg.Password,
	}
}

// invite drives an outgoing call's INVITE.
func (c *Call) invite(ctx context.Context, headers []sip.Header) {
	offer := rtplite.Offer(c.media.addr(), c.p.codecs, rtplite.SendRecv).SDP(&c.origin)
	headers = append(headers, sip.NewHeader("Content-Type", "application/sdp"), allow(),
		sip.NewHeader("Supported", "replaces"))
	res, err := c.dialog.Request(ctx, sip.INVITE, offer, func(res *sip.Response) {
		if res.StatusCode > 100 {
			c.rang(res.StatusCode)
		}
		if len(res.Body()) > 0 {
			c.remoteSDP(res.Body()) // early media
		}
	}, headers...)
	if err != nil {
		c.finish(Local, 0, err.Error())
		return
	}
	if !res.IsSuccess() {
		by := Remote
		if ctx.Err() != nil {
			by = Local
		}
		c.finish(by, res.StatusCode, res.Reason)
		return
	}
	run := context.WithoutCancel(ctx)
	if err := c.dialog.Ack(run, res, nil); err != nil {
		c.finish(Local, 0, err.Error())
		return
	}
	if err := c.remoteSDP(res.Body()); err != nil || ctx.Err() != nil {
		c.up() // crossed: the far end answered as we gave up
		c.Hangup()
		return
	}
	c.up()
}

func (c *Call) rang(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.ringing:
	default:
		c.note("ringing", fmt.Sprint(code))
		close(c.ringing)
	}
}

func (c *Call) up() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateRinging {
		return
	}
	c.state = stateUp
	c.answeredAt = time.Now()
	c.note("answered", "")
	close(c.answered)
}

// remoteSDP takes the answer to our offer.
func (c *Call) remoteSDP(body []byte) error {
	d, err := rtplite.ParseSDP(body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	dir := c.dir
	c.mu.Unlock()
	return c.media.use(d, dir)
}

// Hangup ends the call in the way that fits its state: BYE, CANCEL or 603.
func (c *Call) Hangup() {
	c.mu.Lock()
	state, in, giveUp := c.state, c.in, c.giveUp
	c.mu.Unlock()
	switch {
	case state == stateUp:
		if c.finish(Local, 0, "hung up") {
			c.bye()
		}
	case state == stateRinging && in != nil:
		in.Respond(603, "", nil)
		c.finish(Local, 603, "rejected")
	case state == stateRinging && giveUp != nil:
		giveUp()
	}
}

// bye says goodbye; the dialog stays until it is answered, for a BYE that crosses.
func (c *Call) bye() {
	started := func(ctx context.Context) {
		defer c.dialog.Close()
		ctx, cancel := context.WithTimeout(ctx, siplite.Timeout)
		defer cancel()
		if _, err := c.dialog.Request(ctx, sip.BYE, nil, nil); err != nil {
			c.p.cfg.Log.Debug("BYE not answered", "err", err)
		}
	}
	if c.p.start(started) == nil {
		return
	}
	// Run is ending: it waits for what is under way.
	c.p.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		started(ctx)
	})
}

// finish ends the call once; false when it had ended before.
func (c *Call) finish(by string, code int, reason string) bool {
	c.mu.Lock()
	if c.state == stateEnded {
		c.mu.Unlock()
		return false
	}
	wasUp := c.state == stateUp
	c.state = stateEnded
	c.endedBy, c.code, c.reason = by, code, reason
	c.note("ended", by)
	d := c.dialog
	c.mu.Unlock()
	c.p.mu.Lock()
	delete(c.p.calls, c)
	c.p.mu.Unlock()
	c.media.close()
	if d != nil && !(wasUp && by == Local) {
		d.Close()
	}
	close(c.done)
	return true
}
