package story

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"deskset/audio/pcm"
	"deskset/cmd/desksim/rig"
	"deskset/firmware/panel"
	"deskset/firmware/vault"
)

var recordings = []Story{
	{Name: "rec-pause", What: "what is said while REC is paused is in no leg of the recording", Plot: recPause},
	{Name: "killed", What: "deskset is killed in a call: the recording is recovered, both numbers are in it", Plot: killed},
	{Name: "disk-full", What: "the disk fills up in a call: the call goes on, REC failed is shown", Plot: diskFull, Root: true,
		Own: func(o *rig.Options) { o.StateSize = vault.DefaultReserve + smallDisk }},
}

func recPause(ctx context.Context, t *Teller) error {
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	agent, cust := agentPerson(t), customer(call)
	if err := t.Step("both hear each other", func() error { return converse(ctx, t, agent, cust) }); err != nil {
		return err
	}
	hold := func(name string, paused bool) error {
		return t.Step(name, func() error {
			if err := t.Rig.Seat.Hold(panel.RecPause, 1200*time.Millisecond); err != nil {
				return err
			}
			_, err := t.Rig.Seat.Await(ctx, name, 2*time.Second, func(v panel.View) bool { return v.Rec.On && v.Rec.Paused == paused })
			return err
		})
	}
	if err := hold("REC-PAUSE held: paused, shown", true); err != nil {
		return err
	}
	// The secret, in voices that sound at no other time.
	secretly := agent
	secretly.voice, secretly.speak = spareVoice, func(ctx context.Context) (func(), error) {
		ctx, stop := context.WithCancel(ctx)
		done, err := t.Rig.Headset.Say(ctx, spareVoice.sing(long))
		return func() { stop(); <-done }, err
	}
	secret := phonePerson("customer", colleagueVoice, call)
	err = t.Step("a card number is told, both hear each other", func() error {
		if err := converse(ctx, t, secretly, secret); err != nil {
			return err
		}
		time.Sleep(time.Second) // what was said is through
		return nil
	})
	if err != nil {
		return err
	}
	if err := hold("REC-PAUSE held again: recording", false); err != nil {
		return err
	}
	if err := t.Step("both hear each other", func() error { return converse(ctx, t, agent, cust) }); err != nil {
		return err
	}
	if err := customerHangsUp(ctx, t, call); err != nil {
		return err
	}
	wav, id, err := deliveredWAV(ctx, t)
	if err != nil {
		return err
	}
	err = t.Step("no leg has the secret, both have the rest", func() error {
		a, c := wav.Channel(0), wav.Channel(1)
		t.Note("secret at %.0f and %.0f dB, the rest at %.0f and %.0f dB", spareVoice.loudest(a), colleagueVoice.loudest(c), agentVoice.loudest(a), customerVoice.loudest(c))
		for _, s := range [][]int16{a, c} {
			for _, v := range []voice{spareVoice, colleagueVoice} {
				if l := v.loudest(s); l > heardNot || v.first(s) >= 0 {
					return fmt.Errorf("the secret is there at %.0f dB", l)
				}
			}
		}
		if agentVoice.first(a) < 0 || customerVoice.first(c) < 0 {
			return fmt.Errorf("the rest is not there")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.Step("the record has the pause", func() error {
		c, err := recordOf(ctx, t, id)
		if err == nil && (len(c.Pauses) != 1 || c.Pauses[0].By != "agent") {
			err = fmt.Errorf("pauses %+v", c.Pauses)
		}
		return err
	})
}

// oneSync is how long the sync of a segment may take.
const oneSync = 300 * time.Millisecond

func killed(ctx context.Context, t *Teller) error {
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	agent, cust := agentPerson(t), customer(call)
	before, err := list(ctx, t)
	if err != nil {
		return err
	}
	var stop func()
	if err := t.Step("both talk", func() error { stop, err = duet(ctx, t, agent, cust); return err }); err != nil {
		return err
	}
	defer stop()
	var cut time.Time
	err = t.Step("kill -9 in the call, started again", func() error {
		time.Sleep(3 * time.Second) // they talk
		t.Rig.Seat.Kill()
		cut = time.Now()
		t.page = nil
		if err := t.Rig.Seat.Start(ctx); err != nil {
			return err
		}
		t.Note("answers after %d ms", time.Since(cut).Milliseconds())
		return nil
	})
	if err != nil {
		return err
	}
	stop()
	call.Hangup()
	var id string
	err = t.Step("the recording is recovered and delivered", func() error {
		ctx, stop := context.WithTimeout(ctx, 30*time.Second)
		defer stop()
		tick := time.NewTicker(100 * time.Millisecond) // the centre tells nobody here
		defer tick.Stop()
		for {
			all, err := list(ctx, t)
			if err != nil {
				return err
			}
			if len(all) > 0 && (len(before) == 0 || all[0].Seq > before[0].Seq) && all[0].State == "received" {
				if all[0].End != "recovered" {
					return fmt.Errorf("it ended %q", all[0].End)
				}
				id = all[0].ID
				t.Note("%d ms after the kill", time.Since(cut).Milliseconds())
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the centre does not have it")
			case <-tick.C:
			}
		}
	})
	if err != nil {
		return err
	}
	if err := t.Step("the centre's record names both numbers", func() error { return namesBoth(ctx, t, id) }); err != nil {
		return err
	}
	wav, err := exported(ctx, t, id, t.Rig.Centre.ExportCut)
	if err != nil {
		return err
	}
	err = t.Step("at most one second and one sync are lost", func() error {
		lost := cut.Sub(t.Answered) - time.Duration(float64(wav.Frames())/pcm.Rate*float64(time.Second))
		t.Note("%d ms lost of %.1f s", lost.Milliseconds(), cut.Sub(t.Answered).Seconds())
		if lost > time.Second+oneSync {
			return fmt.Errorf("%v lost", lost)
		}
		if agentVoice.first(wav.Channel(0)) < 0 || customerVoice.first(wav.Channel(1)) < 0 {
			return fmt.Errorf("a voice is not in its leg")
		}
		return nil
	})
	if err != nil {
		return err
	}
	if call, err = inCall(ctx, t, rig.SeatUser); err != nil {
		return err
	}
	if err := t.Step("a new call: both hear each other", func() error { return converse(ctx, t, agent, customer(call)) }); err != nil {
		return err
	}
	return customerHangsUp(ctx, t, call)
}

// smallDisk is what the seat's disk has beside its reserve: no slabs fit that
// would hold minutes of a call.
const smallDisk = 24 << 20

// ballast fills the seat's disk until so many bytes are free.
func ballast(t *Teller, free int64) (remove func() error, err error) {
	dir := t.Rig.Seat.File.StateDir
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return nil, err
	}
	size := int64(st.Bavail)*st.Bsize - free
	if size < 0 {
		return nil, fmt.Errorf("the seat's disk has only %d bytes left", int64(st.Bavail)*st.Bsize)
	}
	name := filepath.Join(dir, fmt.Sprintf("ballast-%d", free))
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
		return nil, fmt.Errorf("fill the disk: %w", err)
	}
	return func() error { return os.Remove(name) }, nil
}

func diskFull(ctx context.Context, t *Teller) error {
	vaultDir := filepath.Join(t.Rig.Seat.File.StateDir, "vault")
	err := t.Step("a seat with no file ready, and a nearly full disk", func() error {
		if err := t.Rig.Seat.Stop(); err != nil {
			return err
		}
		slabs, err := filepath.Glob(filepath.Join(vaultDir, "slab.*"))
		if err != nil {
			return err
		}
		for _, s := range slabs {
			if err := os.Remove(s); err != nil {
				return err
			}
		}
		light, err := ballast(t, vault.DefaultReserve-1<<20) // full: nothing is made ready
		if err != nil {
			return err
		}
		t.page = nil
		if err := t.Rig.Seat.Start(ctx); err != nil {
			return err
		}
		_, err = t.Rig.Seat.Await(ctx, "the full disk", 15*time.Second, func(v panel.View) bool {
			for _, h := range v.Health {
				if h.Part == "disk" {
					return h.Code == "disk-full"
				}
			}
			return false
		})
		if err != nil {
			return err
		}
		return light()
	})
	if err != nil {
		return err
	}
	call, err := inCall(ctx, t, rig.Queue)
	if err != nil {
		return err
	}
	agent, cust := agentPerson(t), customer(call)
	var stop func()
	if err := t.Step("both talk", func() error { stop, err = duet(ctx, t, agent, cust); return err }); err != nil {
		return err
	}
	defer stop()
	var free func() error
	err = t.Step("the disk is full: REC failed is shown", func() error {
		if free, err = ballast(t, 0); err != nil {
			return err
		}
		began := time.Now()
		v, err := t.Rig.Seat.Await(ctx, "REC failed", 60*time.Second, func(v panel.View) bool { return v.Rec.Failed != "" })
		if err != nil {
			return err
		}
		t.Note("after %.1f s: %s", time.Since(began).Seconds(), v.Rec.Failed)
		if v.Lamps[panel.LampRec].Blink != panel.Hz2 {
			return fmt.Errorf("the REC lamp shows %+v", v.Lamps[panel.LampRec])
		}
		return nil
	})
	if err != nil {
		return err
	}
	failedAt := time.Now()
	err = t.Step("the call goes on", func() error {
		if err := quietLine(call, 2*time.Second); err != nil {
			return err
		}
		for _, p := range [][2]person{{agent, cust}, {cust, agent}} {
			if _, err := p[0].hears(ctx, p[1].voice, failedAt, 2*time.Second); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = t.Step("room again: REC is healthy", func() error {
		if err := free(); err != nil {
			return err
		}
		began := time.Now()
		_, err := t.Rig.Seat.Await(ctx, "REC healthy", 30*time.Second, func(v panel.View) bool { return v.Rec.On && v.Rec.Failed == "" })
		t.Note("after %d ms", time.Since(began).Milliseconds())
		return err
	})
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second) // they talk
	stop()
	if err := customerHangsUp(ctx, t, call); err != nil {
		return err
	}
	wav, id, err := deliveredWAV(ctx, t)
	if err != nil {
		return err
	}
	return t.Step("what was recorded is there, with both numbers", func() error {
		if agentVoice.first(wav.Channel(0)) < 0 || customerVoice.first(wav.Channel(1)) < 0 {
			return fmt.Errorf("a voice is not in its leg")
		}
		all, err := t.Rig.Centre.Show(ctx, id)
		if err == nil && !strings.Contains(all, rig.CustomerNumber) {
			err = fmt.Errorf("the customer's number is not in the record")
		}
		return err
	})
}
