package seat

import (
	"testing"
	"testing/synctest"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/panel"
)

// TestPanelBetweenCalls is the panel's table from the pin to the lamp, as far
// as no call is needed; TestInboundCall has the rest.
func TestPanelBetweenCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s := &stage{bench: b}
		synctest.Wait()
		s.lamp(panel.Beacon, panel.White, panel.Slow) // booting
		s.lamp(panel.LampLink, panel.Off, panel.Steady)
		if h := health(b.seat.View(), "pbx"); h.Code != "starting" {
			t.Errorf("%+v", h)
		}
		s.l = b.register()
		s.lamp(panel.Beacon, panel.Off, panel.Steady) // signed out
		s.lamp(panel.LampLink, panel.On, panel.Steady)
		b.do(console.Action{Kind: console.SignIn, Agent: "7041"})
		s.lamp(panel.Beacon, panel.Green, panel.Steady)

		for _, c := range []struct {
			key    panel.Key
			lamp   panel.Lamp
			beacon panel.Colour
			state  panel.State
		}{
			{panel.Busy, panel.LampBusy, panel.Amber, panel.BusyState},
			{panel.ACW, panel.LampACW, panel.Yellow, panel.WrapUp},
			{panel.DND, panel.LampDND, panel.Purple, panel.DNDState},
		} {
			b.press(c.key)
			b.state(c.state)
			s.lamp(panel.Beacon, c.beacon, panel.Steady)
			s.lamp(c.lamp, panel.On, panel.Steady)
			b.press(c.key) // the same key again
			b.state(panel.Ready)
			s.lamp(c.lamp, panel.Off, panel.Steady)
		}

		// A key that is held for 30 s is a fault.
		b.edge(panel.VolUp, true)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		s.lamp(panel.Beacon, panel.Red, panel.Double)
		if h := health(b.seat.View(), "panel"); h.Code != "key-stuck" || h.Text != "vol-up" {
			t.Errorf("%+v", h)
		}
		b.edge(panel.VolUp, false)
		synctest.Wait()
		s.lamp(panel.Beacon, panel.Green, panel.Steady)

		// No key takes the volume beyond its limits.
		for range 5 {
			b.press(panel.VolUp)
		}
		if v := b.seat.View().Headset.Volume; v != 6 {
			t.Errorf("volume %+d dB", v)
		}

		b.link.Cut()
		b.state(panel.Offline)
		s.lamp(panel.Beacon, panel.Red, panel.Double)
		s.lamp(panel.LampLink, panel.Off, panel.Steady)
	})
}

// TestPressedInACall: pending, with the lamp's short blink, until the call ends.
func TestPressedInACall(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		_, d := s.talk("call-1")
		s.press(panel.Busy)
		s.lamp(panel.LampBusy, panel.On, panel.Short)
		if v := s.seat.View(); v.Pending != panel.BusyState || v.State != panel.Talking {
			t.Errorf("%s, pending %q", v.State, v.Pending)
		}
		d.Request("BYE", "")
		s.l.Expect("200")
		s.state(panel.BusyState)
		s.lamp(panel.LampBusy, panel.On, panel.Steady)
	})
}

// TestLampsThatDoNotObey are set again, and the seat goes on.
func TestLampsThatDoNotObey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.register()
		b.lamps.refuse(true)
		b.do(console.Action{Kind: console.SignIn, Agent: "7041"})
		b.state(panel.Ready)
		if c, _ := b.lamps.get(panel.Beacon); c == panel.Green {
			t.Error("a lamp obeyed")
		}
		b.lamps.refuse(false)
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if c, _ := b.lamps.get(panel.Beacon); c != panel.Green {
			t.Errorf("beacon %s", c)
		}
	})
}
