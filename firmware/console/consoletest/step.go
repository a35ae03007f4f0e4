package consoletest

import (
	"time"

	"deskset/firmware/console"
	"deskset/firmware/panel"
)

func refuse(code string) error { return &console.Error{Code: code} }

// step is what a seat does with an action, without a PBX to wait for.
func (f *Fake) step(v *panel.View, a console.Action) error {
	now := f.now()
	var call *panel.Call
	if len(v.Calls) > 0 {
		call = &v.Calls[0]
	}
	needCall := func(phases ...string) error {
		if call == nil {
			return refuse(console.CodeNoCall)
		}
		for _, p := range phases {
			if call.Phase == p {
				return nil
			}
		}
		return refuse(console.CodeNotNow)
	}
	become := func(s panel.State) error {
		if v.Agent == "" {
			return refuse(console.CodeSignedOut)
		}
		if call != nil {
			v.Pending, v.Notice = s, console.NoticePending
			return nil
		}
		v.State, v.Since, v.Pending, v.Reason, v.Until = s, now, "", "", time.Time{}
		if s == panel.WrapUp {
			v.Until = now.Add(time.Minute)
		}
		return nil
	}
	switch a.Kind {
	case console.PressKey:
		return f.press(v, a)
	case console.Answer:
		if err := needCall("ringing"); err != nil {
			return err
		}
		call.Phase, call.Answered = "talking", now
		v.State, v.Since, v.Rec = panel.Talking, now, panel.Rec{On: true, Source: "taps"}
	case console.Reject:
		if err := needCall("ringing"); err != nil {
			return err
		}
		v.Calls, v.State, v.Since = []panel.Call{}, panel.Ready, now
	case console.Hangup:
		if err := needCall("talking", "held", "dialling", "consult"); err != nil {
			return err
		}
		if call.Phase == "talking" && !now.Before(v.ConfirmUntil) {
			v.ConfirmUntil, v.Notice = now.Add(3*time.Second), console.NoticeConfirmHangup
			return nil
		}
		seconds := 0
		if !call.Answered.IsZero() {
			seconds = int(now.Sub(call.Answered) / time.Second)
		}
		v.Shift = append([]panel.Item{{ID: call.ID, Direction: call.Direction, Peer: call.Peer, Began: call.Began,
			Seconds: seconds, Recording: "sealed"}}, v.Shift...)
		v.Calls, v.Rec, v.ConfirmUntil, v.Notice, call = []panel.Call{}, panel.Rec{}, time.Time{}, "", nil
		if v.Agent == "" {
			v.State = panel.SignedOut
			return nil
		}
		return become(panel.WrapUp)
	case console.Hold:
		if err := needCall("talking"); err != nil {
			return err
		}
		call.Phase, call.HeldSince, v.State, v.Since = "held", now, panel.Hold, now
	case console.Resume:
		if err := needCall("held"); err != nil {
			return err
		}
		call.Phase, call.HeldSince, v.State, v.Since = "talking", time.Time{}, panel.Talking, now
	case console.Mute, console.Unmute:
		v.Headset.Muted = a.Kind == console.Mute
	case console.DTMF:
		if err := needCall("talking"); err != nil {
			return err
		}
		call.Digits++
	case console.Dial:
		if v.Agent == "" {
			return refuse(console.CodeSignedOut)
		}
		if !v.Limits.Dial {
			return refuse(console.CodeDialRefused)
		}
		if call != nil {
			return refuse(console.CodeNotNow)
		}
		v.Calls = []panel.Call{{ID: "call-out", Direction: "out", Peer: a.Target, Phase: "dialling", Began: now}}
		v.State, v.Since = panel.Dialling, now
	case console.TransferBlind:
		if err := needCall("talking", "held"); err != nil {
			return err
		}
		if !v.Limits.BlindTransfer {
			return refuse(console.CodeBlindRefused)
		}
		v.Calls, v.Rec, v.Notice, call = []panel.Call{}, panel.Rec{}, console.NoticeTransferred, nil
		return become(panel.WrapUp)
	case console.Consult:
		if err := needCall("talking", "held"); err != nil {
			return err
		}
		call.Phase, call.HeldSince = "held", now
		v.Calls = append(v.Calls, panel.Call{ID: "call-consult", Direction: "out", Peer: a.Target, Phase: "consult", Began: now, Answered: now})
	case console.TransferComplete, console.TransferCancel:
		if len(v.Calls) < 2 {
			return refuse(console.CodeNotNow)
		}
		if a.Kind == console.TransferCancel {
			v.Calls = v.Calls[:1]
			v.Calls[0].Phase, v.Calls[0].HeldSince = "talking", time.Time{}
			v.State, v.Since = panel.Talking, now
			return nil
		}
		v.Calls, v.Rec, v.Notice, call = []panel.Call{}, panel.Rec{}, console.NoticeTransferred, nil
		return become(panel.WrapUp)
	case console.SignIn:
		if v.Agent != "" {
			return refuse(console.CodeAlreadyIn)
		}
		v.Agent, v.State, v.Since = a.Agent, panel.Ready, now
	case console.SignOut:
		if v.Agent == "" {
			return refuse(console.CodeSignedOut)
		}
		if call != nil {
			return refuse(console.CodeLastCallRunning)
		}
		v.Agent, v.State, v.Since, v.Shift, v.Pending, v.Notice = "", panel.SignedOut, now, []panel.Item{}, "", ""
	case console.Ready:
		return become(panel.Ready)
	case console.Busy:
		if err := become(panel.BusyState); err != nil {
			return err
		}
		v.Reason = a.Reason
	case console.WrapUp:
		return become(panel.WrapUp)
	case console.DND:
		return become(panel.DNDState)
	case console.Lang:
		v.Lang = a.Lang
	case console.Volume:
		v.Headset.Volume = a.DB
	case console.RecPause:
		if !v.Rec.On {
			return refuse(console.CodeNotRecording)
		}
		v.Rec.Paused, v.Rec.Until = true, now.Add(time.Minute)
	case console.RecResume:
		if !v.Rec.Paused {
			return refuse(console.CodeNotRecording)
		}
		v.Rec.Paused, v.Rec.Until = false, time.Time{}
	default:
		return refuse(console.CodeUnknownAction)
	}
	return nil
}

