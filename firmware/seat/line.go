package seat

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"

	"deskset/audio/codec"
	"deskset/firmware/agent"
	"deskset/firmware/fleet"
	"deskset/firmware/media"
	"deskset/firmware/record"
	"deskset/firmware/sipua"
)

const (
	// connectTimeout is how long a call may take from offer and answer to keys.
	connectTimeout = 10 * time.Second
	// reinviteTimeout bounds hold, resume and refresh, glare included.
	reinviteTimeout = 10 * time.Second
	// maxJobs may wait on one line; a PBX cannot make more, as each of its
	// offers waits for our answer.
	maxJobs = 32
)

// line is one call of this seat: its dialog, its media leg and its recording.
// Fields are the loop's; what takes time runs as a job on the line's own
// goroutine, one after the other, and comes back by post. That goroutine ends
// with the line's last job: closing the leg and sealing the recording.
type line struct {
	id      string
	call    *sipua.Call // nil before our INVITE is out
	leg     *media.Leg  // nil before it is made
	rec     *callRecording
	inbound bool
	consult bool // the second call, to a colleague
	peer    string
	name    string
	queue   string
	offer   []byte // the PBX's, of an inbound call

	rang     bool   // the agent was offered it
	answer   []byte // the PBX's, of an outbound call; of its early media at first
	farRings bool   // 180, without media of its own
	accepted bool   // by SIP
	flowing  bool   // keys are agreed
	up       bool   // both
	held     bool   // the PBX has agreed to the hold
	silent   bool   // nothing comes from the far end though it should
	released bool
	codec    codec.Codec
	digits   int
	began    time.Duration
	answered time.Duration // 0: never

	ending *ending // the seat has asked for the end

	transferred string // how, once asked for
	transferTo  string

	jobs chan func(context.Context)
	last func() // set before jobs is closed
	stop context.CancelFunc
	made *media.Leg // the leg as the line's goroutine has it
}

// ending says who ended a call, and why.
type ending struct {
	by, why string
	code    int // of a failure, 0: in order
}

// open makes a line and its goroutine.
func (s *Seat) open(inbound bool) *line {
	s.lineSeq++
	ctx, stop := context.WithCancel(context.Background())
	l := &line{
		id: fmt.Sprintf("L%d", s.lineSeq), inbound: inbound, began: s.now(),
		jobs: make(chan func(context.Context), maxJobs), stop: stop,
	}
	s.lines[l.id] = l
	s.parts.Go(func() {
		for f := range l.jobs {
			f(ctx)
		}
		l.last()
	})
	return l
}

// job runs f on the line's goroutine; the loop never waits for it. Where it
// cannot, nothing happens: the PBX gives up what is not answered.
func (s *Seat) job(l *line, f func(context.Context)) {
	if l.released {
		return
	}
	select {
	case l.jobs <- f:
	default:
		s.log.Error("call is stuck", "call", l.id)
	}
}

// within posts f for a line that may be over by then.
func (s *Seat) within(l *line, f func()) {
	s.post(func() {
		if !l.released {
			f()
			s.show()
		}
	})
}

// makeLeg makes the line's media leg, on the line's goroutine; then follows on
// the loop, with the leg in place.
func (s *Seat) makeLeg(l *line, then func(ctx context.Context, leg *media.Leg) (func(), error)) {
	cfg := media.Config{Local: s.cfg.MediaAddr, Identity: s.identity, Now: s.cfg.Now, Connect: connectTimeout, Log: s.log}
	pbx := s.account
	s.job(l, func(ctx context.Context) {
		done, err := func() (func(), error) {
			if !cfg.Local.IsValid() {
				var err error
				if cfg.Local, err = mediaAddr(ctx, pbx); err != nil {
					return nil, err
				}
			}
			leg, err := s.cfg.NewLeg(cfg)
			if err != nil {
				return nil, err
			}
			l.made = leg
			return then(ctx, leg)
		}()
		leg := l.made
		s.within(l, func() {
			if err != nil {
				s.log.Error("no media for a call", "call", l.id, "err", err)
				s.end(l, ending{"seat", "no media: " + err.Error(), 500})
				return
			}
			l.leg = leg
			s.watchLeg(l)
			done()
		})
	})
}

// watchLeg brings what happens to the leg to the loop, as long as the line is.
func (s *Seat) watchLeg(l *line) {
	ctx, stop := context.WithCancel(context.Background())
	end := l.stop
	l.stop = func() { stop(); end() }
	leg := l.leg
	s.parts.Go(func() {
		for {
			select {
			case e := <-leg.Events():
				s.within(l, func() { s.legEvent(l, e) })
			case <-ctx.Done():
				return
			}
		}
	})
}

