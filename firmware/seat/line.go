package seat

import (
	"context"
	"fmt"
	"time"

	"deskset/firmware/agent"
	"deskset/firmware/media"
	"deskset/firmware/sipua"
)

// connectTimeout is how long a call may take from answer to keys agreed.
const connectTimeout = 10 * time.Second

// reinviteTimeout bounds hold, resume and refresh, glare included.
const reinviteTimeout = 10 * time.Second

// line is one call of this seat: its dialog, its media leg and its recording.
// Fields are the loop's; what takes time runs as a job on the line's own
// goroutine, one after the other.
type line struct {
	id          string
	call        *sipua.Call
	leg         *media.Leg
	rec         *callRecording
	noRecord    string // why there is none
	inbound     bool
	peer        string
	name        string
	queue       string
	target      string // of an outbound call
	consult     bool   // the second call, to a colleague
	offer       []byte
	early       bool // media is set up before the answer
	up          bool // answered
	released    bool
	digits      int
	began       time.Time
	answered    time.Time
	transferred string // how, once asked for
	transferTo  string

	jobs chan func(context.Context)
	stop context.CancelFunc
}

// open makes a line and its goroutine.
func (s *Seat) open(call *sipua.Call, inbound bool) *line {
	s.lineSeq++
	ctx, stop := context.WithCancel(context.Background())
	l := &line{
		id: fmt.Sprintf("L%d", s.lineSeq), call: call, inbound: inbound, began: s.cfg.Now(),
		jobs: make(chan func(context.Context), 32), stop: stop,
	}
	s.lines[l.id] = l
	s.parts.Go(func() {
		for f := range l.jobs {
			f(ctx)
		}
	})
	return l
}

// job runs f on the line's goroutine; the loop never waits for it. More than
// 32 waiting jobs are a fault of ours, and the newest is refused.
func (s *Seat) job(l *line, f func(context.Context)) {
	select {
	case l.jobs <- f:
	default:
		s.log.Error("seat: call is stuck", "call", l.id)
	}
}

// newLeg makes a line's media leg.
func (s *Seat) newLeg(l *line) error {
	addr, err := s.mediaAddr()
	if err != nil {
		return err
	}
	l.leg, err = s.cfg.NewLeg(media.Config{Local: addr, Identity: s.identity, Now: s.cfg.Now, Log: s.log})
	return err
}

// answer takes an inbound call.
func (s *Seat) answer(l *line) {
	if l == nil || l.leg == nil {
		return
	}
	leg, call, offer := l.leg, l.call, l.offer
	s.job(l, func(ctx context.Context) {
		sdp, err := leg.Answer(ctx, offer)
		if err != nil {
			s.log.Warn("seat: offer refused", "call", l.id, "err", err)
			_ = call.Reject(488)
			s.post(func() { s.over(l, "seat", "offer not acceptable", 488) })
			return
		}
		if err := call.Answer(sdp); err != nil {
			s.post(func() { s.over(l, "seat", err.Error(), 500) })
			return
		}
		s.connect(ctx, l, leg)
	})
}

// connect waits until sound may flow and tells the loop.
func (s *Seat) connect(ctx context.Context, l *line, leg *media.Leg) {
	ctx, stop := context.WithTimeout(ctx, connectTimeout)
	defer stop()
	select {
	case <-leg.Connected():
		s.post(func() { s.connected(l) })
	case <-leg.Failed():
		s.post(func() { s.lost(l, fmt.Sprint(leg.Err())) })
	case <-ctx.Done():
		s.post(func() { s.lost(l, "media did not connect") })
	}
}

// connected puts the line on the headset.
func (s *Seat) connected(l *line) {
	if l.released || l.up || (!l.inbound && l.call != nil && l.answered.IsZero()) {
		return
	}
	l.up = true
	if l.answered.IsZero() {
		l.answered = s.cfg.Now()
	}
	s.startVoice(l)
	s.pump.SetLeg(l.leg, l.tap())
	kind := agent.CallUp
	if l.consult {
		kind = agent.ConsultUp
	}
	s.events.add("call", "answered")
	s.step(agent.Event{Kind: kind, Call: l.id})
	if !l.consult && l.rec != nil {
		s.step(agent.Event{Kind: agent.RecOn, Call: l.id})
	}
	s.show()
}

// lost ends a line whose media never came or went for good.
func (s *Seat) lost(l *line, why string) {
	if l.released {
		return
	}
	s.log.Warn("seat: media lost", "call", l.id, "why", why)
	l.hangUp()
	s.over(l, "seat", why, 0)
}

func (l *line) hangUp() {
	if l.call != nil {
		_ = l.call.Hangup()
	}
}

// reject refuses a ringing call.
func (s *Seat) reject(l *line, code int) {
	if l == nil {
		return
	}
	if code < 400 {
		code = 486
	}
	_ = l.call.Reject(code)
	by := "agent"
	if code == 480 {
		by = "timer"
	}
	s.over(l, by, fmt.Sprintf("not answered (%d)", code), code)
}

// over is the end of a line, from either side; the machine hears of it.
func (s *Seat) over(l *line, by, why string, code int) {
	if l.released {
		return
	}
	if by == "" {
		by = "customer"
		if s.state.ByAgent && !l.consult {
			by = "agent"
		}
	}
	s.release(l, by, why)
	kind := agent.CallEnded
	if l.consult {
		kind = agent.ConsultEnded
	}
	s.events.add("call", "ended by "+by)
	s.step(agent.Event{Kind: kind, Call: l.id, Code: code})
	s.show()
}

// release closes what a line holds; its recording is sealed behind the
// caller's back.
func (s *Seat) release(l *line, by, why string) {
	if l.released {
		return
	}
	l.released = true
	l.stop()
	delete(s.lines, l.id)
	s.ringBack(false)
	if l.leg != nil && s.pump.Leg() == l.leg {
		s.pump.SetLeg(nil, nil)
	}
	s.closeRecording(l, by, why)
	close(l.jobs)
}