// press is a key of the desk: short, or held for its time.
func (f *Fake) press(v *panel.View, a console.Action) error {
	toggle := func(s panel.State, k console.Kind) error {
		if v.State == s || v.Pending == s {
			k = console.Ready
		}
		return f.step(v, console.Action{Kind: k})
	}
	switch a.Key {
	case panel.Answer:
		if v.State == panel.Ringing {
			return f.step(v, console.Action{Kind: console.Answer})
		}
		return f.step(v, console.Action{Kind: console.Hangup})
	case panel.Busy:
		return toggle(panel.BusyState, console.Busy)
	case panel.ACW:
		return toggle(panel.WrapUp, console.WrapUp)
	case panel.DND:
		return toggle(panel.DNDState, console.DND)
	case panel.Mute:
		v.Headset.Muted = !v.Headset.Muted
	case panel.RecPause:
		if !a.Held {
			return nil
		}
		if v.Rec.Paused {
			return f.step(v, console.Action{Kind: console.RecResume})
		}
		return f.step(v, console.Action{Kind: console.RecPause})
	case panel.VolUp:
		v.Headset.Volume = min(6, v.Headset.Volume+3)
	case panel.VolDown:
		v.Headset.Volume = max(-24, v.Headset.Volume-3)
	case panel.Help:
		if a.Held {
			v.Notice = console.NoticeHelpSent
		} else {
			v.Notice = console.NoticeFaultSent
		}
	}
	return nil
}

// lamps is the panel's table.
func lamps(v panel.View) map[panel.Lamp]panel.Light {
	dark := panel.Light{Colour: panel.Off, Blink: panel.Steady}
	m := map[panel.Lamp]panel.Light{}
	for _, l := range panel.Lamps {
		m[l] = dark
	}
	on := func(l panel.Lamp, b panel.Blink) { m[l] = panel.Light{Colour: panel.On, Blink: b} }
	beacon := func(c panel.Colour, b panel.Blink) { m[panel.Beacon] = panel.Light{Colour: c, Blink: b} }
	on(panel.LampLink, panel.Steady)
	switch v.State {
	case panel.Ready:
		beacon(panel.Green, panel.Steady)
	case panel.Ringing:
		beacon(panel.Blue, panel.Hz2)
		on(panel.LampAnswer, panel.Hz2)
	case panel.Dialling, panel.Talking:
		beacon(panel.Red, panel.Steady)
		on(panel.LampAnswer, panel.Steady)
	case panel.Hold:
		beacon(panel.RedAmber, panel.Hz1)
		on(panel.LampAnswer, panel.Hz1)
	case panel.WrapUp:
		beacon(panel.Yellow, panel.Steady)
		on(panel.LampACW, panel.Steady)
	case panel.BusyState:
		beacon(panel.Amber, panel.Steady)
		on(panel.LampBusy, panel.Steady)
		if v.OverLimit {
			beacon(panel.Amber, panel.Hz1)
		}
	case panel.DNDState:
		beacon(panel.Purple, panel.Steady)
		on(panel.LampDND, panel.Steady)
	case panel.Offline:
		beacon(panel.Red, panel.Double)
		m[panel.LampLink] = dark
	}
	switch v.Pending {
	case panel.BusyState:
		on(panel.LampBusy, panel.Short)
	case panel.WrapUp:
		on(panel.LampACW, panel.Short)
	case panel.DNDState:
		on(panel.LampDND, panel.Short)
	}
	if v.Headset.Muted {
		on(panel.LampMute, panel.Steady)
	}
	switch {
	case v.Rec.Failed != "":
		on(panel.LampRec, panel.Hz2)
	case v.Rec.Paused:
		on(panel.LampRec, panel.Hz1)
	case v.Rec.On:
		on(panel.LampRec, panel.Steady)
	}
	return m
}
