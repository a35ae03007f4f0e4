// Package consoletest has a scripted seat for tests of the console, and the
// promises that every console.Seat must keep.
package consoletest

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/panel"
)

// Fake is a seat without a phone. It takes the actions that need no PBX
// (sign-in, states, language, volume, mute) as a seat would, and moves its
// call through its phases at once; a test sets the rest of the View itself.
type Fake struct {
	// Script, if set, is asked first about every action. handled leaves
	// nothing to the fake.
	Script func(context.Context, console.Action) (handled bool, err error)

	mu      sync.Mutex
	view    panel.View
	done    []console.Action
	readers map[chan struct{}]bool
	now     func() time.Time
}

var _ console.Seat = (*Fake)(nil)

// NewFake is a signed-out seat in English with everything in order. now may be
// nil.
func NewFake(now func() time.Time) *Fake {
	if now == nil {
		now = time.Now
	}
	f := &Fake{readers: map[chan struct{}]bool{}, now: now}
	f.view = panel.View{
		Seat: "S-0001", Firmware: "test", Lang: "en", State: panel.SignedOut, Since: now(),
		Links:   panel.Links{PBX: true, Centre: true},
		Headset: panel.Headset{Present: true, MicDB: -96, EarDB: -96},
		Calls:   []panel.Call{}, Shift: []panel.Item{},
		Health: []panel.Health{{Part: "pbx", OK: true}, {Part: "centre", OK: true}, {Part: "headset", OK: true}, {Part: "recording", OK: true}},
		Limits: panel.Limits{HoldCue: 15, HoldMax: 30, WrapUp: 60, WrapUpWarn: 15, Rings: 3, Talk: 180, Dial: true, BlindTransfer: true},
	}
	f.view.Lamps = lamps(f.view)
	return f
}

// View is a copy.
func (f *Fake) View() panel.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return clone(f.view)
}

// Set changes the view as the test says, works the lamps out anew and tells
// every reader.
func (f *Fake) Set(change func(*panel.View)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set(change)
}

// SetLevels is what a headset does all the time: no reader is told.
func (f *Fake) SetLevels(mic, ear float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.view.Headset.MicDB, f.view.Headset.EarDB = mic, ear
}

func (f *Fake) set(change func(*panel.View)) {
	v := clone(f.view)
	before := v.State
	v.Lamps = nil
	change(&v)
	if v.State != before && v.Since.Equal(f.view.Since) {
		v.Since = f.now()
	}
	if v.Lamps == nil {
		v.Lamps = lamps(v)
	}
	f.view = v
	for c := range f.readers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Changed is as console.Seat says.
func (f *Fake) Changed() (<-chan struct{}, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan struct{}, 1)
	f.readers[c] = true
	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.readers, c)
	}
}

// Readers is how many have called Changed and not stop.
func (f *Fake) Readers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.readers)
}

// Actions that were taken or refused so far, in order.
func (f *Fake) Actions() []console.Action {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.done)
}

// Do is as console.Seat says.
func (f *Fake) Do(ctx context.Context, a console.Action) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.Check(); err != nil {
		return err
	}
	f.mu.Lock()
	f.done = append(f.done, a)
	script := f.Script
	f.mu.Unlock()
	if script != nil {
		if handled, err := script(ctx, a); handled {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	v := clone(f.view)
	if err := f.step(&v, a); err != nil {
		return err
	}
	f.set(func(old *panel.View) { v.Lamps = nil; *old = v })
	return nil
}

func clone(v panel.View) panel.View {
	v.Lamps = maps.Clone(v.Lamps)
	v.Calls, v.Shift, v.Health = slices.Clone(v.Calls), slices.Clone(v.Shift), slices.Clone(v.Health)
	return v
}

// Ring puts a customer's call to the signed-in agent.
func (f *Fake) Ring(peer, name, queue string) {
	f.Set(func(v *panel.View) {
		v.State = panel.Ringing
		v.Calls = []panel.Call{{ID: "call-" + strconv.Itoa(len(v.Shift)+1), Direction: "in", Peer: peer, Name: name,
			Queue: queue, Phase: "ringing", Began: f.now(), Rings: 1}}
	})
}