func (s *Seat) legEvent(l *line, e media.Event) {
	switch e.Kind {
	case media.LegConnected:
		l.flowing = true
		s.talk(l)
	case media.LegFailed:
		s.log.Warn("media lost", "call", l.id, "err", e.Err)
		s.events.add("media", "lost for good")
		s.end(l, ending{"seat", "media lost: " + e.Err.Error(), 503})
	case media.LegDisconnected, media.LegSilent, media.LegReconnected, media.LegHeard:
		silent := e.Kind == media.LegDisconnected || e.Kind == media.LegSilent
		if silent != l.silent {
			l.silent = silent
			s.events.add("media", e.Kind.String())
		}
	}
}

// accept takes an inbound call.
func (s *Seat) accept(l *line) {
	if l == nil {
		return
	}
	s.job(l, func(ctx context.Context) {
		if l.made == nil || ctx.Err() != nil {
			return // what is wrong was told by makeLeg
		}
		sdp, err := l.made.Answer(ctx, l.offer)
		s.within(l, func() {
			if err != nil {
				s.log.Warn("offer refused", "call", l.id, "err", err)
				s.end(l, ending{"seat", "offer not acceptable", 488})
				return
			}
			if err := l.call.Answer(sdp); err != nil {
				return // it is over; the PBX's event says how
			}
			l.accepted = true
			s.talk(l)
		})
	})
}

// talk puts the line on the headset once it is answered and sound may flow.
func (s *Seat) talk(l *line) {
	switch {
	case l.up || !l.flowing || l.ending != nil:
		return
	case !l.accepted: // early media
		s.pump.SetLeg(l.leg, nil)
		s.tones()
		return
	}
	l.up, l.answered = true, s.now()
	l.fact(record.Fact{Kind: record.Answered})
	s.noteCodec(l)
	s.pump.SetLeg(l.leg, l.tap())
	s.events.add("call", "answered")
	if l.consult {
		s.step(agent.Event{Kind: agent.ConsultUp, Call: l.id})
		return
	}
	s.step(agent.Event{Kind: agent.CallUp, Call: l.id})
	switch {
	case l.rec == nil: // none is wanted
	case l.rec.store != nil:
		s.step(agent.Event{Kind: agent.RecOn, Call: l.id})
	default:
		s.step(agent.Event{Kind: agent.RecFailed, Call: l.id})
	}
}

func (s *Seat) noteCodec(l *line) {
	if c := l.leg.Codec(); c != l.codec {
		l.codec = c
		l.fact(record.Fact{Kind: record.Codec, Text: c.Name()})
	}
}

// end asks for the end of a line; the first to ask is noted. The PBX's event
// that it is over closes it: only that one knows who was first.
func (s *Seat) end(l *line, why ending) {
	if l == nil || l.released {
		return
	}
	if l.ending == nil {
		l.ending = &why
	}
	switch {
	case l.call == nil:
		s.over(l, *l.ending)
	case why.code < 400 || l.call.Reject(why.code) != nil:
		_ = l.call.Hangup() // always nil
	}
}

// over is the end of a line; the machine hears of it.
func (s *Seat) over(l *line, why ending) {
	if l.released {
		return
	}
	if l.transferred != "" && s.state.Phase == agent.Transferring && !l.consult {
		why.why += " (during a transfer)"
	}
	s.release(l, why)
	kind := agent.CallEnded
	if l.consult {
		kind = agent.ConsultEnded
	}
	s.events.add("call", "ended by "+why.by)
	s.step(agent.Event{Kind: kind, Call: l.id, Code: why.code})
	s.reregister()
	s.show()
}

// release lets go of a line; its recording is sealed and its leg closed behind
// the caller's back.
func (s *Seat) release(l *line, why ending) {
	l.released = true
	delete(s.lines, l.id)
	if l.leg != nil && s.pump.Leg() == l.leg {
		s.pump.SetLeg(nil, nil)
	}
	s.remember(l)
	l.last = func() { s.close(l, why) }
	l.stop()
	close(l.jobs)
}

// mediaAddr is the seat's own address on the way to the PBX. Nothing is sent
// to find it but a name's look-up.
func mediaAddr(ctx context.Context, pbx fleet.PBX) (netip.Addr, error) {
	u, err := url.Parse(pbx.URL)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find media address: %w", err)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", net.JoinHostPort(u.Hostname(), "9"))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find media address: %w", err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}
