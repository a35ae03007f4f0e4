package story

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"deskset/audio/audiotest"
	"deskset/audio/pcm"
	"deskset/cmd/desksim/phone"
	"deskset/cmd/desksim/rig"
	"deskset/firmware/centre/vcon"
	"deskset/firmware/console"
	"deskset/firmware/panel"
)

// Agent is who sits at the rig's seat.
const Agent = "7041"

// speechTime is how long each side speaks.
const speechTime = 20 * time.Second

// answerGuard is how long the seat takes ANSWER for a press that was meant for
// what was before.
const answerGuard = 1050 * time.Millisecond

// Answer lets the customer call a target and the agent press ANSWER.
func Answer(ctx context.Context, t *Teller, target string) (call *phone.Call, err error) {
	s := t.Rig.Seat
	err = t.Step("customer calls, beacon blue, it rings", func() error {
		if call, err = t.Rig.Customer.Call(ctx, target); err != nil {
			return err
		}
		v, err := s.Await(ctx, "a ringing call", 10*time.Second, func(v panel.View) bool { return v.State == panel.Ringing && len(v.Calls) == 1 })
		if err != nil {
			return err
		}
		if !strings.HasSuffix(v.Calls[0].Peer, rig.CustomerNumber) {
			return fmt.Errorf("the page shows caller %q", v.Calls[0].Peer)
		}
		if target == rig.Queue && v.Calls[0].Queue != "support" {
			return fmt.Errorf("the page shows queue %q", v.Calls[0].Queue)
		}
		return s.Lamp(ctx, panel.Beacon, panel.Blue)
	})
	if err != nil {
		return nil, err
	}
	err = t.Step("ANSWER pressed, customer and agent connected", func() error {
		pressed, err := pressAnswer(ctx, t)
		if err != nil {
			return err
		}
		if err := s.AwaitState(ctx, panel.Talking, 10*time.Second); err != nil {
			return err
		}
		if err := call.Wait(ctx); err != nil {
			return err
		}
		v, err := s.Await(ctx, "recording on", 5*time.Second, func(v panel.View) bool { return v.Rec.On && len(v.Calls) == 1 })
		if err == nil {
			t.Answered = v.Calls[0].Answered
			t.Note("%d ms after the press", t.Answered.Sub(pressed).Milliseconds())
		}
		return err
	})
	return call, err
}

