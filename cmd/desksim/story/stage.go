package story

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"deskset/cmd/desksim/phone"
	"deskset/cmd/desksim/rig"
	"deskset/firmware/console"
	"deskset/firmware/panel"
)

// Stage is a rig on which stories are told one after another.
type Stage struct {
	Rig       *rig.Rig
	page      *rig.Page // nil: not paired
	colleague *phone.Phone
	end       context.Context // of what the stage starts
	stop      context.CancelFunc
}

// Open builds a rig for stories.
func Open(ctx context.Context, o rig.Options) (*Stage, error) {
	r, err := rig.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &Stage{Rig: r}
	s.end, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	return s, nil
}

// Close ends it.
func (s *Stage) Close() error {
	s.stop()
	return s.Rig.Close()
}

// keepJournal writes down what the seat remembers, for whoever looks into a
// failure. A seat that does not answer has its log.
func (s *Stage) keepJournal() {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	text, err := s.Rig.Seat.Journal(ctx)
	if err != nil {
		text = err.Error()
	}
	_ = os.WriteFile(filepath.Join(s.Rig.Opt.Dir, "seat-journal.txt"), []byte(text), 0o600)
}

// Ready brings the agent to the beginning of a story: links up, page paired,
// signed in, no call, ready for the queue.
func (t *Teller) Ready(ctx context.Context) error {
	s := t.Rig.Seat
	return t.Step("agent ready, beacon green", func() error {
		v, err := s.Await(ctx, "both links and the headset", 20*time.Second, func(v panel.View) bool {
			return v.Links.PBX && v.Links.Centre && v.Headset.Present
		})
		if err != nil {
			return err
		}
		if len(v.Calls) > 0 {
			return fmt.Errorf("a call of the story before is left over: %s", v.Calls[0].Phase)
		}
		if t.page == nil {
			p, err := rig.NewPage(s)
			if err != nil {
				return err
			}
			if err := p.Pair(ctx, s); err != nil {
				return err
			}
			t.page = p
		}
		if v.Agent == "" {
			if err := t.page.Do(ctx, console.Action{Kind: console.SignIn, Agent: Agent}); err != nil {
				return err
			}
		} else if v.State != panel.Ready {
			if err := t.page.Do(ctx, console.Action{Kind: console.Ready}); err != nil {
				return err
			}
		}
		if err := s.AwaitState(ctx, panel.Ready, 5*time.Second); err != nil {
			return err
		}
		return s.Lamp(ctx, panel.Beacon, panel.Green)
	})
}

// Colleague is the desk phone 202, registered.
func (t *Teller) Colleague(ctx context.Context) (*phone.Phone, error) {
	if t.Stage.colleague == nil {
		p, err := t.Rig.Phone(t.end, rig.Colleague, true)
		if err != nil {
			return nil, err
		}
		t.Stage.colleague = p
	}
	p := t.Stage.colleague
	select {
	case <-p.Registered():
	case <-time.After(10 * time.Second):
		return nil, fmt.Errorf("the colleague's phone does not register")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for { // calls of stories before
		select {
		case <-p.Incoming():
		default:
			return p, nil
		}
	}
}

// incoming waits until a phone is called.
func incoming(ctx context.Context, p *phone.Phone, limit time.Duration) (*phone.Call, error) {
	select {
	case c := <-p.Incoming():
		return c, nil
	case <-time.After(limit):
		return nil, fmt.Errorf("the phone was not called within %v", limit)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// do asks by the page.
func (t *Teller) do(ctx context.Context, a console.Action) error { return t.page.Do(ctx, a) }

// ended waits for the end of a phone's call.
func ended(ctx context.Context, c *phone.Call, limit time.Duration) error {
	select {
	case <-c.Done():
		return nil
	case <-time.After(limit):
		return fmt.Errorf("the phone's call is still on after %v", limit)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// over waits until the seat has no call and is in a state.
func over(ctx context.Context, t *Teller, want panel.State, limit time.Duration) error {
	_, err := t.Rig.Seat.Await(ctx, "the end of the call, "+string(want), limit, func(v panel.View) bool {
		return len(v.Calls) == 0 && v.State == want
	})
	return err
}

// customerHangsUp ends a story's call.
func customerHangsUp(ctx context.Context, t *Teller, c *phone.Call) error {
	return t.Step("customer hangs up, wrap-up", func() error {
		c.Hangup()
		return over(ctx, t, panel.WrapUp, 5*time.Second)
	})
}

// pressAnswer presses the large key, not sooner after the last change than a
// hand would: for 1 s the seat takes it for a press that was meant for what
// was before.
func pressAnswer(ctx context.Context, t *Teller) (at time.Time, err error) {
	v, err := t.Rig.Seat.Control.View(ctx)
	if err != nil {
		return at, err
	}
	time.Sleep(time.Until(v.Since.Add(answerGuard)))
	at = time.Now()
	return at, t.Rig.Seat.Press(panel.Answer)
}
