package story

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"deskset/cmd/desksim/rig"
	"deskset/firmware/panel"
	"deskset/firmware/seat"
)

var network = []Story{
	{Name: "wire-cut", What: "the WebSocket breaks in a call: not heard; the PBX's hang-up arrives afterwards", Plot: wireCut},
	{Name: "pbx-killed", What: "the PBX dies in a call and comes back: registered within 5 s, no ghost call", Plot: pbxKilled},
	{Name: "centre-cut", What: "the centre cannot be reached: shown; recordings arrive when it is back", Plot: centreCut},
}

// maxGap of sound that nobody would call a break.
const maxGap = 150 * time.Millisecond

// happened waits for an event of the seat's journal after a moment.
func happened(ctx context.Context, t *Teller, part, text string, since time.Time, limit time.Duration) (at time.Time, err error) {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	found := errors.New("found")
	err = t.Rig.Seat.Control.Events(ctx, 0, true, func(e seat.Event) error {
		if e.Part == part && strings.HasPrefix(e.Text, text) && e.At.After(since) {
			at = e.At
			return found
		}
		return nil
	})
	if errors.Is(err, found) {
		return at, nil
	}
	if err == nil {
		err = fmt.Errorf("%s %q did not happen within %v", part, text, limit)
	}
	return at, err
}

// duet is two people who sing without end.
func duet(ctx context.Context, t *Teller, a, b person) (stop func(), err error) {
	begin := time.Now()
	var stops []func()
	stop = func() {
		for _, f := range stops {
			f()
		}
	}
	for _, p := range []person{a, b} {
		f, err := p.speak(ctx)
		if err != nil {
			stop()
			return nil, err
		}
		stops = append(stops, f)
	}
	for _, p := range [][2]person{{a, b}, {b, a}} {
		if _, err := p[0].hears(ctx, p[1].voice, begin, 5*time.Second); err != nil {
			stop()
			return nil, err
		}
	}
	time.Sleep(time.Second) // they go on
	return stop, nil
}

func wireCut(ctx context.Context, t *Teller) error {
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	agent, cust := agentPerson(t), customer(call)
	var stop func()
	err = t.Step("both talk without end", func() error { stop, err = duet(ctx, t, agent, cust); return err })
	if err != nil {
		return err
	}
	defer stop()
	before, cut := call.Stats(), time.Now()
	err = t.Step("the WebSocket is cut: registered again", func() error {
		t.Rig.Wire.Cut(false)
		at, err := happened(ctx, t, "pbx", "registered", cut, 10*time.Second)
		t.Note("after %d ms", at.Sub(cut).Milliseconds())
		return err
	})
	if err != nil {
		return err
	}
	time.Sleep(time.Second) // they go on talking
	now := time.Now()
	after := call.Stats()
	err = t.Step("nobody heard a break", func() error {
		from, to := cut.Add(-500*time.Millisecond), now.Add(-200*time.Millisecond)
		a, c := cust.voice.pause(agent.between(from, to)), agent.voice.pause(cust.between(from, to))
		came, due := after.Packets-before.Packets, int(now.Sub(cut)/(20*time.Millisecond))
		t.Note("longest gap %d ms at the agent, %d ms at the customer; %d of %d packets", a.Milliseconds(), c.Milliseconds(), came, due)
		if a > maxGap || c > maxGap {
			return fmt.Errorf("gap of %v at the agent, %v at the customer", a, c)
		}
		if came < due-5 {
			return fmt.Errorf("only %d of %d packets came", came, due)
		}
		return nil
	})
	if err != nil {
		return err
	}
	stop()
	return t.Step("the PBX hangs up: the call ends", func() error {
		began := time.Now()
		if err := t.Rig.PBX.HangUpAll(ctx); err != nil {
			return err
		}
		if err := over(ctx, t, panel.WrapUp, 2*time.Second); err != nil {
			return err
		}
		t.Note("after %d ms", time.Since(began).Milliseconds())
		return nil
	})
}

func pbxKilled(ctx context.Context, t *Teller) error {
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	agent := agentPerson(t)
	if err := t.Step("both hear each other", func() error { return converse(ctx, t, agent, customer(call)) }); err != nil {
		return err
	}
	err = t.Step("the PBX is killed: shown", func() error {
		began := time.Now()
		if err := t.Rig.PBX.Kill(); err != nil {
			return err
		}
		v, err := t.Rig.Seat.Await(ctx, "the lost link", 5*time.Second, func(v panel.View) bool { return !v.Links.PBX })
		t.Note("after %d ms: %s", time.Since(began).Milliseconds(), v.Links.PBXErr)
		return err
	})
	if err != nil {
		return err
	}
	call.Hangup()
	time.Sleep(3 * time.Second) // somebody runs to the server room
	err = t.Step("it comes back: registered within 5 s", func() error {
		if err := t.Rig.PBX.Restart(ctx); err != nil {
			return err
		}
		back := time.Now()
		_, err := t.Rig.Seat.Await(ctx, "registration", 5*time.Second, func(v panel.View) bool { return v.Links.PBX })
		t.Note("after %d ms", time.Since(back).Milliseconds())
		return err
	})
	if err != nil {
		return err
	}
	err = t.Step("no ghost of the call is left", func() error {
		began := time.Now()
		_, err := t.Rig.Seat.Await(ctx, "the end of the dead call", 5*time.Second, func(v panel.View) bool { return len(v.Calls) == 0 })
		t.Note("after %d ms", time.Since(began).Milliseconds())
		return err
	})
	if err != nil {
		return err
	}
	if call, err = inCall(ctx, t, rig.SeatUser); err != nil {
		return err
	}
	if err := t.Step("a new call: both hear each other", func() error { return converse(ctx, t, agent, customer(call)) }); err != nil {
		return err
	}
	return customerHangsUp(ctx, t, call)
}

func centreCut(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	defer t.Rig.Net.Cut(false)
	err := t.Step("the centre cannot be reached: shown here and there", func() error {
		t.Rig.Net.Cut(true)
		if _, err := t.Rig.Seat.Await(ctx, "the lost link", 10*time.Second, func(v panel.View) bool { return !v.Links.Centre }); err != nil {
			return err
		}
		return t.Rig.Centre.Shows(ctx, "S-0001", false, 10*time.Second)
	})
	if err != nil {
		return err
	}
	call, err := Answer(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	if err := t.Step("a call all the same", func() error { return converse(ctx, t, agentPerson(t), customer(call)) }); err != nil {
		return err
	}
	if err := customerHangsUp(ctx, t, call); err != nil {
		return err
	}
	err = t.Step("its recording waits, sealed", func() error {
		_, err := t.Rig.Seat.Await(ctx, "a sealed recording", 10*time.Second, func(v panel.View) bool {
			return len(v.Shift) > 0 && v.Shift[0].Recording == "sealed"
		})
		return err
	})
	if err != nil {
		return err
	}
	err = t.Step("the centre is back: shown", func() error {
		began := time.Now()
		t.Rig.Net.Cut(false)
		_, err := t.Rig.Seat.Await(ctx, "the link", 30*time.Second, func(v panel.View) bool { return v.Links.Centre })
		t.Note("after %d ms", time.Since(began).Milliseconds())
		if err != nil {
			return err
		}
		return t.Rig.Centre.Shows(ctx, "S-0001", true, 10*time.Second)
	})
	if err != nil {
		return err
	}
	_, err = Delivered(ctx, t)
	return err
}
