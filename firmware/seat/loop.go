package seat

import (
	"context"
	"time"

	"deskset/firmware/agent"
	"deskset/firmware/keypad"
	"deskset/firmware/panel"
	"deskset/firmware/record"
)

const (
	healthEvery  = time.Second      // how often the recording of a call is looked at
	closeTimeout = 10 * time.Second // for recordings at shutdown
)

func (s *Seat) loop(ctx context.Context, fail <-chan error) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	stored, unsubscribe := s.cfg.Vault.Changed()
	defer unsubscribe()
	for {
		s.render()
		timer.Reset(s.wait())
		select {
		case <-ctx.Done():
			return nil
		case err := <-fail:
			return err
		case f := <-s.inbox:
			f()
		case e, ok := <-s.uaEvents:
			if !ok {
				s.uaEvents = nil
				continue
			}
			s.sip(e)
		case e, ok := <-s.cfg.Headsets:
			if !ok {
				s.cfg.Headsets = nil
				continue
			}
			s.headset(e)
		case <-stored: // a recording was sealed, receipted or deleted
			s.show()
		case <-timer.C:
			s.tick()
		}
	}
}

// wait is how long nothing happens by time alone.
func (s *Seat) wait() time.Duration {
	now := s.now()
	next := now + time.Hour
	for _, at := range []time.Duration{s.state.Deadline(s.rules), s.keys.Deadline(), s.lamps.deadline(now)} {
		if at != 0 {
			next = min(next, at)
		}
	}
	if len(s.lines) > 0 {
		next = min(next, now+healthEvery)
	}
	return max(next-now, 0)
}

func (s *Seat) tick() {
	now := s.now()
	for _, e := range s.keys.Tick(now) {
		s.key(e)
	}
	s.step(agent.Event{Kind: agent.Tick})
	s.lamps.tick(now)
	s.checkRecording()
}

// edge is a physical key.
func (s *Seat) edge(k panel.Key, down bool, at time.Duration) {
	for _, e := range s.keys.Edge(k, down, at) {
		s.key(e)
	}
}

func (s *Seat) key(e keypad.Event) {
	kind, ok := map[keypad.Kind]agent.Kind{
		keypad.Touch: agent.Touch, keypad.Untouch: agent.Untouch, keypad.Press: agent.Press,
		keypad.LongPress: agent.LongPress, keypad.StuckDown: agent.KeyStuck, keypad.StuckFree: agent.KeyFree,
	}[e.Kind]
	switch e.Kind {
	case keypad.Press:
		s.events.add("key", string(e.Key))
	case keypad.Release: // a short press may confirm a browser
		if f := s.pairing.Load(); f != nil && !e.Long {
			(*f)(e.Key)
		}
	}
	if ok {
		s.step(agent.Event{Kind: kind, Key: e.Key, At: e.At})
	}
}

func (s *Seat) headset(e HeadsetEvent) {
	kind, fact := agent.HeadsetBack, record.HeadsetBack
	if !e.Present {
		kind, fact = agent.HeadsetLost, record.HeadsetLost
	}
	s.events.add("headset", map[bool]string{true: "back", false: "lost: " + e.Reason}[e.Present])
	for _, l := range s.inHand() {
		l.fact(record.Fact{Kind: fact, Text: e.Reason})
	}
	s.step(agent.Event{Kind: kind})
	s.show()
}

// step gives an event to the machine and does what follows from it. Called
// from within an effect, it waits until that step is done.
func (s *Seat) step(e agent.Event) {
	if s.closing {
		return // the seat has let go of everything
	}
	s.queue = append(s.queue, e)
	if len(s.queue) > 1 {
		return
	}
	for len(s.queue) > 0 {
		e := s.queue[0]
		if e.At == 0 {
			e.At = s.now()
		}
		before := s.state.Name()
		var fx []agent.Effect
		s.state, fx = agent.Step(s.state, e, s.rules)
		s.inCall.Store(s.state.InCall())
		if after := s.state.Name(); after != before {
			s.events.add("state", string(after))
		}
		for _, x := range fx {
			s.do(x)
		}
		s.queue = s.queue[1:]
	}
}

// shutdown ends the calls and waits for their recordings.
func (s *Seat) shutdown() {
	s.closing = true
	for _, l := range s.lines {
		if l.call != nil {
			_ = l.call.Hangup() // always nil
		}
		s.release(l, ending{"seat", "shutdown", 0})
	}
	s.lamps.dark()
	if s.uaStop != nil {
		s.uaStop()
	}
	done := make(chan struct{})
	go func() { s.parts.Wait(); close(done) }()
	limit := time.NewTimer(closeTimeout)
	defer limit.Stop()
	for {
		select {
		case <-done:
			return
		case f := <-s.inbox: // what the calls' goroutines still have to say
			f()
		case _, ok := <-s.uaEvents:
			if !ok {
				s.uaEvents = nil
			}
		case <-limit.C:
			s.log.Error("a recording did not close in time; it is recovered at the next start")
			return
		}
	}
}
