package consoletest

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/panel"
)

// patience is how long a seat may take until a change shows.
const patience = 5 * time.Second

// TestSeat holds a seat to what console.Seat promises. make gives a new seat
// that runs, has nobody signed in and no call, and an agent who may sign in;
// it ends with the test.
func TestSeat(t *testing.T, make func(t *testing.T) (seat console.Seat, agent string)) {
	for name, f := range map[string]func(*testing.T, console.Seat, string){
		"a view is whole":                       viewIsWhole,
		"a view given out stays as it was":      viewStays,
		"a change is told":                      changeIsTold,
		"a reader who sleeps stops nobody":      sleepersStopNobody,
		"refusals have a code":                  refusalsHaveACode,
		"a dead context is refused at once":     deadContext,
		"nothing of a shift without its agent":  shiftEndsWithAgent,
		"one agent at a time":                   oneAgent,
		"states can be asked for":               statesCanBeAskedFor,
		"everything may be called concurrently": concurrently,
	} {
		t.Run(name, func(t *testing.T) {
			seat, agent := make(t)
			f(t, seat, agent)
		})
	}
}

func viewIsWhole(t *testing.T, seat console.Seat, _ string) {
	v := seat.View()
	if v.Seat == "" || v.Firmware == "" || v.Since.IsZero() {
		t.Errorf("seat %q, firmware %q, since %v", v.Seat, v.Firmware, v.Since)
	}
	if !slices.Contains(console.Languages, v.Lang) {
		t.Errorf("language %q", v.Lang)
	}
	if v.Agent != "" || len(v.Shift) > 0 || len(v.Calls) > 0 {
		t.Errorf("a new seat has an agent, a shift or a call: %q, %d, %d", v.Agent, len(v.Shift), len(v.Calls))
	}
	for _, l := range panel.Lamps {
		light, ok := v.Lamps[l]
		if !ok || light.Colour == "" || light.Blink == "" {
			t.Errorf("lamp %s shows %+v (there: %v)", l, light, ok)
		}
	}
	if v.Limits.HoldMax < v.Limits.HoldCue {
		t.Errorf("limits %+v", v.Limits)
	}
	for _, h := range v.Health {
		if h.Part == "" || !h.OK && h.Text == "" && h.Code == "" {
			t.Errorf("health without words: %+v", h)
		}
		if h.Code != "" && !slices.Contains(console.HealthCodes, h.Code) {
			t.Errorf("health code %q has no sentence", h.Code)
		}
		if !slices.Contains(console.Parts, h.Part) {
			t.Errorf("part %q has no name", h.Part)
		}
	}
	if v.Notice != "" && !slices.Contains(console.Notices, v.Notice) {
		t.Errorf("notice %q has no sentence", v.Notice)
	}
	if _, err := json.Marshal(v); err != nil {
		t.Error(err)
	}
}

func viewStays(t *testing.T, seat console.Seat, agent string) {
	v := seat.View()
	before, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	do(t, seat, console.Action{Kind: console.SignIn, Agent: agent})
	until(t, seat, "signed in", func(v panel.View) bool { return v.Agent == agent })
	after, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("was  %s\nis   %s", before, after)
	}
}

func changeIsTold(t *testing.T, seat console.Seat, _ string) {
	one, stopOne := seat.Changed()
	two, stopTwo := seat.Changed()
	defer stopTwo()
	for _, lang := range []string{"zh-CN", "en", "zh-CN"} {
		if seat.View().Lang == lang {
			continue
		}
		do(t, seat, console.Action{Kind: console.Lang, Lang: lang})
		for _, c := range []<-chan struct{}{one, two} {
			deadline := time.After(patience)
			for told := false; !told || seat.View().Lang != lang; {
				select {
				case <-c:
					told = true
				case <-deadline:
					t.Fatalf("not told of %s (told of something: %v, view says %s)", lang, told, seat.View().Lang)
				}
			}
		}
	}
	stopOne()
	stopOne()
	do(t, seat, console.Action{Kind: console.Lang, Lang: "en"})
	until(t, seat, "English", func(v panel.View) bool { return v.Lang == "en" })
}

func sleepersStopNobody(t *testing.T, seat console.Seat, _ string) {
	sleeper, stop := seat.Changed()
	defer stop()
	for i := range 50 {
		do(t, seat, console.Action{Kind: console.Lang, Lang: console.Languages[i%2]})
	}
	until(t, seat, "the last language", func(v panel.View) bool { return v.Lang == console.Languages[1] })
	select {
	case <-sleeper:
	case <-time.After(patience):
		t.Error("many changes and no token")
	}
}

