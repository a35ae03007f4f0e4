package story

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"deskset/audio/pcm"
	"deskset/cmd/desksim/rig"
	"deskset/firmware/centre/vcon"
	"deskset/firmware/console"
	"deskset/firmware/panel"
)

var holding = []Story{
	{Name: "hold", What: "on hold the customer hears music and never the agent", Plot: hold},
	{Name: "dtmf", What: "keys of the page reach the far end; the record has their number only", Plot: dtmf},
	{Name: "mute", What: "MUTE: the customer does not hear the agent, the agent hears the customer", Plot: mute},
}

// recordOf is what the centre knows of a call.
func recordOf(ctx context.Context, t *Teller, id string) (c vcon.Call, err error) {
	out, err := t.Rig.Centre.Show(ctx, id)
	if err != nil {
		return c, err
	}
	var m struct {
		Call *vcon.Call `json:"call"`
	}
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		return c, fmt.Errorf("recordings show: %w", err)
	}
	if m.Call == nil {
		return c, fmt.Errorf("the centre could not open the facts of %s", id)
	}
	return *m.Call, nil
}

func hold(ctx context.Context, t *Teller) error {
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	agent, cust := agentPerson(t), customer(call)
	if err := t.Step("both hear each other", func() error { return converse(ctx, t, agent, cust) }); err != nil {
		return err
	}
	if err := holdCall(ctx, t); err != nil {
		return err
	}
	var from time.Time
	err = t.Step("the agent talks: the customer never hears it", func() error {
		from = time.Now().Add(200 * time.Millisecond) // what was on the way
		return quiet(ctx, t, cust, agent, 4*time.Second)
	})
	if err != nil {
		return err
	}
	err = t.Step("the customer hears music", func() error {
		share, rms := sounding(cust.between(from, time.Now()))
		t.Note("sound in %.0f %% of the time, %.0f dBFS", 100*share, rms)
		if share < 0.3 {
			return fmt.Errorf("sound in only %.0f %% of the time", 100*share)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = t.Step("the customer talks: the agent never hears it", func() error {
		return quiet(ctx, t, agent, cust, 2*time.Second)
	})
	if err != nil {
		return err
	}
	if err := resumeCall(ctx, t); err != nil {
		return err
	}
	if err := t.Step("both hear each other again", func() error { return converse(ctx, t, agent, cust) }); err != nil {
		return err
	}
	if err := customerHangsUp(ctx, t, call); err != nil {
		return err
	}
	id, err := Delivered(ctx, t)
	if err != nil {
		return err
	}
	return t.Step("the record has the hold", func() error {
		c, err := recordOf(ctx, t, id)
		if err != nil {
			return err
		}
		if len(c.Holds) != 1 || c.Holds[0].ToMs-c.Holds[0].FromMs < 6000 {
			return fmt.Errorf("holds %+v", c.Holds)
		}
		t.Note("%d ms", c.Holds[0].ToMs-c.Holds[0].FromMs)
		return nil
	})
}

func holdCall(ctx context.Context, t *Teller) error {
	return t.Step("hold", func() error {
		if err := t.do(ctx, console.Action{Kind: console.Hold}); err != nil {
			return err
		}
		_, err := t.Rig.Seat.Await(ctx, "hold", 5*time.Second, func(v panel.View) bool {
			return v.State == panel.Hold && len(v.Calls) > 0 && v.Calls[0].Phase == "held"
		})
		return err
	})
}

func resumeCall(ctx context.Context, t *Teller) error {
	return t.Step("resume", func() error {
		if err := t.do(ctx, console.Action{Kind: console.Resume}); err != nil {
			return err
		}
		return t.Rig.Seat.AwaitState(ctx, panel.Talking, 5*time.Second)
	})
}

// sounding is how much of the time there is sound above -60 dBFS, and how loud
// all of it is.
func sounding(s []int16) (share, rms float64) {
	const n = pcm.Frame
	on := 0
	for at := 0; at+n <= len(s); at += n {
		if pcm.RMS(s[at:at+n]) > -60 {
			on++
		}
	}
	return float64(on) / float64(max(1, len(s)/n)), pcm.RMS(s)
}

func dtmf(ctx context.Context, t *Teller) error {
	const digits = "5309*#"
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	err = t.Step("both hear each other", func() error { return converse(ctx, t, agentPerson(t), customer(call)) })
	if err != nil {
		return err
	}
	err = t.Step("digits typed on the page arrive at the far end", func() error {
		for _, d := range strings.Split(digits, "") {
			if err := t.do(ctx, console.Action{Kind: console.DTMF, Digit: d}); err != nil {
				return err
			}
			time.Sleep(120 * time.Millisecond) // a finger
		}
		ctx, stop := context.WithTimeout(ctx, 5*time.Second)
		defer stop()
		for tick := time.NewTicker(20 * time.Millisecond); call.DTMF() != digits; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return fmt.Errorf("%q arrived", call.DTMF())
			case <-tick.C:
			}
		}
		v, err := t.Rig.Seat.Control.View(ctx)
		if err == nil && (len(v.Calls) != 1 || v.Calls[0].Digits != len(digits)) {
			err = fmt.Errorf("the page counts %+v", v.Calls)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := customerHangsUp(ctx, t, call); err != nil {
		return err
	}
	id, err := Delivered(ctx, t)
	if err != nil {
		return err
	}
	return t.Step("the record has their number, not them", func() error {
		c, err := recordOf(ctx, t, id)
		if err != nil {
			return err
		}
		if c.DTMFDigits != len(digits) {
			return fmt.Errorf("%d digits in the record", c.DTMFDigits)
		}
		all, err := t.Rig.Centre.Show(ctx, id)
		if err == nil && (strings.Contains(all, digits) || strings.Contains(t.Rig.Seat.Log(1000), digits)) {
			err = fmt.Errorf("the digits are in the record or the log")
		}
		return err
	})
}

func mute(ctx context.Context, t *Teller) error {
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	agent, cust := agentPerson(t), customer(call)
	press := func(name string, muted bool) error {
		return t.Step(name, func() error {
			if err := t.Rig.Seat.Press(panel.Mute); err != nil {
				return err
			}
			_, err := t.Rig.Seat.Await(ctx, name, 2*time.Second, func(v panel.View) bool { return v.Headset.Muted == muted })
			return err
		})
	}
	if err := press("MUTE pressed", true); err != nil {
		return err
	}
	time.Sleep(200 * time.Millisecond) // what was said before is on its way
	if err := t.Step("the customer does not hear the agent", func() error { return quiet(ctx, t, cust, agent, 2*time.Second) }); err != nil {
		return err
	}
	err = t.Step("the agent hears the customer", func() error {
		began := time.Now()
		stop, err := cust.speak(ctx)
		if err != nil {
			return err
		}
		defer stop()
		_, err = agent.hears(ctx, cust.voice, began, 3*time.Second)
		return err
	})
	if err != nil {
		return err
	}
	if err := press("MUTE pressed again", false); err != nil {
		return err
	}
	if err := t.Step("both hear each other", func() error { return converse(ctx, t, agent, cust) }); err != nil {
		return err
	}
	return customerHangsUp(ctx, t, call)
}
