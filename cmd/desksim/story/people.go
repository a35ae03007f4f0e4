package story

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"deskset/audio/pcm"
	"deskset/cmd/desksim/phone"
)

// person is somebody who speaks and hears in a call.
type person struct {
	name  string
	voice voice
	speak func(ctx context.Context) (stop func(), err error)
	ear   func() (sound []int16, start time.Time)
}

// onItsWay is how long what was said may still be heard afterwards.
const onItsWay = 300 * time.Millisecond

// long is more than any story lets somebody sing.
const long = 2 * time.Minute

// agentPerson is the headset.
func agentPerson(t *Teller) person {
	return person{
		name: "agent", voice: agentVoice,
		speak: func(ctx context.Context) (func(), error) {
			ctx, stop := context.WithCancel(ctx)
			done, err := t.Rig.Headset.Say(ctx, agentVoice.sing(long))
			if err != nil {
				stop()
				return nil, err
			}
			return func() { stop(); <-done }, nil
		},
		ear: t.Rig.Headset.Heard,
	}
}

func phonePerson(name string, v voice, c *phone.Call) person {
	return person{
		name: name, voice: v,
		speak: func(context.Context) (func(), error) {
			c.Say(v.sing(long))
			return func() { c.Say(nil) }, nil
		},
		ear: c.Heard,
	}
}

func customer(c *phone.Call) person  { return phonePerson("customer", customerVoice, c) }
func colleague(c *phone.Call) person { return phonePerson("colleague", colleagueVoice, c) }

// between is what a person heard in a span of time.
func (p person) between(from, to time.Time) []int16 {
	s, start := p.ear()
	a := max(0, int(from.Sub(start).Seconds()*pcm.Rate))
	b := min(len(s), int(to.Sub(start).Seconds()*pcm.Rate))
	if a >= b {
		return nil
	}
	return s[a:b]
}

// hears waits until p hears a voice after a moment and says when it did.
func (p person) hears(ctx context.Context, v voice, since time.Time, limit time.Duration) (time.Time, error) {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	tick := time.NewTicker(50 * time.Millisecond) // sound tells nobody that it came
	defer tick.Stop()
	for {
		if at := v.first(p.between(since, time.Now().Add(time.Minute))); at >= 0 {
			return since.Add(at), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("the %s does not hear the %s within %v", p.name, v.name(), limit)
		case <-tick.C:
		}
	}
}

func (v voice) name() string {
	switch v {
	case agentVoice:
		return "agent"
	case customerVoice:
		return "customer"
	case colleagueVoice:
		return "colleague"
	default:
		return "other microphone"
	}
}

// converse lets all speak at once; each must hear each other. The note says
// after how many ms.
func converse(ctx context.Context, t *Teller, people ...person) error {
	begin := time.Now()
	var stops []func()
	defer func() {
		for _, f := range stops {
			f()
		}
		time.Sleep(onItsWay)
	}()
	for _, p := range people {
		stop, err := p.speak(ctx)
		if err != nil {
			return err
		}
		stops = append(stops, stop)
	}
	var notes []string
	var errs []error
	for _, p := range people {
		for _, o := range people {
			if p.name == o.name {
				continue
			}
			at, err := p.hears(ctx, o.voice, begin, 5*time.Second)
			errs = append(errs, err)
			notes = append(notes, fmt.Sprintf("%s hears %s after %d ms", p.name, o.name, at.Sub(begin).Milliseconds()))
		}
	}
	t.Note("%s", strings.Join(notes, ", "))
	return errors.Join(errs...)
}

// quiet lets o speak for a while in which p must not hear it. The note says
// how far below.
func quiet(ctx context.Context, t *Teller, p, o person, d time.Duration) error {
	stop, err := o.speak(ctx)
	if err != nil {
		return err
	}
	defer func() { stop(); time.Sleep(onItsWay) }()
	begin := time.Now()
	select {
	case <-time.After(d): // they talk
	case <-ctx.Done():
		return ctx.Err()
	}
	return p.neverHears(t, o.voice, begin, time.Now())
}

// neverHears judges a span of time; longer than a second.
func (p person) neverHears(t *Teller, v voice, from, to time.Time) error {
	l := v.loudest(p.between(from, to))
	t.Note("%s is at %.0f dB", v.name(), l)
	if l > heardNot {
		return fmt.Errorf("the %s hears the %s at %.0f dB", p.name, v.name(), l)
	}
	return nil
}
