package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/console/consoletest"
	"deskset/firmware/panel"
)

// pairPage clicks through the pairing with a press on the desk.
func pairPage(p *tab, s *console.Server) {
	p.t.Helper()
	p.click("[data-action=pair]")
	p.until(shown(".code") + " && /^\\d{4}$/.test(document.querySelector('.code').textContent)")
	code, _, _, waiting := s.Pairing()
	if got := p.get("document.querySelector('.code').textContent"); !waiting || got != code {
		p.t.Fatalf("the page shows %s, the seat %s", got, code)
	}
	if !s.KeyPressed(panel.Help) {
		p.t.Fatal("HELP did not confirm")
	}
	p.until(shown(".seat"))
}

func last(f *consoletest.Fake) console.Action {
	all := f.Actions()
	if len(all) == 0 {
		return console.Action{}
	}
	return all[len(all)-1]
}

// waitAction waits until the seat was asked for something.
func waitAction(t *testing.T, f *consoletest.Fake, want console.Action) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if last(f) == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("asked for %+v; want %+v", last(f), want)
		}
	}
}

// The page in a real browser. DESKSET_SHOTS=DIR keeps pictures of it.
func TestPage(t *testing.T) {
	b := startBrowser(t)
	for name, f := range map[string]func(*testing.T, *browser){
		"a shift by mouse and keyboard": pageAShift,
		"lamps as panel.Lit says":       pageLamps,
		"one browser at a time":         pageOneAtATime,
		"a page from yesterday":         pageComesBack,
		"every state in both languages": pageScenes,
	} {
		t.Run(name, func(t *testing.T) { f(t, b) })
	}
}