// Call is the main job: a customer calls, the agent answers, they speak, and
// a sealed recording arrives at the centre, which only an offline key opens.
func Call(ctx context.Context, t *Teller) error {
	s := t.Rig.Seat
	if err := t.Ready(ctx); err != nil {
		return err
	}
	page := t.page
	call, err := Answer(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	err = t.Step("both speak for 20 s", func() error { return speak(ctx, t, call) })
	if err != nil {
		return err
	}
	err = t.Step("hold: customer on hold, beacon amber", func() error {
		if err := page.Do(ctx, console.Action{Kind: console.Hold}); err != nil {
			return err
		}
		if err := s.AwaitState(ctx, panel.Hold, 5*time.Second); err != nil {
			return err
		}
		return s.Lamp(ctx, panel.Beacon, panel.Amber)
	})
	if err != nil {
		return err
	}
	err = t.Step("resume", func() error {
		if err := page.Do(ctx, console.Action{Kind: console.Resume}); err != nil {
			return err
		}
		return s.AwaitState(ctx, panel.Talking, 5*time.Second)
	})
	if err != nil {
		return err
	}
	said, saidAt := call.Said()
	mouth, mouthAt := agentSaid(t)
	err = t.Step("customer hangs up, wrap-up, beacon yellow", func() error {
		call.Hangup()
		if err := s.AwaitState(ctx, panel.WrapUp, 5*time.Second); err != nil {
			return err
		}
		return s.Lamp(ctx, panel.Beacon, panel.Yellow)
	})
	if err != nil {
		return err
	}
	err = t.Step("ACW pressed: ready again", func() error {
		if err := s.Press(panel.ACW); err != nil {
			return err
		}
		return s.AwaitState(ctx, panel.Ready, 5*time.Second)
	})
	if err != nil {
		return err
	}
	id, err := Delivered(ctx, t)
	if err != nil {
		return err
	}
	out := filepath.Join(t.Rig.Opt.Dir, "export")
	err = t.Step("exported with the offline key", func() error { return t.Rig.Centre.Export(ctx, id, out) })
	if err != nil {
		return err
	}
	err = t.Step("the centre's record names both numbers", func() error { return namesBoth(ctx, t, id) })
	if err != nil {
		return err
	}
	return t.Step("both legs are what was said", func() error {
		got, err := exportedWAV(out)
		if err != nil {
			return err
		}
		r := audiotest.CompareLegs(from(mouth, mouthAt, t.Answered), from(said, saidAt, t.Answered), got.Channel(0), got.Channel(1))
		t.Note("%s", r)
		if !r.OK {
			return fmt.Errorf("legs differ: %s (agent %s; customer %s)", strings.Join(r.Why, "; "), figures(r.Agent), figures(r.Customer))
		}
		return nil
	})
}

// figures of a comparison, also of one that failed.
func figures(r audiotest.Report) string {
	return fmt.Sprintf("%.0f %% found, likeness %.2f, offset %+.0f ms, stretch %+.0f ms, longest gap %.0f ms, spectral distance %.1f dB",
		100*r.Match, r.Likeness, r.OffsetMs, r.StretchMs, r.GapMs, r.LSD)
}

// speak lets both speak at once and ends when both have.
func speak(ctx context.Context, t *Teller, call *phone.Call) error {
	customer := call.Say(audiotest.Speech(1, speechTime))
	if t.Rig.Headset != nil {
		agent, err := t.Rig.Headset.Say(ctx, audiotest.Speech(0, speechTime))
		if err != nil {
			return err
		}
		select {
		case <-agent:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-customer:
		return nil
	case <-call.Done():
		return fmt.Errorf("the call ended early: %s", call.Reason())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// agentSaid is what went into the microphone.
func agentSaid(t *Teller) ([]int16, time.Time) {
	if t.Rig.Headset == nil {
		return nil, time.Time{}
	}
	return t.Rig.Headset.Said()
}

// from is a time line cut or padded so that it begins at a moment.
func from(s []int16, start, at time.Time) []int16 {
	n := int(at.Sub(start).Seconds() * pcm.Rate)
	if n >= 0 {
		return s[min(n, len(s)):]
	}
	return append(make([]int16, -n), s...)
}

// Delivered waits until the newest recording has the centre's receipt and
// returns its id.
func Delivered(ctx context.Context, t *Teller) (id string, err error) {
	s := t.Rig.Seat
	err = t.Step("recording sealed on the seat", func() error {
		_, err := s.Await(ctx, "a sealed recording", 10*time.Second, func(v panel.View) bool {
			return len(v.Shift) > 0 && v.Shift[0].Recording != "none" && v.Shift[0].Recording != "making"
		})
		return err
	})
	if err != nil {
		return "", err
	}
	err = t.Step("uploaded, and the centre has signed a receipt", func() error {
		v, err := s.Await(ctx, "the receipt", 30*time.Second, func(v panel.View) bool {
			return len(v.Shift) > 0 && v.Shift[0].Recording == "receipted"
		})
		if err != nil {
			return err
		}
		t.Note("kept until %s", v.Shift[0].KeptUntil.Format(time.DateOnly))
		if id, err = newest(ctx, t); err != nil {
			return err
		}
		return nil
	})
	return id, err
}

// summary is one line of the centre's list.
type summary struct {
	ID     string `json:"id"`
	Seat   string `json:"seat"`
	Seq    uint64 `json:"seq"`
	End    string `json:"end"`
	State  string `json:"state"`
	From   string `json:"from"`
	To     string `json:"to"`
	Agent  string `json:"agent"`
	Answer string `json:"answer_time"`
}

// list is what the centre holds, newest first.
func list(ctx context.Context, t *Teller) ([]summary, error) {
	out, err := t.Rig.Centre.Recordings(ctx)
	if err != nil {
		return nil, err
	}
	var all []summary
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return nil, fmt.Errorf("recordings list: %w", err)
	}
	slices.SortFunc(all, func(a, b summary) int { return cmp.Compare(b.Seq, a.Seq) })
	return all, nil
}

// newest is the id of the centre's newest recording of the customer's call.
func newest(ctx context.Context, t *Teller) (string, error) {
	all, err := list(ctx, t)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", fmt.Errorf("the centre has no recording")
	}
	return all[0].ID, nil
}

// records of a recording and of the one before it: a call and its consultation.
func records(ctx context.Context, t *Teller, id string) (out []vcon.Call, err error) {
	all, err := list(ctx, t)
	if err != nil {
		return nil, err
	}
	for i, r := range all {
		if r.ID != id {
			continue
		}
		for _, r := range all[i:min(i+2, len(all))] {
			c, err := recordOf(ctx, t, r.ID)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	}
	return out, nil
}

func namesBoth(ctx context.Context, t *Teller, id string) error {
	rec, err := t.Rig.Centre.Show(ctx, id)
	if err != nil {
		return err
	}
	for _, want := range []string{rig.CustomerNumber, rig.SeatUser, Agent} {
		if !strings.Contains(rec, want) {
			return fmt.Errorf("%q is not in the centre's record", want)
		}
	}
	return nil
}

func exportedWAV(dir string) (pcm.WAV, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.wav"))
	if err != nil || len(found) != 1 {
		return pcm.WAV{}, fmt.Errorf("%d WAV files in %s", len(found), dir)
	}
	f, err := os.Open(found[0])
	if err != nil {
		return pcm.WAV{}, err
	}
	defer f.Close()
	return pcm.ReadWAV(f)
}
