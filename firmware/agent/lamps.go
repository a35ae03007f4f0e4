package agent

import "deskset/firmware/panel"

// Lamps is the panel's table: what each lamp shows in a state. Pure, so the
// lamp of a state can never depend on how the seat got there.
func Lamps(s State, r Rules) map[panel.Lamp]panel.Light {
	m := make(map[panel.Lamp]panel.Light, len(panel.Lamps))
	for _, l := range panel.Lamps {
		m[l] = panel.Light{Colour: panel.Off, Blink: panel.Steady}
	}
	on := func(l panel.Lamp, b panel.Blink) { m[l] = panel.Light{Colour: panel.On, Blink: b} }
	beacon := func(c panel.Colour, b panel.Blink) { m[panel.Beacon] = panel.Light{Colour: c, Blink: b} }

	if s.Online {
		on(panel.LampLink, panel.Steady)
	}
	switch s.Name() {
	case panel.SignedOut:
		beacon(panel.Off, panel.Steady)
		if !s.Online {
			beacon(panel.White, panel.Slow) // booting, or no line yet
		}
	case panel.Offline:
		beacon(panel.Red, panel.Double)
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
		if s.HeldAt != 0 && s.Now >= s.HeldAt+r.HoldMax {
			beacon(panel.RedAmber, panel.Hz2)
		}
		on(panel.LampAnswer, panel.Hz1)
	case panel.BusyState:
		beacon(panel.Amber, panel.Steady)
		on(panel.LampBusy, panel.Steady)
	case panel.WrapUp:
		beacon(panel.Yellow, panel.Steady)
		on(panel.LampACW, panel.Steady)
		if s.Now >= s.WrapEnd-WrapUpWarn {
			beacon(panel.Yellow, panel.Hz1)
			on(panel.LampACW, panel.Hz1)
		}
	case panel.DNDState:
		beacon(panel.Purple, panel.Steady)
		on(panel.LampDND, panel.Steady)
	}
	if s.Muted {
		on(panel.LampMute, panel.Steady)
	}
	switch {
	case s.Rec.Failed:
		on(panel.LampRec, panel.Hz2)
	case s.RecPaused():
		on(panel.LampRec, panel.Hz1)
	case s.Rec.On:
		on(panel.LampRec, panel.Steady)
	}
	if l, ok := asked(s); ok {
		on(l, panel.Short)
	}
	if l, ok := lampOf(s.Touched); ok { // the edge's own tick: the key is seen
		on(l, panel.Short)
	}
	if s.Stuck != "" && s.Phase == Idle { // a fault hides no call
		beacon(panel.Red, panel.Double)
	}
	return m
}

// asked is the lamp of a key that was pressed and is not yet confirmed.
func asked(s State) (panel.Lamp, bool) {
	switch s.Pending() {
	case panel.BusyState:
		return panel.LampBusy, true
	case panel.WrapUp:
		return panel.LampACW, true
	case panel.DNDState:
		return panel.LampDND, true
	default:
		return "", false
	}
}

func lampOf(k panel.Key) (panel.Lamp, bool) {
	switch k {
	case panel.Answer:
		return panel.LampAnswer, true
	case panel.Busy:
		return panel.LampBusy, true
	case panel.ACW:
		return panel.LampACW, true
	case panel.DND:
		return panel.LampDND, true
	case panel.Mute:
		return panel.LampMute, true
	case panel.RecPause:
		return panel.LampRec, true
	default:
		return "", false
	}
}

func sameLamps(a, b map[panel.Lamp]panel.Light) bool {
	for l, x := range a {
		if b[l] != x {
			return false
		}
	}
	return true
}
