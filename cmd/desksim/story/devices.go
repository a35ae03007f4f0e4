package story

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"deskset/audio/pcm"
	"deskset/cmd/desksim/rig"
	"deskset/firmware/panel"
)

var devices = []Story{
	{Name: "headset-pulled", What: "the headset is pulled in a call and put back; no other microphone is ever used", Plot: headsetPulled},
}

func headsetPulled(ctx context.Context, t *Teller) error {
	end, stopAll := context.WithCancel(ctx)
	defer stopAll()
	err := t.Step("another microphone is there, somebody talks into it", func() error {
		return t.Rig.Headset.SpareMic(end, spareVoice.sing(long))
	})
	if err != nil {
		return err
	}
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	agent, cust := agentPerson(t), customer(call)
	began := time.Now()
	if err := t.Step("both hear each other", func() error { return converse(ctx, t, agent, cust) }); err != nil {
		return err
	}
	stop, err := cust.speak(ctx)
	if err != nil {
		return err
	}
	defer stop()
	err = t.Step("the headset is pulled: shown, the call stays up, REC on", func() error {
		pulled := time.Now()
		if err := t.Rig.Headset.Unplug(ctx); err != nil {
			return err
		}
		v, err := t.Rig.Seat.Await(ctx, "the missing headset", 5*time.Second, func(v panel.View) bool { return !v.Headset.Present })
		if err != nil {
			return err
		}
		t.Note("after %d ms", time.Since(pulled).Milliseconds())
		if v.State != panel.Talking || !v.Rec.On || v.Rec.Failed != "" {
			return fmt.Errorf("the seat is %s, recording %+v", v.State, v.Rec)
		}
		return quietLine(call, 3*time.Second)
	})
	if err != nil {
		return err
	}
	plugged := time.Now()
	err = t.Step("put back: sound within a second", func() error {
		if err := t.Rig.Headset.Plug(ctx); err != nil {
			return err
		}
		there := time.Now() // from here on the device could bring a frame
		at, err := agent.hears(ctx, cust.voice, plugged, 5*time.Second)
		if err != nil {
			return err
		}
		t.Note("heard %d ms after the device was there", at.Sub(there).Milliseconds())
		if d := at.Sub(there); d > time.Second {
			return fmt.Errorf("sound only after %v", d)
		}
		return nil
	})
	if err != nil {
		return err
	}
	stop()
	if err := t.Step("both hear each other again", func() error { return converse(ctx, t, agent, cust) }); err != nil {
		return err
	}
	err = t.Step("the customer never heard the other microphone", func() error { return cust.neverHears(t, spareVoice, began, time.Now()) })
	if err != nil {
		return err
	}
	if err := customerHangsUp(ctx, t, call); err != nil {
		return err
	}
	wav, id, err := deliveredWAV(ctx, t)
	if err != nil {
		return err
	}
	err = t.Step("nor did the recording", func() error {
		a, c := spareVoice.loudest(wav.Channel(0)), spareVoice.loudest(wav.Channel(1))
		t.Note("at %.0f dB and %.0f dB", a, c)
		if a > heardNot || c > heardNot {
			return fmt.Errorf("it is there at %.0f dB and %.0f dB", a, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.Step("the record says when there was no headset", func() error {
		c, err := recordOf(ctx, t, id)
		if err != nil {
			return err
		}
		for _, s := range c.NoHeadset {
			if s.ToMs-s.FromMs > 2500 {
				t.Note("%d ms to %d ms", s.FromMs, s.ToMs)
				return nil
			}
		}
		return fmt.Errorf("no headset: %+v", c.NoHeadset)
	})
}

// deliveredWAV waits for the newest recording, exports it with the offline key
// and reads the sound: agent left, customer right.
func deliveredWAV(ctx context.Context, t *Teller) (wav pcm.WAV, id string, err error) {
	if id, err = Delivered(ctx, t); err != nil {
		return wav, "", err
	}
	wav, err = exported(ctx, t, id, t.Rig.Centre.Export)
	return wav, id, err
}

// exported opens a recording with the offline key.
func exported(ctx context.Context, t *Teller, id string, export func(ctx context.Context, id, out string) error) (wav pcm.WAV, err error) {
	err = t.Step("exported with the offline key", func() error {
		out := filepath.Join(t.Rig.Opt.Dir, "export-"+id)
		if err := export(ctx, id, out); err != nil {
			return err
		}
		wav, err = exportedWAV(out)
		t.Note("%.1f s", float64(wav.Frames())/pcm.Rate)
		return err
	})
	return wav, err
}
