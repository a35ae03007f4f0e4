package story

import (
	"context"
	"errors"
	"fmt"
	"time"

	"deskset/audio/pcm"
	"deskset/cmd/desksim/phone"
	"deskset/cmd/desksim/rig"
	"deskset/firmware/console"
	"deskset/firmware/panel"
)

var outbound = []Story{
	{Name: "dial-echo", What: "dial 600: the agent hears itself", Plot: dialEcho},
	{Name: "dial-colleague", What: "dial a colleague: both hear each other", Plot: dialColleague},
	{Name: "dial-early", What: "dial 602: early media is heard before any answer", Plot: dialEarly},
	{Name: "dial-no-answer", What: "dial 603: given up after six ring-backs", Plot: dialNoAnswer},
	{Name: "dial-busy", What: "dial 604: busy", Plot: dialBusy},
	{Name: "dial-refused", What: "an unlisted target is refused and reaches no PBX", Plot: dialRefused},
}

// dial by the page and wait until it is on its way.
func dial(ctx context.Context, t *Teller, target string) error {
	return t.Step("dial "+target, func() error {
		if err := t.do(ctx, console.Action{Kind: console.Dial, Target: target}); err != nil {
			return err
		}
		_, err := t.Rig.Seat.Await(ctx, "dialling", 5*time.Second, func(v panel.View) bool { return len(v.Calls) == 1 })
		return err
	})
}

// agentHangsUp with as many presses as it takes.
func agentHangsUp(ctx context.Context, t *Teller, want panel.State) error {
	return t.Step("the agent hangs up", func() error {
		err := t.do(ctx, console.Action{Kind: console.Hangup})
		if isRefusal(err, console.CodeConfirmHangup) {
			err = t.do(ctx, console.Action{Kind: console.Hangup})
		}
		if err != nil {
			return err
		}
		return over(ctx, t, want, 5*time.Second)
	})
}

// isRefusal looks for the seat's refusal, by the page or the socket.
func isRefusal(err error, code string) bool {
	var e *console.Error
	return errors.As(err, &e) && e.Code == code
}

func dialEcho(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := dial(ctx, t, rig.Echo); err != nil {
		return err
	}
	agent := agentPerson(t)
	err := t.Step("connected: the agent hears itself", func() error {
		if err := t.Rig.Seat.AwaitState(ctx, panel.Talking, 5*time.Second); err != nil {
			return err
		}
		up := time.Now()
		stop, err := agent.speak(ctx)
		if err != nil {
			return err
		}
		defer stop()
		at, err := agent.hears(ctx, agent.voice, up, 5*time.Second)
		t.Note("up after %d ms, heard %d ms later", up.Sub(began).Milliseconds(), at.Sub(up).Milliseconds())
		return err
	})
	if err != nil {
		return err
	}
	if err := agentHangsUp(ctx, t, panel.WrapUp); err != nil {
		return err
	}
	id, err := Delivered(ctx, t)
	if err != nil {
		return err
	}
	return t.Step("the record says who dialled whom", func() error {
		c, err := recordOf(ctx, t, id)
		if err == nil && (c.Direction != "out" || c.From != rig.SeatUser || c.To != rig.Echo || c.AnswerTime == nil) {
			err = fmt.Errorf("%s from %q to %q, answered %v", c.Direction, c.From, c.To, c.AnswerTime)
		}
		return err
	})
}

func dialColleague(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	p, err := t.Colleague(ctx)
	if err != nil {
		return err
	}
	p.SetPolicy(phone.Policy{})
	if err := dial(ctx, t, rig.Colleague); err != nil {
		return err
	}
	return t.Step("answered, both hear each other, colleague hangs up", func() error {
		other, err := incoming(ctx, p, 5*time.Second)
		if err != nil {
			return err
		}
		if err := other.Wait(ctx); err != nil {
			return err
		}
		if err := t.Rig.Seat.AwaitState(ctx, panel.Talking, 5*time.Second); err != nil {
			return err
		}
		if err := converse(ctx, t, agentPerson(t), colleague(other)); err != nil {
			return err
		}
		other.Hangup()
		return over(ctx, t, panel.WrapUp, 5*time.Second)
	})
}

func dialEarly(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := dial(ctx, t, "602"); err != nil {
		return err
	}
	err := t.Step("its ringing is heard, nobody has answered", func() error {
		ctx, stop := context.WithTimeout(ctx, 8*time.Second)
		defer stop()
		agent := agentPerson(t)
		tick := time.NewTicker(50 * time.Millisecond) // sound tells nobody that it came
		defer tick.Stop()
		for pcm.RMS(agent.between(began, time.Now())) < -50 {
			select {
			case <-ctx.Done():
				return fmt.Errorf("silence")
			case <-tick.C:
			}
		}
		t.Note("after %d ms", time.Since(began).Milliseconds())
		v, err := t.Rig.Seat.Control.View(ctx)
		if err == nil && v.State != panel.Dialling {
			err = fmt.Errorf("the seat is %s", v.State)
		}
		return err
	})
	if err != nil {
		return err
	}
	return agentHangsUp(ctx, t, panel.Ready)
}

func dialNoAnswer(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	if err := dial(ctx, t, "603"); err != nil {
		return err
	}
	began := time.Now()
	return t.Step("given up after six rings, ready", func() error {
		v, err := t.Rig.Seat.Await(ctx, "the end", 35*time.Second, func(v panel.View) bool { return len(v.Calls) == 0 })
		if err != nil {
			return err
		}
		d := time.Since(began)
		t.Note("%.1f s", d.Seconds())
		if d < 29*time.Second || d > 32*time.Second {
			return fmt.Errorf("after %v", d)
		}
		if v.State != panel.Ready || v.Notice != "no-answer" {
			return fmt.Errorf("the seat is %s and says %q", v.State, v.Notice)
		}
		return nil
	})
}

func dialBusy(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	return t.Step("dial 604: told that it failed, ready", func() error {
		if err := t.do(ctx, console.Action{Kind: console.Dial, Target: "604"}); err != nil {
			return err
		}
		_, err := t.Rig.Seat.Await(ctx, "the refusal", 5*time.Second, func(v panel.View) bool {
			return len(v.Calls) == 0 && v.State == panel.Ready && v.Notice == "call-failed"
		})
		return err
	})
}

func dialRefused(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	p, err := t.Rig.Phone(t.end, rig.Customer, true) // 201: it is there, and not listed
	if err != nil {
		return err
	}
	return t.Step("dial 201: refused, nobody is called", func() error {
		select {
		case <-p.Registered():
		case <-time.After(10 * time.Second):
			return fmt.Errorf("phone 201 does not register")
		}
		err := t.do(ctx, console.Action{Kind: console.Dial, Target: rig.Customer})
		if !isRefusal(err, console.CodeDialRefused) {
			return fmt.Errorf("the seat says %v", err)
		}
		select {
		case <-p.Incoming():
			return fmt.Errorf("phone 201 was called")
		case <-time.After(2 * time.Second):
		}
		v, err := t.Rig.Seat.Control.View(ctx)
		if err == nil && len(v.Calls) != 0 {
			err = fmt.Errorf("the seat has a call")
		}
		return err
	})
}