func refusalsHaveACode(t *testing.T, seat console.Seat, agent string) {
	bad := []console.Action{
		{Kind: "no-such-kind"},
		{},
		{Kind: console.PressKey, Key: panel.CaseOpen},
		{Kind: console.PressKey, Key: panel.Cradle},
		{Kind: console.DTMF, Digit: "55"},
		{Kind: console.Dial, Target: "1 2"},
		{Kind: console.Lang, Lang: "fr"},
		{Kind: console.SignIn},
		{Kind: console.Ready}, // nobody is in
		{Kind: console.SignOut},
	}
	noCall := []console.Action{
		{Kind: console.Answer}, {Kind: console.Reject}, {Kind: console.Hangup}, {Kind: console.Hold}, {Kind: console.Resume},
		{Kind: console.DTMF, Digit: "5"}, {Kind: console.TransferBlind, Target: "800"}, {Kind: console.Consult, Target: "800"},
		{Kind: console.TransferComplete}, {Kind: console.TransferCancel}, {Kind: console.RecResume},
	}
	for _, a := range append(bad, noCall...) {
		refused(t, seat, a)
	}
	do(t, seat, console.Action{Kind: console.SignIn, Agent: agent})
	for _, a := range noCall {
		refused(t, seat, a)
	}
}

func deadContext(t *testing.T, seat console.Seat, _ string) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	for range 10 {
		seat.Do(ctx, console.Action{Kind: console.Lang, Lang: "en"})
	}
	if d := time.Since(began); d > patience {
		t.Errorf("took %v", d)
	}
}

func shiftEndsWithAgent(t *testing.T, seat console.Seat, agent string) {
	do(t, seat, console.Action{Kind: console.SignIn, Agent: agent})
	until(t, seat, "signed in", func(v panel.View) bool { return v.Agent == agent && v.State != panel.SignedOut })
	do(t, seat, console.Action{Kind: console.SignOut})
	v := until(t, seat, "signed out", func(v panel.View) bool { return v.Agent == "" })
	if v.State != panel.SignedOut && v.State != panel.Offline || len(v.Shift) > 0 || len(v.Calls) > 0 {
		t.Errorf("after sign-out: %s, %d calls of the shift, %d calls", v.State, len(v.Shift), len(v.Calls))
	}
}

func oneAgent(t *testing.T, seat console.Seat, agent string) {
	do(t, seat, console.Action{Kind: console.SignIn, Agent: agent})
	until(t, seat, "signed in", func(v panel.View) bool { return v.Agent == agent })
	refused(t, seat, console.Action{Kind: console.SignIn, Agent: agent + "0"})
	if got := seat.View().Agent; got != agent {
		t.Errorf("agent is now %q", got)
	}
}

func statesCanBeAskedFor(t *testing.T, seat console.Seat, agent string) {
	do(t, seat, console.Action{Kind: console.SignIn, Agent: agent})
	until(t, seat, "signed in", func(v panel.View) bool { return v.Agent == agent })
	for _, c := range []struct {
		a    console.Action
		want panel.State
	}{
		{console.Action{Kind: console.Busy, Reason: "meal"}, panel.BusyState},
		{console.Action{Kind: console.DND}, panel.DNDState},
		{console.Action{Kind: console.WrapUp}, panel.WrapUp},
		{console.Action{Kind: console.Ready}, panel.Ready},
		{console.Action{Kind: console.PressKey, Key: panel.Busy}, panel.BusyState},
		{console.Action{Kind: console.PressKey, Key: panel.Busy}, panel.Ready},
	} {
		do(t, seat, c.a)
		v := until(t, seat, "state "+string(c.want), func(v panel.View) bool { return v.State == c.want && v.Pending == "" })
		if c.a.Reason != "" && v.Reason != c.a.Reason {
			t.Errorf("busy for %q, want %q", v.Reason, c.a.Reason)
		}
	}
}

func concurrently(t *testing.T, seat console.Seat, _ string) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 20 {
				_, stop := seat.Changed()
				seat.Do(t.Context(), console.Action{Kind: console.Lang, Lang: console.Languages[i%2]})
				if _, err := json.Marshal(seat.View()); err != nil {
					t.Error(err)
				}
				stop()
			}
		})
	}
	all.Wait()
}

func do(t *testing.T, seat console.Seat, a console.Action) {
	t.Helper()
	if err := seat.Do(t.Context(), a); err != nil {
		t.Fatalf("%s: %v", a.Kind, err)
	}
}

func refused(t *testing.T, seat console.Seat, a console.Action) {
	t.Helper()
	err := seat.Do(t.Context(), a)
	if e, ok := err.(*console.Error); !ok || !slices.Contains(console.Codes, e.Code) {
		t.Errorf("%+v: %v (%T); want an *Error with a known code", a, err, err)
	}
}

// until waits for a view.
func until(t *testing.T, seat console.Seat, what string, ok func(panel.View) bool) panel.View {
	t.Helper()
	changed, stop := seat.Changed()
	defer stop()
	deadline := time.After(patience)
	for {
		v := seat.View()
		if ok(v) {
			return v
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("still not %s: %s, pending %q, agent %q, %s", what, v.State, v.Pending, v.Agent, v.Lang)
		}
	}
}
