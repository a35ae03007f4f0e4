package story

import (
	"context"
	"fmt"
	"time"

	"deskset/cmd/desksim/phone"
	"deskset/cmd/desksim/rig"
	"deskset/firmware/console"
	"deskset/firmware/panel"
	"deskset/firmware/seat"
)

var inbound = []Story{
	{Name: "call", What: "the main job: a call, hold, a sealed recording, a receipt, the export", Plot: Call},
	{Name: "late-pickup", What: "answered after 12 s of ringing: sound both ways", Plot: latePickup},
	{Name: "reject", What: "the agent refuses a direct call", Plot: reject},
	{Name: "rona", What: "nobody answers: back to the queue, not ready, no second ring", Plot: rona},
	{Name: "dnd", What: "do not disturb: 486, and nothing rings", Plot: dnd},
	{Name: "agent-hangup", What: "hanging up on a customer needs two presses", Plot: agentHangUp},
	{Name: "customer-gives-up", What: "the caller hangs up while it rings", Plot: givesUp},
}

// Ring lets the customer call and waits until the seat rings.
func Ring(ctx context.Context, t *Teller, target string) (call *phone.Call, err error) {
	err = t.Step("customer calls "+target+", it rings", func() error {
		if call, err = t.Rig.Customer.Call(ctx, target); err != nil {
			return err
		}
		_, err = t.Rig.Seat.Await(ctx, "a ringing call", 10*time.Second, func(v panel.View) bool { return v.State == panel.Ringing && len(v.Calls) == 1 })
		return err
	})
	return call, err
}

// inCall is Ready and Answer: where most stories begin.
func inCall(ctx context.Context, t *Teller, target string) (*phone.Call, error) {
	if err := t.Ready(ctx); err != nil {
		return nil, err
	}
	return Answer(ctx, t, target)
}

func latePickup(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	call, err := Ring(ctx, t, rig.SeatUser)
	if err != nil {
		return err
	}
	err = t.Step("12 s later the agent answers", func() error {
		select {
		case <-time.After(12 * time.Second): // somebody is getting coffee
		case <-call.Done():
			return fmt.Errorf("the call ended: %s", call.Reason())
		}
		pressed, err := pressAnswer(ctx, t)
		if err != nil {
			return err
		}
		if err := t.Rig.Seat.AwaitState(ctx, panel.Talking, 10*time.Second); err != nil {
			return err
		}
		t.Note("connected after %d ms", time.Since(pressed).Milliseconds())
		return call.Wait(ctx)
	})
	if err != nil {
		return err
	}
	err = t.Step("both hear each other", func() error { return converse(ctx, t, agentPerson(t), customer(call)) })
	if err != nil {
		return err
	}
	return customerHangsUp(ctx, t, call)
}

func reject(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	call, err := Ring(ctx, t, rig.SeatUser)
	if err != nil {
		return err
	}
	return t.Step("refused: 486, ready again", func() error {
		if err := t.do(ctx, console.Action{Kind: console.Reject}); err != nil {
			return err
		}
		return refusedWith(ctx, t, call, 486, panel.Ready)
	})
}

// refusedWith waits until a phone's call was refused and the seat is free.
func refusedWith(ctx context.Context, t *Teller, call *phone.Call, code int, state panel.State) error {
	if err := ended(ctx, call, 5*time.Second); err != nil {
		return err
	}
	if call.Code() != code {
		return fmt.Errorf("the caller was told %d %s, not %d", call.Code(), call.Reason(), code)
	}
	return over(ctx, t, state, 2*time.Second)
}

// rang counts how often the seat began to ring since a moment.
func rang(ctx context.Context, t *Teller, since time.Time) (n int, err error) {
	err = t.Rig.Seat.Control.Events(ctx, 0, false, func(e seat.Event) error {
		if e.Part == "state" && e.Text == string(panel.Ringing) && e.At.After(since) {
			n++
		}
		return nil
	})
	return n, err
}

