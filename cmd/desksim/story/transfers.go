package story

import (
	"context"
	"fmt"
	"time"

	"deskset/cmd/desksim/phone"
	"deskset/cmd/desksim/rig"
	"deskset/firmware/console"
	"deskset/firmware/panel"
)

var transfers = []Story{
	{Name: "attended", What: "attended transfer: customer and colleague talk, the seat is free", Plot: attended},
	{Name: "consult-back", What: "ask a colleague, come back to the customer", Plot: consultBack},
	{Name: "blind", What: "blind transfer to a colleague", Plot: blind},
	{Name: "blind-refused", What: "a blind transfer that is not taken: the agent is told", Plot: blindRefused},
}

// consult calls the colleague while the customer is on hold.
func consult(ctx context.Context, t *Teller, cust person) (other *phone.Call, err error) {
	p, err := t.Colleague(ctx)
	if err != nil {
		return nil, err
	}
	p.SetPolicy(phone.Policy{After: 500 * time.Millisecond})
	err = t.Step("colleague consulted, customer on hold", func() error {
		if err := t.do(ctx, console.Action{Kind: console.Consult, Target: rig.Colleague}); err != nil {
			return err
		}
		if other, err = incoming(ctx, p, 5*time.Second); err != nil {
			return err
		}
		if err := other.Wait(ctx); err != nil {
			return err
		}
		_, err := t.Rig.Seat.Await(ctx, "two calls", 5*time.Second, func(v panel.View) bool {
			return len(v.Calls) == 2 && v.Calls[1].Phase == "consult" && !v.Calls[1].Answered.IsZero()
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	agent, coll := agentPerson(t), colleague(other)
	if err := t.Step("agent and colleague hear each other", func() error { return converse(ctx, t, agent, coll) }); err != nil {
		return nil, err
	}
	return other, t.Step("the customer hears none of it", func() error {
		from := time.Now()
		if err := quiet(ctx, t, cust, agent, 2*time.Second); err != nil {
			return err
		}
		return cust.neverHears(t, colleagueVoice, from, time.Now())
	})
}

func attended(ctx context.Context, t *Teller) error {
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	cust := customer(call)
	if err := t.Step("both hear each other", func() error { return converse(ctx, t, agentPerson(t), cust) }); err != nil {
		return err
	}
	other, err := consult(ctx, t, cust)
	if err != nil {
		return err
	}
	err = t.Step("transfer completed, the seat is free", func() error {
		began := time.Now()
		if err := t.do(ctx, console.Action{Kind: console.TransferComplete}); err != nil {
			return err
		}
		if err := over(ctx, t, panel.WrapUp, 5*time.Second); err != nil {
			return err
		}
		t.Note("%d ms", time.Since(began).Milliseconds())
		return nil
	})
	if err != nil {
		return err
	}
	return transferred(ctx, t, call, other, "attended")
}

// transferred sees that customer and colleague talk without the seat, and that
// the record says so.
func transferred(ctx context.Context, t *Teller, call, other *phone.Call, how string) error {
	err := t.Step("customer and colleague hear each other", func() error { return converse(ctx, t, customer(call), colleague(other)) })
	if err != nil {
		return err
	}
	err = t.Step("the colleague hangs up: both calls end", func() error {
		other.Hangup()
		return ended(ctx, call, 3*time.Second)
	})
	if err != nil {
		return err
	}
	id, err := Delivered(ctx, t)
	if err != nil {
		return err
	}
	return t.Step("the record has the transfer", func() error {
		all, err := records(ctx, t, id)
		if err != nil {
			return err
		}
		for _, c := range all {
			for _, x := range c.Transfers {
				if x.To == rig.Colleague && x.How == how {
					return nil
				}
			}
		}
		return fmt.Errorf("no recording since the call began has a transfer (%s) to the colleague", how)
	})
}

func consultBack(ctx context.Context, t *Teller) error {
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	cust := customer(call)
	other, err := consult(ctx, t, cust)
	if err != nil {
		return err
	}
	err = t.Step("back to the customer, the colleague is gone", func() error {
		if err := t.do(ctx, console.Action{Kind: console.TransferCancel}); err != nil {
			return err
		}
		if err := ended(ctx, other, 3*time.Second); err != nil {
			return err
		}
		_, err := t.Rig.Seat.Await(ctx, "the customer", 5*time.Second, func(v panel.View) bool {
			return v.State == panel.Talking && len(v.Calls) == 1
		})
		return err
	})
	if err != nil {
		return err
	}
	if err := t.Step("both hear each other", func() error { return converse(ctx, t, agentPerson(t), cust) }); err != nil {
		return err
	}
	return customerHangsUp(ctx, t, call)
}

func blind(ctx context.Context, t *Teller) error {
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	p, err := t.Colleague(ctx)
	if err != nil {
		return err
	}
	p.SetPolicy(phone.Policy{After: 300 * time.Millisecond})
	if err := t.Step("both hear each other", func() error { return converse(ctx, t, agentPerson(t), customer(call)) }); err != nil {
		return err
	}
	var other *phone.Call
	err = t.Step("blind transfer: the colleague rings, the seat is free", func() error {
		if err := t.do(ctx, console.Action{Kind: console.TransferBlind, Target: rig.Colleague}); err != nil {
			return err
		}
		if other, err = incoming(ctx, p, 5*time.Second); err != nil {
			return err
		}
		if err := other.Wait(ctx); err != nil {
			return err
		}
		return over(ctx, t, panel.WrapUp, 5*time.Second)
	})
	if err != nil {
		return err
	}
	return transferred(ctx, t, call, other, "blind")
}

func blindRefused(ctx context.Context, t *Teller) error {
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	p, err := t.Colleague(ctx)
	if err != nil {
		return err
	}
	p.SetPolicy(phone.Policy{Reject: 486})
	err = t.Step("blind transfer to a busy colleague: told that it failed", func() error {
		if err := t.do(ctx, console.Action{Kind: console.TransferBlind, Target: rig.Colleague}); err != nil {
			return err
		}
		_, err := t.Rig.Seat.Await(ctx, "the refusal", 10*time.Second, func(v panel.View) bool {
			return v.Notice == "transfer-failed" && v.State == panel.Talking && len(v.Calls) == 1
		})
		return err
	})
	if err != nil {
		return err
	}
	// Asterisk has given the customer to its dial plan by then, and a dial plan
	// that ends hangs up; the small PBX keeps the customer with the seat.
	if ended(ctx, call, time.Second) == nil {
		t.Say("  this PBX has let the customer go")
		return agentHangsUp(ctx, t, panel.WrapUp)
	}
	if err := t.Step("both hear each other", func() error { return converse(ctx, t, agentPerson(t), customer(call)) }); err != nil {
		return err
	}
	return customerHangsUp(ctx, t, call)
}
