package agent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"deskset/firmware/panel"
)

var rules = DefaultRules()

// desk plays events as a seat would: it also sends the ticks that come due.
type desk struct {
	t  *testing.T
	s  State
	fx []Effect
}

func newDesk(t *testing.T, events ...Event) *desk {
	d := &desk{t: t, s: State{Now: time.Second}}
	d.do(events...)
	return d
}

func (d *desk) do(events ...Event) *desk {
	d.fx = nil
	for _, e := range events {
		if e.At == 0 {
			e.At = d.s.Now
		}
		d.run(e.At)
		d.step(e)
	}
	return d
}

func (d *desk) step(e Event) {
	var fx []Effect
	d.s, fx = Step(d.s, e, rules)
	d.fx = append(d.fx, fx...)
}

// run sends the ticks up to a moment.
func (d *desk) run(until time.Duration) {
	for at := d.s.Deadline(rules); at != 0 && at <= until; at = d.s.Deadline(rules) {
		d.step(Event{Kind: Tick, At: at})
	}
}

func (d *desk) after(t time.Duration) *desk {
	d.fx = nil
	until := d.s.Now + t
	d.run(until)
	d.step(Event{Kind: Tick, At: until})
	return d
}

func (d *desk) has(k EffectKind) bool {
	for _, e := range d.fx {
		if e.Kind == k {
			return true
		}
	}
	return false
}

func key(k panel.Key) Event { return Event{Kind: Press, Key: k} }

var (
	signedIn = []Event{{Kind: LinkUp}, {Kind: SignIn, Agent: "7041"}, {Kind: Confirmed, Avail: Ready}}
	ringing  = append(append([]Event{}, signedIn...), Event{Kind: Offered, Call: "c1", At: 10 * time.Second})
	talking  = append(append([]Event{}, ringing...), Event{Kind: Press, Key: panel.Answer, At: 12 * time.Second}, Event{Kind: CallUp, Call: "c1"}, Event{Kind: RecOn}, Event{Kind: Tick, At: 14 * time.Second})
	held     = append(append([]Event{}, talking...), Event{Kind: AskHold}, Event{Kind: CallHeld, Call: "c1"})
)