// The story of a shift.
func pageAShift(t *testing.T, b *browser) {
	seat := consoletest.NewFake(nil)
	s := serve(t, seat, nil)
	p := b.open(t, s.URL(), 1280, 860)
	p.until(shown("[data-action=pair]"))
	p.shoot("pairing-start-en")
	pairPage(p, s)

	p.until(shown("input[name=agent]"))
	p.shoot("signed-out-en")
	p.click("input[name=agent]")
	p.write("1024")
	p.press("Enter")
	p.until("document.querySelector('.seat').dataset.state === 'ready'")
	waitAction(t, seat, console.Action{Kind: console.SignIn, Agent: "1024"})

	// A customer calls; the lamps blink.
	seat.Ring("02155501234", "", "Billing")
	p.until("document.querySelector('.seat').dataset.state === 'ringing'")
	p.until("document.querySelector('.person .number').textContent === '02155501234'")
	p.until("document.querySelector('.queue').textContent === 'Billing'")
	name := p.get("getComputedStyle(document.querySelector('[data-key=answer] .glow')).animationName")
	if name != "lamp-half" {
		t.Errorf("ANSWER's lamp runs %q", name)
	}
	p.click("[data-key=answer]")
	waitAction(t, seat, console.Action{Kind: console.PressKey, Key: panel.Answer})
	p.until("document.querySelector('.seat').dataset.state === 'talking'")

	// By keyboard: mute, keypad and digits, hold, resume.
	p.press("m")
	waitAction(t, seat, console.Action{Kind: console.PressKey, Key: panel.Mute})
	p.until("document.querySelector('[data-key=mute] .word').textContent === 'Muted'")
	p.press("m")
	p.press("k")
	p.until(shown(".pad"))
	p.press("5")
	waitAction(t, seat, console.Action{Kind: console.DTMF, Digit: "5"})
	p.click("[data-digit='#']")
	waitAction(t, seat, console.Action{Kind: console.DTMF, Digit: "#"})
	p.until("document.querySelector('.sent').textContent.startsWith('2 ')")
	p.press("Escape")
	p.until("!(" + shown(".pad") + ")")
	p.press("p")
	p.until("document.querySelector('.seat').dataset.state === 'hold'")
	p.until(shown("[data-bar=state]"))
	p.click("[data-action=hold]")
	p.until("document.querySelector('.seat').dataset.state === 'talking'")

	// REC-PAUSE must be held; a short press does nothing.
	before := len(seat.Actions())
	p.click("[data-key=rec-pause]")
	x, y := p.point("[data-key=rec-pause]")
	p.mouse("mousePressed", x, y)
	p.until("document.querySelector('[data-key=rec-pause]').classList.contains('holding')")
	waitAction(t, seat, console.Action{Kind: console.PressKey, Key: panel.RecPause, Held: true})
	p.mouse("mouseReleased", x, y)
	if n := len(seat.Actions()); n != before+1 {
		t.Errorf("%d actions from one short and one long press", n-before)
	}
	p.until("document.querySelector('.rec').dataset.rec === 'paused'")
	p.until("/1:00|0:5\\d/.test(document.querySelector('.rec').textContent)")

	// A consultation, back, and a blind transfer that the policy refuses.
	p.press("t")
	p.until(shown("[data-form=transfer]"))
	p.write("801")
	p.click("[data-action=consult]")
	waitAction(t, seat, console.Action{Kind: console.Consult, Target: "801"})
	p.until(shown(".person.consult"))
	p.click("[data-action=transfer-cancel]")
	p.until("!(" + shown(".person.consult") + ")")
	seat.Script = func(_ context.Context, a console.Action) (bool, error) {
		if a.Kind == console.TransferBlind {
			return true, &console.Error{Code: console.CodeBlindRefused}
		}
		return false, nil
	}
	p.press("t")
	p.until(shown("[data-form=transfer]"))
	p.write("801")
	p.click("[data-action=transfer-blind]")
	p.until("document.querySelector('.toast')?.textContent === 'Consult first, then transfer.'")
	p.press("Escape")

	// Hanging up on a customer takes two presses.
	p.press("a")
	p.until("document.querySelector('[data-key=answer]').dataset.confirm === ''")
	p.press("a")
	p.until("document.querySelector('.seat').dataset.state === 'wrap-up'")
	p.until("document.querySelectorAll('.items li').length === 1")

	// A key of the panel by Tab and Space.
	p.get("document.querySelector('[data-key=busy]').focus()")
	p.press(" ")
	p.until("document.querySelector('.seat').dataset.state === 'busy'")

	// The other language, at once and for the seat too.
	p.click("[data-lang='zh-CN']")
	p.until("document.querySelector('h1').textContent === '示忙' && document.documentElement.lang === 'zh-CN'")
	if seat.View().Lang != "zh-CN" {
		t.Error("the seat still speaks English")
	}

	// HELP held for 3 s calls the supervisor; let go early it reports a fault.
	p.press("h")
	waitAction(t, seat, console.Action{Kind: console.PressKey, Key: panel.Help})

	// At sign-out nothing of the shift is left, in the page or for the asking.
	p.click("[data-action=sign-out]")
	p.until(shown(".pairing"))
	left := p.get("document.documentElement.outerHTML + JSON.stringify({...localStorage, ...sessionStorage})")
	for _, word := range []string{"02155501234", "1024", "Billing"} {
		if strings.Contains(left, word) {
			t.Errorf("after sign-out the page still holds %q", word)
		}
	}
	if got := p.get("fetch('/api/view').then((r) => r.status)"); got != "401" {
		t.Errorf("after sign-out the view is answered with %s", got)
	}
	p.shoot("signed-out-after-zh-CN")

	for _, c := range p.complaints() {
		if !strings.Contains(c, "401") { // asked for above
			t.Errorf("the page complains: %s", c)
		}
	}
}

