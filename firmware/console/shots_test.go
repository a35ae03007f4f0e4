package console_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/console/consoletest"
	"deskset/firmware/panel"
)

// scenes are states of a seat as an agent meets them.
var scenes = map[string]func(*panel.View, time.Time){
	"ready": func(v *panel.View, now time.Time) { v.Since = now.Add(-94 * time.Second) },
	"ringing": func(v *panel.View, now time.Time) {
		v.State, v.Since = panel.Ringing, now.Add(-6*time.Second)
		v.Calls = []panel.Call{{ID: "c", Direction: "in", Peer: "02155501234", Queue: queueName(v), Phase: "ringing", Began: v.Since, Rings: 2}}
	},
	"talking": func(v *panel.View, now time.Time) { talking(v, now) },
	"hold": func(v *panel.View, now time.Time) {
		talking(v, now)
		v.State, v.Since = panel.Hold, now.Add(-19*time.Second)
		v.Calls[0].Phase, v.Calls[0].HeldSince = "held", v.Since
		v.Headset.MicDB, v.Headset.EarDB = -41, -96
		v.Notice = console.NoticeHoldCue
	},
	"consult": func(v *panel.View, now time.Time) {
		talking(v, now)
		v.State = panel.Hold
		v.Calls[0].Phase, v.Calls[0].HeldSince = "held", now.Add(-8*time.Second)
		v.Calls = append(v.Calls, panel.Call{ID: "d", Direction: "out", Peer: "801", Phase: "consult", Began: now.Add(-8 * time.Second), Answered: now.Add(-5 * time.Second)})
	},
	"muted-paused": func(v *panel.View, now time.Time) {
		talking(v, now)
		v.Headset.Muted = true
		v.Rec.Paused, v.Rec.Until = true, now.Add(42*time.Second)
		v.Pending = panel.BusyState
		v.Notice = console.NoticePending
	},
	"wrap-up": func(v *panel.View, now time.Time) {
		v.State, v.Since, v.Until = panel.WrapUp, now.Add(-18*time.Second), now.Add(42*time.Second)
	},
	"busy": func(v *panel.View, now time.Time) {
		v.State, v.Since, v.Reason = panel.BusyState, now.Add(-312*time.Second), "meal"
	},
	"offline": func(v *panel.View, now time.Time) {
		v.State, v.Since = panel.Offline, now.Add(-7*time.Second)
		v.Links.PBX = false
		v.Health[0] = panel.Health{Part: "pbx", Code: "pbx-unreachable", Text: "dial 10.0.0.5:8089: connection refused"}
		v.Notice = console.NoticeOffline
	},
}

func queueName(v *panel.View) string {
	if v.Lang == "en" {
		return "Billing"
	}
	return "账单咨询"
}

func talking(v *panel.View, now time.Time) {
	v.State, v.Since = panel.Talking, now.Add(-83*time.Second)
	v.Calls = []panel.Call{{ID: "c", Direction: "in", Peer: "02155501234", Queue: queueName(v), Phase: "talking", Began: v.Since, Answered: v.Since}}
	v.Rec = panel.Rec{On: true, Source: "taps"}
	v.Headset.MicDB, v.Headset.EarDB = -23, -14
}

// aDay is the shift of an agent by mid-morning.
func aDay(v *panel.View, now time.Time) {
	kept := now.AddDate(0, 0, 30)
	v.Shift = []panel.Item{
		{ID: "5", Direction: "in", Peer: "02155501877", Began: now.Add(-9 * time.Minute), Seconds: 142, Recording: "sealed"},
		{ID: "4", Direction: "in", Peer: "01065550199", Began: now.Add(-16 * time.Minute), Seconds: 201, Recording: "uploading"},
		{ID: "3", Direction: "out", Peer: "801", Began: now.Add(-25 * time.Minute), Seconds: 48, Recording: "receipted", KeptUntil: kept},
		{ID: "2", Direction: "in", Peer: "057185550106", Began: now.Add(-41 * time.Minute), Recording: "none"},
		{ID: "1", Direction: "in", Peer: "02085550143", Began: now.Add(-52 * time.Minute), Seconds: 305, Recording: "receipted", KeptUntil: kept},
	}
}

// Every state in both languages, at a desk's and a phone's width: nothing is
// wider than the screen, every key is readable, and a person can look at it
// (DESKSET_SHOTS=DIR keeps the pictures).
func pageScenes(t *testing.T, b *browser) {
	seat := signedIn(t)
	s := serve(t, seat, nil)
	p := b.open(t, s.URL(), 1280, 860)
	pairPage(p, s)
	empty := seat.View()
	for _, lang := range console.Languages {
		for name, scene := range scenes {
			seat.Set(func(v *panel.View) {
				*v = empty
				v.Health = append([]panel.Health(nil), empty.Health...)
				v.Lang = lang
				aDay(v, time.Now())
				scene(v, time.Now())
				v.Lamps = nil
			})
			state := seat.View().State
			p.until(fmt.Sprintf("document.documentElement.lang === %q && document.querySelector('.seat').dataset.state === %q", lang, state))
			p.until(fmt.Sprintf("document.querySelectorAll('.person:not([hidden])').length === %d", len(seat.View().Calls)))
			p.shoot(name + "-" + lang)
			p.size(360, 740)
			narrow(t, p, name+" "+lang)
			p.shoot(name + "-" + lang + "-phone")
			p.size(320, 640)
			narrow(t, p, name+" "+lang+" at 320 px")
			p.size(1280, 860)
		}
	}
	// The same in the dark, in high contrast, and without colour.
	p.media("prefers-color-scheme", "dark")
	show(seat, "talking", empty)
	p.until("document.querySelector('.seat').dataset.state === 'talking'")
	p.shoot("talking-dark")
	p.media("prefers-color-scheme", "dark", "forced-colors", "active")
	p.shoot("talking-high-contrast")
	p.media("prefers-color-scheme", "light")
	p.do("Emulation.setEmulatedVisionDeficiency", map[string]any{"type": "achromatopsia"})
	p.shoot("talking-no-colour")
	if c := p.complaints(); len(c) > 0 {
		t.Errorf("the page complains: %s", strings.Join(c, "\n"))
	}
}

func show(seat *consoletest.Fake, name string, from panel.View) {
	seat.Set(func(v *panel.View) {
		*v = from
		aDay(v, time.Now())
		scenes[name](v, time.Now())
		v.Lamps = nil
	})
}

// narrow finds what sticks out of the screen, and words that are cut off.
func narrow(t *testing.T, p *tab, what string) {
	t.Helper()
	p.until("innerWidth <= 360")
	var out []string
	if err := p.eval(`(() => {
		const wide = document.documentElement.scrollWidth > innerWidth ? ['the page: ' + document.documentElement.scrollWidth] : [];
		for (const e of document.querySelectorAll('#app *')) {
			if (!e.checkVisibility() || e.closest('.lamp, .bar, .filling')) continue;
			const r = e.getBoundingClientRect();
			if (r.width && (r.right > innerWidth + .5 || r.left < -.5)) wide.push(e.className + ' ' + r.left + '..' + r.right);
			if (e.matches('button, .label, .word') && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline') wide.push('cut: ' + e.className + ' ' + e.textContent);
		}
		return wide;
	})()`, &out); err != nil {
		t.Fatal(err)
	}
	if len(out) > 0 {
		t.Errorf("%s: %s", what, strings.Join(out, "\n"))
	}
}