// TestPanel is the panel's table, a row a state.
func TestPanel(t *testing.T) {
	type row = map[panel.Lamp]string
	for _, c := range []struct {
		name   string
		events []Event
		want   row // lamps not named are off, LINK is on
	}{
		{"booting", nil, row{panel.Beacon: "white slow", panel.LampLink: "off steady"}},
		{"signed out", []Event{{Kind: LinkUp}}, row{}},
		{"ready", signedIn, row{panel.Beacon: "green steady"}},
		{"ringing", ringing, row{panel.Beacon: "blue 2hz", panel.LampAnswer: "on 2hz"}},
		{"talking", talking, row{panel.Beacon: "red steady", panel.LampAnswer: "on steady", panel.LampRec: "on steady"}},
		{"hold", held, row{panel.Beacon: "red-amber 1hz", panel.LampAnswer: "on 1hz", panel.LampRec: "on steady"}},
		{"hold past 30 s", append(held[:len(held):len(held)], Event{Kind: Tick, At: 50 * time.Second}), row{panel.Beacon: "red-amber 2hz", panel.LampAnswer: "on 1hz", panel.LampRec: "on steady"}},
		{"muted", append(talking[:len(talking):len(talking)], key(panel.Mute)), row{panel.Beacon: "red steady", panel.LampAnswer: "on steady", panel.LampRec: "on steady", panel.LampMute: "on steady"}},
		{"busy", append(signedIn[:3:3], key(panel.Busy), Event{Kind: Confirmed, Avail: Busy}), row{panel.Beacon: "amber steady", panel.LampBusy: "on steady"}},
		{"wrap-up", append(signedIn[:3:3], key(panel.ACW), Event{Kind: Confirmed, Avail: WrapUp}), row{panel.Beacon: "yellow steady", panel.LampACW: "on steady"}},
		{"wrap-up, last 15 s", append(signedIn[:3:3], key(panel.ACW), Event{Kind: Confirmed, Avail: WrapUp}, Event{Kind: Tick, At: 47 * time.Second}), row{panel.Beacon: "yellow 1hz", panel.LampACW: "on 1hz"}},
		{"dnd", append(signedIn[:3:3], key(panel.DND), Event{Kind: Confirmed, Avail: DND}), row{panel.Beacon: "purple steady", panel.LampDND: "on steady"}},
		{"asked, not confirmed", append(signedIn[:3:3], key(panel.DND)), row{panel.Beacon: "purple steady", panel.LampDND: "on short"}},
		{"asked in a call", append(talking[:len(talking):len(talking)], key(panel.Busy)), row{panel.Beacon: "red steady", panel.LampAnswer: "on steady", panel.LampRec: "on steady", panel.LampBusy: "on short"}},
		{"recording paused", append(talking[:len(talking):len(talking)], Event{Kind: LongPress, Key: panel.RecPause}), row{panel.Beacon: "red steady", panel.LampAnswer: "on steady", panel.LampRec: "on 1hz"}},
		{"recording failed", append(talking[:len(talking):len(talking)], Event{Kind: RecFailed}), row{panel.Beacon: "red steady", panel.LampAnswer: "on steady", panel.LampRec: "on 2hz"}},
		{"offline", append(signedIn[:3:3], Event{Kind: LinkDown}), row{panel.Beacon: "red double", panel.LampLink: "off steady"}},
		{"touched", append(signedIn[:3:3], Event{Kind: Touch, Key: panel.Busy}), row{panel.Beacon: "green steady", panel.LampBusy: "on short"}},
		{"stuck key", append(signedIn[:3:3], Event{Kind: KeyStuck, Key: panel.Busy}), row{panel.Beacon: "red double"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, c.events...)
			for l, light := range Lamps(d.s, rules) {
				want := c.want[l]
				if want == "" {
					want = "off steady"
					if l == panel.LampLink {
						want = "on steady"
					}
				}
				if got := fmt.Sprintf("%s %s", light.Colour, light.Blink); got != want {
					t.Errorf("%s shows %q, want %q (state %+v)", l, got, want, d.s)
				}
			}
		})
	}
}

func TestAnswerSoonAfterAChangeIsIgnored(t *testing.T) {
	d := newDesk(t, ringing...)
	d.do(Event{Kind: Press, Key: panel.Answer, At: 10*time.Second + 900*time.Millisecond})
	if d.s.Phase != Ringing {
		t.Fatalf("answered %v after the ring began", 900*time.Millisecond)
	}
	d.do(Event{Kind: Press, Key: panel.Answer, At: 11 * time.Second})
	if d.s.Phase != Answering || !d.has(AnswerCall) || !d.has(StopRing) {
		t.Fatalf("not answered: %+v %v", d.s, d.fx)
	}
}

func TestHangUpNeedsASecondPress(t *testing.T) {
	d := newDesk(t, talking...).do(key(panel.Answer))
	if d.has(HangUpCall) || d.s.Notice != PressAgain {
		t.Fatalf("one press hung up on a live customer: %v", d.fx)
	}
	d.after(3 * time.Second).do(key(panel.Answer))
	if d.has(HangUpCall) {
		t.Fatal("a press after the 3 s counted as the second")
	}
	d.after(2 * time.Second).do(key(panel.Answer))
	if !d.has(HangUpCall) || !d.s.ByAgent {
		t.Fatalf("second press within 3 s did not hang up: %+v", d.s)
	}
	d.do(Event{Kind: CallEnded, Call: "c1"})
	if d.s.Avail != WrapUp || d.s.Name() != panel.WrapUp {
		t.Fatalf("no wrap-up after a talk: %v", d.s.Name())
	}
	if d.after(61 * time.Second); d.s.Avail != Ready {
		t.Fatalf("wrap-up did not end: %v", d.s.Avail)
	}
}