// What CSS animates is what panel.Lit says, and every lamp keeps one beat.
func pageLamps(t *testing.T, b *browser) {
	seat := signedIn(t)
	s := serve(t, seat, nil)
	p := b.open(t, s.URL(), 1280, 860)
	pairPage(p, s)
	const read = `((lamp, times) => {
		const glow = document.querySelector('[data-lamp=' + lamp + '] .glow');
		const [a] = glow.getAnimations();
		const out = times.map((t) => { if (a) { a.pause(); a.currentTime = t; } return Number(getComputedStyle(glow).opacity); });
		if (a) { a.startTime = 0; a.play(); }
		return out;
	})`
	for _, blink := range []panel.Blink{panel.Steady, panel.Slow, panel.Hz1, panel.Hz2, panel.Short, panel.Double} {
		for _, colour := range []panel.Colour{panel.Off, panel.Red, panel.RedAmber} {
			light := panel.Light{Colour: colour, Blink: blink}
			seat.Set(func(v *panel.View) {
				v.Lamps = map[panel.Lamp]panel.Light{panel.Beacon: light, panel.LampAnswer: {Colour: panel.On, Blink: panel.Hz2}}
			})
			p.until(fmt.Sprintf("document.querySelector('[data-lamp=beacon]').dataset.blink === %q && document.querySelector('[data-lamp=beacon]').dataset.colour === %q", blink, colour))
			var times []int
			for at := 5; at < 4000; at += 20 {
				if n := panel.Next(light, time.Duration(at)*time.Millisecond); n == 0 || n > 90*time.Millisecond {
					times = append(times, at)
				}
			}
			asked, _ := json.Marshal(times)
			var opacity []float64
			if err := p.eval(fmt.Sprintf("%s('beacon', %s)", read, asked), &opacity); err != nil {
				t.Fatal(err)
			}
			for i, at := range times {
				got, _ := panel.Lit(light, time.Duration(at)*time.Millisecond)
				lit := got != panel.Off && got != panel.Amber // amber is the lens under a dark glow
				if lit != (opacity[i] > .5) {
					t.Errorf("%v at %d ms: opacity %.2f, lit %v", light, at, opacity[i], lit)
					break
				}
			}
		}
	}
	// Beacon and ANSWER, lit at different times, share one zero.
	seat.Ring("02155501234", "", "Billing")
	p.until("document.querySelector('.seat').dataset.state === 'ringing'")
	p.until("document.getAnimations().filter((a) => a.animationName?.startsWith('lamp-')).length >= 2")
	p.until("document.getAnimations().filter((a) => a.animationName?.startsWith('lamp-')).every((a) => a.startTime === 0)")

	// Who wants no motion gets none, and words.
	p.media("prefers-reduced-motion", "reduce")
	p.until("document.getAnimations().filter((a) => a.animationName?.startsWith('lamp-')).length === 0")
	p.until("document.querySelector('[data-key=answer] .word').textContent === 'Incoming call'")
	p.until("document.querySelector('.says').textContent === 'Beacon: blue, blinking fast'")
}

// A second browser waits its turn, and ends the first's time.
func pageOneAtATime(t *testing.T, b *browser) {
	s := serve(t, signedIn(t), nil)
	first := b.open(t, s.URL(), 800, 700)
	first.click("[data-action=pair]")
	first.until(shown(".code"))
	second := b.open(t, s.URL(), 800, 700)
	second.until("document.querySelector('.pairing').dataset.pair === 'busy'")
	second.shoot("pairing-busy-en")
	if !s.KeyPressed(panel.Help) {
		t.Fatal("HELP did not confirm")
	}
	first.until(shown(".seat"))
	second.until(shown("[data-action=pair]"))
	pairPage(second, s)
	first.until(shown(".pairing") + " && " + shown(".ended"))
}

// A seat that goes and comes back knows no browser; its page says so, holds
// nothing, and can be paired again.
func pageComesBack(t *testing.T, b *browser) {
	seat := withShift(t)
	addr := ""
	var p *tab
	t.Run("before", func(before *testing.T) {
		s := serve(before, seat, nil)
		addr = s.Addr().String()
		p = b.open(t, s.URL(), 1000, 700)
		pairPage(p, s)
		p.until("document.body.textContent.includes('" + person + "')")
	})
	p.until(shown(".lost"))
	s := serve(t, seat, func(c *console.Config) { c.Addr = addr })
	p.until(shown("[data-action=pair]"))
	if got := p.get("document.documentElement.outerHTML"); strings.Contains(got, person) {
		t.Error("the page still shows the shift")
	}
	pairPage(p, s)
}
