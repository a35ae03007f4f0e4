package agent

import (
	"testing"
	"time"

	"deskset/firmware/panel"
)

func TestThePagesWishIsNoToggle(t *testing.T) {
	d := newDesk(t, signedIn...)
	for range 2 {
		d.do(Event{Kind: Want, Avail: Busy, Reason: "meal"})
	}
	if d.s.Avail != Busy || d.s.Reason != "meal" {
		t.Fatalf("asked for twice: %v, %q", d.s.Avail, d.s.Reason)
	}
	if d.do(Event{Kind: Want, Avail: Busy, Reason: "break"}); d.s.Reason != "break" {
		t.Errorf("another reason: %q", d.s.Reason)
	}
	d = newDesk(t, talking...).do(Event{Kind: Want, Avail: Busy, Reason: "meal"}, Event{Kind: Want, Avail: Busy, Reason: "meal"})
	if d.s.Pending() != panel.BusyState {
		t.Fatalf("pending %q", d.s.Pending())
	}
	if d.do(Event{Kind: CallEnded, Call: "c1"}); d.s.Avail != Busy || d.s.Reason != "meal" {
		t.Errorf("after the call: %v, %q", d.s.Avail, d.s.Reason)
	}
}

func TestRingsAreShownAsTheyCome(t *testing.T) {
	d := newDesk(t, ringing...)
	for want := 2; want <= 3; want++ {
		if d.after(5 * time.Second); d.s.Rings(rules) != want || !d.has(ShowView) {
			t.Errorf("%d rings, %v", d.s.Rings(rules), d.fx)
		}
	}
}

func TestMuteOverAHold(t *testing.T) {
	d := newDesk(t, talking...).do(key(panel.Mute), Event{Kind: AskHold}, Event{Kind: CallHeld, Call: "c1"}).after(20 * time.Second)
	if d.has(CueMute) {
		t.Error("a cue for a mute that nobody hears")
	}
	d.do(Event{Kind: AskResume}, Event{Kind: CallResumed, Call: "c1"}).after(9 * time.Second)
	if d.has(CueMute) {
		t.Error("a cue before the customer has waited 10 s")
	}
	if d.after(2 * time.Second); !d.has(CueMute) || d.s.Notice != StillMuted {
		t.Error("no cue while still muted after the hold")
	}
}

func TestMuteNeedsSomebody(t *testing.T) {
	for _, events := range [][]Event{signedIn, ringing} {
		if d := newDesk(t, events...).do(key(panel.Mute)); d.s.Muted {
			t.Errorf("muted in %v", d.s.Phase)
		}
	}
}

func TestVolumeIsBoundAndTheNextAgentsOwn(t *testing.T) {
	d := newDesk(t, signedIn...)
	for range 9 {
		d.do(key(panel.VolUp))
	}
	if d.s.Volume != volumeMax {
		t.Errorf("%d dB", d.s.Volume)
	}
	if d.do(Event{Kind: SetVolume, Volume: -100}); d.s.Volume != volumeMin {
		t.Errorf("%d dB", d.s.Volume)
	}
	if d.do(Event{Kind: SignOut}); d.s.Volume != 0 || !d.has(SetGain) {
		t.Errorf("the next agent begins at %d dB", d.s.Volume)
	}
}

// TestPickedUp: what was answered is not given up for the last ring-back.
func TestPickedUp(t *testing.T) {
	d := newDesk(t, signedIn...).do(Event{Kind: Dial, Call: "o1", Target: "600"}, Event{Kind: RingBack, Call: "o1"})
	d.after(29 * time.Second).do(Event{Kind: PickedUp, Call: "o1"})
	if d.after(5 * time.Second); d.has(HangUpCall) {
		t.Fatal("hung up on who had answered")
	}
}

func TestAStuckKeyHidesNoCall(t *testing.T) {
	d := newDesk(t, ringing...).do(Event{Kind: KeyStuck, Key: panel.VolUp})
	if l := Lamps(d.s, rules)[panel.Beacon]; l.Colour != panel.Blue {
		t.Errorf("beacon %v while it rings", l)
	}
}

func TestNotRecorded(t *testing.T) {
	d := newDesk(t, ringing...).do(Event{Kind: Press, Key: panel.Answer, At: 12 * time.Second}, Event{Kind: CallUp, Call: "c1"}, Event{Kind: RecFailed, Call: "c1"})
	if !d.has(AlarmRec) || Lamps(d.s, rules)[panel.LampRec].Blink != panel.Hz2 || d.s.Notice != NotRecorded {
		t.Errorf("%+v %v", d.s.Rec, d.fx)
	}
	if d.do(Event{Kind: LongPress, Key: panel.RecPause}); d.s.RecPaused() {
		t.Error("paused what is not recorded")
	}
	if d.do(Event{Kind: CallEnded, Call: "c1"}); !d.has(AlarmRec) {
		t.Error("the alarm outlives the call")
	}
}

// TestTheKeyIsNeverBlocked: whatever the PBX is asked for, two presses hang up.
func TestTheKeyIsNeverBlocked(t *testing.T) {
	for name, events := range map[string][]Event{
		"holding":      {{Kind: AskHold}},
		"transferring": {{Kind: AskBlind, Target: "202"}},
		"resuming":     {{Kind: AskHold}, {Kind: CallHeld, Call: "c1"}, {Kind: AskResume}},
	} {
		d := newDesk(t, append(talking[:len(talking):len(talking)], events...)...).after(2*time.Second).do(key(panel.Answer), key(panel.Answer))
		if !d.has(HangUpCall) || !d.s.ByAgent {
			t.Errorf("%s: %+v", name, d.s)
		}
	}
}

func TestConsultEndsInATransfer(t *testing.T) {
	d := newDesk(t, held...).do(Event{Kind: AskConsult, Target: "202"}, Event{Kind: ConsultDialled, Call: "k1"}, Event{Kind: ConsultUp, Call: "k1"},
		Event{Kind: AskTransfer}, Event{Kind: ConsultEnded, Call: "k1"}, Event{Kind: TransferBad})
	if d.s.Phase != Held || d.s.Consult != Idle || d.s.ConsultID != "" {
		t.Errorf("%+v", d.s)
	}
}