func TestRONA(t *testing.T) {
	d := newDesk(t, ringing...).after(14 * time.Second)
	if d.s.Phase != Ringing || d.s.Rings(rules) != 3 {
		t.Fatalf("after 14 s: %v, %d rings", d.s.Phase, d.s.Rings(rules))
	}
	if d.after(time.Second); !d.has(RejectCall) || d.s.Code != 480 {
		t.Fatalf("after three rings: %+v %v", d.s, d.fx)
	}
	if d.do(Event{Kind: CallEnded, Call: "c1"}); d.s.Avail != Busy || d.s.Notice != MissedRings {
		t.Fatalf("ready again after RONA: %+v", d.s)
	}
}

func TestHoldCues(t *testing.T) {
	d := newDesk(t, held...)
	d.after(14 * time.Second)
	if d.has(CueHold) {
		t.Fatal("cue too early")
	}
	if d.after(2 * time.Second); !d.has(CueHold) || d.has(AlarmHold) {
		t.Fatal("no cue at 15 s")
	}
	if d.after(15 * time.Second); !d.has(AlarmHold) {
		t.Fatal("no alarm at 30 s")
	}
	d.do(key(panel.Answer))
	if !d.has(ResumeCall) {
		t.Fatal("ANSWER does not resume a held call")
	}
}

func TestSixRingBacks(t *testing.T) {
	d := newDesk(t, signedIn...).do(Event{Kind: Dial, Call: "o1", Target: "600"})
	if !d.has(StartDial) {
		t.Fatal("not dialled")
	}
	d.after(time.Minute)
	if d.s.Phase != Dialling {
		t.Fatal("gave up before the far end rang")
	}
	d.do(Event{Kind: RingBack, Call: "o1"}).after(29 * time.Second)
	if d.s.Phase != Dialling {
		t.Fatal("gave up before six ring-backs")
	}
	if d.after(2 * time.Second); !d.has(HangUpCall) {
		t.Fatal("still ringing after six ring-backs")
	}
}

func TestPressesInACallHoldAfterIt(t *testing.T) {
	d := newDesk(t, talking...).do(key(panel.DND))
	if d.has(TellPBX) || d.s.Pending() != panel.DNDState {
		t.Fatalf("told the PBX in a call: %v", d.fx)
	}
	if d.do(Event{Kind: CallEnded, Call: "c1"}); d.s.Avail != DND || !d.has(TellPBX) {
		t.Fatalf("the pending press was lost: %+v", d.s)
	}
	d.do(Event{Kind: Offered, Call: "c2"})
	if d.s.Phase != Idle {
		t.Fatal("a call rings in DND")
	}
}

func TestRecPauseEndsByItself(t *testing.T) {
	d := newDesk(t, talking...).do(Event{Kind: LongPress, Key: panel.RecPause})
	if !d.has(PauseRec) {
		t.Fatal("no pause")
	}
	if d.after(59 * time.Second); d.has(ResumeRec) {
		t.Fatal("resumed early")
	}
	if d.after(2 * time.Second); !d.has(ResumeRec) {
		t.Fatal("still paused after 60 s")
	}
}

func TestAttendedTransfer(t *testing.T) {
	d := newDesk(t, talking...).do(Event{Kind: AskConsult, Target: "202"})
	if !d.has(HoldCall) || d.has(DialConsult) {
		t.Fatalf("the colleague is dialled before the customer is held: %v", d.fx)
	}
	if d.do(Event{Kind: CallHeld, Call: "c1"}); !d.has(DialConsult) {
		t.Fatal("no consultation")
	}
	d.do(Event{Kind: ConsultDialled, Call: "k1"}, Event{Kind: ConsultUp, Call: "k1"}, Event{Kind: AskTransfer})
	if !d.has(SendTransfer) {
		t.Fatalf("no REFER: %+v", d.s)
	}
	if d.do(Event{Kind: TransferOK}); !d.has(HangUpCall) || !d.has(HangUpConsult) {
		t.Fatalf("legs left behind: %v", d.fx)
	}
}