func rona(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	began := time.Now()
	call, err := Ring(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	defer call.Hangup()
	err = t.Step("three rings later: not ready, beacon amber", func() error {
		v, err := t.Rig.Seat.Await(ctx, "not ready", 20*time.Second, func(v panel.View) bool { return v.State == panel.BusyState })
		if err != nil {
			return err
		}
		if v.Notice != "rona" {
			return fmt.Errorf("the agent is told %q", v.Notice)
		}
		d := time.Since(began)
		t.Note("after %.1f s", d.Seconds())
		if d < 14*time.Second || d > 17*time.Second {
			return fmt.Errorf("it rang for %v", d)
		}
		return t.Rig.Seat.Lamp(ctx, panel.Beacon, panel.Amber)
	})
	if err != nil {
		return err
	}
	err = t.Step("the queue offers it again and again: it does not ring", func() error {
		select {
		case <-time.After(4 * time.Second): // the queue tries each second
		case <-call.Done():
			return fmt.Errorf("the queue dropped the customer: %s", call.Reason())
		}
		n, err := rang(ctx, t, began)
		if err == nil && n != 1 {
			err = fmt.Errorf("it rang %d times", n)
		}
		return err
	})
	if err != nil {
		return err
	}
	err = t.Step("ready again: the customer who waits is offered", func() error {
		if err := t.do(ctx, console.Action{Kind: console.Ready}); err != nil {
			return err
		}
		return t.Rig.Seat.AwaitState(ctx, panel.Ringing, 10*time.Second)
	})
	if err != nil {
		return err
	}
	return t.Step("the customer gives up: ready", func() error {
		call.Hangup()
		return over(ctx, t, panel.Ready, 5*time.Second)
	})
}

func dnd(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	err := t.Step("DND pressed, beacon purple", func() error {
		if err := t.Rig.Seat.Press(panel.DND); err != nil {
			return err
		}
		if err := t.Rig.Seat.AwaitState(ctx, panel.DNDState, 2*time.Second); err != nil {
			return err
		}
		return t.Rig.Seat.Lamp(ctx, panel.Beacon, panel.Purple)
	})
	if err != nil {
		return err
	}
	err = t.Step("a direct call: 486 at once, no ring", func() error {
		began := time.Now()
		call, err := t.Rig.Customer.Call(ctx, rig.SeatUser)
		if err != nil {
			return err
		}
		if err := refusedWith(ctx, t, call, 486, panel.DNDState); err != nil {
			return err
		}
		t.Note("%d ms", time.Since(began).Milliseconds())
		n, err := rang(ctx, t, began)
		if err == nil && n != 0 {
			err = fmt.Errorf("it rang")
		}
		return err
	})
	if err != nil {
		return err
	}
	return t.Step("DND pressed again: ready", func() error {
		if err := t.Rig.Seat.Press(panel.DND); err != nil {
			return err
		}
		return t.Rig.Seat.AwaitState(ctx, panel.Ready, 2*time.Second)
	})
}

func agentHangUp(ctx context.Context, t *Teller) error {
	call, err := inCall(ctx, t, rig.SeatUser)
	if err != nil {
		return err
	}
	err = t.Step("both hear each other", func() error { return converse(ctx, t, agentPerson(t), customer(call)) })
	if err != nil {
		return err
	}
	err = t.Step("one press: asked again, the customer is still there", func() error {
		if _, err := pressAnswer(ctx, t); err != nil {
			return err
		}
		v, err := t.Rig.Seat.Await(ctx, "the question", 2*time.Second, func(v panel.View) bool { return v.Notice == "confirm-hangup" })
		if err != nil {
			return err
		}
		if v.State != panel.Talking {
			return fmt.Errorf("the seat is %s", v.State)
		}
		return quietLine(call, 500*time.Millisecond)
	})
	if err != nil {
		return err
	}
	err = t.Step("second press: the customer is hung up on", func() error {
		pressed, err := pressAnswer(ctx, t)
		if err != nil {
			return err
		}
		if err := ended(ctx, call, 2*time.Second); err != nil {
			return err
		}
		t.Note("%d ms", time.Since(pressed).Milliseconds())
		if call.EndedBy() != phone.Remote {
			return fmt.Errorf("ended by %s", call.EndedBy())
		}
		return over(ctx, t, panel.WrapUp, 2*time.Second)
	})
	if err != nil {
		return err
	}
	id, err := Delivered(ctx, t)
	if err != nil {
		return err
	}
	return t.Step("the record says that the agent hung up", func() error {
		c, err := recordOf(ctx, t, id)
		if err != nil {
			return err
		}
		if c.Released == nil || c.Released.By != "agent" {
			return fmt.Errorf("released: %+v", c.Released)
		}
		return nil
	})
}

// quietLine sees that a call stays up for a while.
func quietLine(call *phone.Call, d time.Duration) error {
	select {
	case <-call.Done():
		return fmt.Errorf("the call ended: %s", call.Reason())
	case <-time.After(d):
		return nil
	}
}

func givesUp(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	call, err := Ring(ctx, t, rig.SeatUser)
	if err != nil {
		return err
	}
	return t.Step("the customer gives up: ready, nothing rings", func() error {
		call.Hangup()
		began := time.Now()
		if err := over(ctx, t, panel.Ready, 2*time.Second); err != nil {
			return err
		}
		t.Note("%d ms", time.Since(began).Milliseconds())
		return t.Rig.Seat.Lamp(ctx, panel.LampAnswer, panel.Off)
	})
}
