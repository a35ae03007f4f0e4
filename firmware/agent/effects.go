package agent

import "time"

// effects says what must be done because a became b.
func effects(a, b State, r Rules) []Effect {
	var fx []Effect
	add := func(e Effect) { fx = append(fx, e) }

	if b.Agent != "" && b.Avail != b.Confirmed && (a.Avail != b.Avail || a.Agent == "") {
		add(Effect{Kind: TellPBX, Avail: b.Avail})
	}
	if (a.Phase == Ringing) != (b.Phase == Ringing) {
		k := StopRing
		if b.Phase == Ringing {
			k = StartRing
		}
		add(Effect{Kind: k, Call: b.Call})
	}
	if a.Phase != b.Phase {
		phaseEffects(a, b, add)
	}
	if b.Consult == Dialling && b.Phase == Held && b.ConsultID == "" && (a.Consult != Dialling || a.Phase != Held) {
		add(Effect{Kind: DialConsult, Target: b.Target})
	}
	if a.ConsultID != "" && b.ConsultID == "" && b.Phase != Idle {
		add(Effect{Kind: HangUpConsult, Call: a.ConsultID})
	}
	if a.Muted != b.Muted {
		add(Effect{Kind: MuteMic, On: b.Muted})
		if !b.Muted && b.Phase == Talking {
			add(Effect{Kind: CueUnmute})
		}
	}
	if a.Volume != b.Volume {
		add(Effect{Kind: SetGain, DB: b.Volume})
	}
	if b.Phase == Held {
		if passed(a, b, b.HeldAt+r.HoldCue) {
			add(Effect{Kind: CueHold})
		}
		if passed(a, b, b.HeldAt+r.HoldMax) {
			add(Effect{Kind: AlarmHold})
		}
	}
	if b.Muted && b.Phase == Talking && passed(a, b, b.MutedAt+r.MuteCue) {
		add(Effect{Kind: CueMute})
	}
	if a.RecPaused() != b.RecPaused() && a.Rec.On && b.Rec.On {
		k := ResumeRec
		if b.RecPaused() {
			k = PauseRec
		}
		add(Effect{Kind: k})
	}
	if a.Rec.Failed != b.Rec.Failed {
		add(Effect{Kind: AlarmRec, On: b.Rec.Failed})
	}
	if a.HelpAt != b.HelpAt {
		add(Effect{Kind: AskHelp})
	}
	if !sameLamps(Lamps(a, r), Lamps(b, r)) {
		add(Effect{Kind: ShowLamps})
	}
	rings := a.Rings(r)
	if a.Now = b.Now; a != b || rings != b.Rings(r) {
		add(Effect{Kind: ShowView})
	}
	return fx
}

func phaseEffects(a, b State, add func(Effect)) {
	switch b.Phase {
	case Answering:
		add(Effect{Kind: AnswerCall, Call: b.Call})
	case Dialling:
		add(Effect{Kind: StartDial, Call: b.Call, Target: b.Target})
	case Holding:
		add(Effect{Kind: HoldCall, Call: b.Call})
	case Resuming:
		add(Effect{Kind: ResumeCall, Call: b.Call})
	case Transferring:
		add(Effect{Kind: SendTransfer, Call: b.Call, Target: b.Target, Blind: b.Blind})
	case Ending:
		if a.Phase == Ringing {
			add(Effect{Kind: RejectCall, Call: b.Call, Code: b.Code})
		} else {
			add(Effect{Kind: HangUpCall, Call: b.Call})
		}
		if b.ConsultID != "" {
			add(Effect{Kind: HangUpConsult, Call: b.ConsultID})
		}
	case Idle:
		if a.Phase != Ending && a.ConsultID != "" {
			add(Effect{Kind: HangUpConsult, Call: a.ConsultID})
		}
	}
}

// passed says that the moment t came between a and b.
func passed(a, b State, t time.Duration) bool { return a.Now < t && t <= b.Now }