func TestTransferRefusedKeepsTheCustomer(t *testing.T) {
	d := newDesk(t, talking...).do(Event{Kind: AskBlind, Target: "202"})
	if !d.has(SendTransfer) {
		t.Fatal("no REFER")
	}
	if d.do(Event{Kind: TransferBad}); d.s.Phase != Talking || d.s.Notice != TransferFailed {
		t.Fatalf("%+v", d.s)
	}
}

func TestConsultBack(t *testing.T) {
	d := newDesk(t, held...).do(Event{Kind: AskConsult, Target: "202"}, Event{Kind: ConsultDialled, Call: "k1"}, Event{Kind: ConsultUp, Call: "k1"}, Event{Kind: AskBack})
	if !d.has(HangUpConsult) || !d.has(ResumeCall) {
		t.Fatalf("%v", d.fx)
	}
}

func TestMuteCue(t *testing.T) {
	d := newDesk(t, talking...).do(key(panel.Mute))
	if !d.has(MuteMic) {
		t.Fatal("not muted")
	}
	if d.after(10 * time.Second); !d.has(CueMute) {
		t.Fatal("no cue after 10 s of mute")
	}
	if d.do(key(panel.Mute)); !d.has(CueUnmute) {
		t.Fatal("no cue on unmute")
	}
}

// FuzzStep: whatever happens in whatever order, the machine keeps its
// promises and never asks for the impossible.
func FuzzStep(f *testing.F) {
	f.Add([]byte{7, 0, 5, 13, 1, 40, 2, 0, 9, 16, 1, 3})
	f.Add([]byte{7, 0, 0, 11, 0, 0, 14, 2, 250, 15, 2, 3, 18, 2, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		d := &desk{t: t, s: State{Now: time.Second}}
		calls := []string{"", "a", "b"}
		for i := 0; i+2 < len(script); i += 3 {
			a, b := int(script[i+1]), int(script[i+2])
			e := Event{
				Kind: Kind(script[i]) % numKinds, Key: panel.Keys[a%len(panel.Keys)], Avail: Availability(a % 5),
				Agent: calls[a%3], Call: calls[a%3], Target: calls[b%3], Code: a * 5, Volume: a - 128,
			}
			before := d.s
			d.do(Event{Kind: Tick, At: d.s.Now + time.Duration(b)*100*time.Millisecond})
			d.do(e)
			check(t, before, e, d.s, d.fx)
		}
	})
}

func check(t *testing.T, before State, e Event, s State, fx []Effect) {
	t.Helper()
	fail := func(why string) { t.Fatalf("%s\nbefore %+v\nevent  %+v\nafter  %+v\nfx %v", why, before, e, s, fx) }
	if s.Phase == Idle && (s.Call != "" || s.Muted || s.Rec != (Rec{}) || s.Consult != Idle || s.Next != SignedOut) {
		fail("something of a call outlived it")
	}
	if s.Phase != Idle && s.Call == "" {
		fail("a call without an id")
	}
	if s.Agent == "" && s.Avail != SignedOut {
		fail("available without an agent")
	}
	if s.Consult != Idle && !s.Phase.live() && s.Phase != Ending {
		fail("a consultation without a customer")
	}
	for l, x := range Lamps(s, rules) {
		if x.Colour == "" || x.Blink == "" {
			fail("lamp " + string(l) + " undefined")
		}
	}
	var out []string
	for _, x := range fx {
		if x.Kind == HangUpCall || x.Kind == AnswerCall || x.Kind == StartDial {
			out = append(out, fmt.Sprint(x.Kind))
			if x.Call == "" {
				fail("effect without a call")
			}
		}
	}
	if e.Kind == Press && e.Key == panel.Answer && before.Phase == Talking && before.ArmedTo == 0 && strings.Contains(strings.Join(out, " "), fmt.Sprint(HangUpCall)) {
		fail("one press hung up")
	}
}
