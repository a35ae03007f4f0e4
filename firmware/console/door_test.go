package console_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/console/consoletest"
	"deskset/firmware/panel"
)

// person is a word of the view that nobody without a pairing may read.
const person = "02155501234"

func withShift(t *testing.T) *consoletest.Fake {
	f := signedIn(t)
	f.Set(func(v *panel.View) {
		v.Shift = []panel.Item{{ID: "1", Direction: "in", Peer: person, Recording: "sealed"}}
	})
	return f
}

func TestNothingWithoutPairing(t *testing.T) {
	s := serve(t, withShift(t), nil)
	c := newClient(t, s)
	for _, q := range [][2]string{{"GET", "/api/view"}, {"POST", "/api/do"}, {"GET", "/api/ws"}, {"POST", "/api/pair/claim"}} {
		if a := c.ask(q[0], q[1], `{"kind":"ready"}`); a.status != 401 || a.code != console.CodeNotPaired {
			t.Errorf("%s %s: %d %s", q[0], q[1], a.status, a.body)
		}
	}
	for _, path := range []string{"/", "/api/pair", "/js/app.js", "/i18n/en.json"} {
		if a := c.ask("GET", path, ""); a.status != 200 || strings.Contains(string(a.body), person) || strings.Contains(string(a.body), "1024") {
			t.Errorf("%s: %d, or it names somebody", path, a.status)
		}
	}
}

func TestPairingNeedsThePhysicalKey(t *testing.T) {
	s := serve(t, withShift(t), nil)
	if s.KeyPressed(panel.Help) {
		t.Error("HELP was taken though nobody waits")
	}
	c := newClient(t, s)
	a := c.ask("POST", "/api/pair", "")
	if a.status != 200 || a.pair.State != "waiting" || len(a.pair.Code) != 4 || a.pair.Seconds != 60 {
		t.Fatalf("start: %d %s", a.status, a.body)
	}
	code, from, _, waiting := s.Pairing()
	if code != a.pair.Code || from != "127.0.0.1" || !waiting {
		t.Errorf("the desk would show %q from %q", code, from)
	}
	if a := c.ask("POST", "/api/pair/claim", ""); a.status != 401 {
		t.Errorf("claimed without the key: %d", a.status)
	}
	for _, k := range append(append([]panel.Key{}, panel.Keys...), panel.Inputs...) {
		if k != panel.Help && s.KeyPressed(k) {
			t.Errorf("%s was taken", k)
		}
	}
	if a := c.ask("GET", "/api/pair", ""); a.pair.State != "waiting" || a.pair.Code != code {
		t.Errorf("after other keys: %s", a.body)
	}
	if !s.KeyPressed(panel.Help) {
		t.Fatal("HELP was not taken")
	}
	if s.KeyPressed(panel.Help) {
		t.Error("a second HELP, which may be a call for help, was taken too")
	}
	if other := newClient(t, s); other.ask("POST", "/api/pair/claim", "").status != 401 {
		t.Error("a browser that did not wait has claimed")
	}
	if a := c.ask("GET", "/api/pair", ""); a.pair.State != "confirmed" {
		t.Errorf("after HELP: %s", a.body)
	}
	if a := c.ask("POST", "/api/pair/claim", ""); a.status != 200 {
		t.Errorf("claim: %d %s", a.status, a.body)
	}
	if a := c.ask("GET", "/api/view", ""); a.status != 200 || !strings.Contains(string(a.body), person) {
		t.Errorf("view: %d %s", a.status, a.body)
	}
	if a := c.ask("POST", "/api/pair/claim", ""); a.status != 401 {
		t.Errorf("claimed twice: %d", a.status)
	}
}

// Even a seat that takes a page's press for a physical one lets nobody in.
func TestPageCannotPressTheKey(t *testing.T) {
	seat, at := withShift(t), newClock()
	s := serve(t, seat, func(c *console.Config) { c.Now = at.now })
	taken := 0
	seat.Script = func(_ context.Context, a console.Action) (bool, error) {
		if a.Kind == console.PressKey && s.KeyPressed(a.Key) {
			taken++
		}
		return false, nil
	}
	paired, stranger := newClient(t, s), newClient(t, s)
	paired.pair(s)
	stranger.ask("POST", "/api/pair", "")
	for _, held := range []string{"", `,"held":true`} {
		if a := paired.ask("POST", "/api/do", `{"kind":"press-key","key":"help"`+held+`}`); a.status != 200 {
			t.Fatalf("press: %d %s", a.status, a.body)
		}
	}
	ws := paired.socket()
	ws.send(`{"id":"1","kind":"press-key","key":"help"}`)
	ws.reply("1")
	if taken > 0 || stranger.ask("POST", "/api/pair/claim", "").status != 401 {
		t.Fatal("a page's HELP has confirmed a browser")
	}
	if s.KeyPressed(panel.Help) {
		t.Error("a press that may be the page's echo has confirmed")
	}
	at.advance(1100 * time.Millisecond)
	if !s.KeyPressed(panel.Help) {
		t.Error("the real key is dead")
	}
}

func TestOneBrowserAtATime(t *testing.T) {
	at := newClock()
	s := serve(t, withShift(t), func(c *console.Config) { c.Now = at.now })
	one, two := newClient(t, s), newClient(t, s)
	first := one.ask("POST", "/api/pair", "")
	if a := two.ask("POST", "/api/pair", ""); a.status != 409 || a.code != console.CodePairBusy {
		t.Errorf("second start: %d %s", a.status, a.body)
	}
	if a := two.ask("GET", "/api/pair", ""); a.pair.State != "busy" || a.pair.Code != "" || a.pair.Seconds == 0 {
		t.Errorf("second sees %s", a.body)
	}
	if a := one.ask("POST", "/api/pair", ""); a.status != 200 {
		t.Errorf("the first may ask again: %d (had %s)", a.status, first.pair.Code)
	}
	if a := two.ask("DELETE", "/api/pair", ""); a.status != 200 {
		t.Errorf("delete: %d", a.status)
	}
	if _, _, _, waiting := s.Pairing(); !waiting {
		t.Error("the second has ended the first's wait")
	}
	one.ask("DELETE", "/api/pair", "")
	if _, _, _, waiting := s.Pairing(); waiting {
		t.Error("cancelled, and still waits")
	}
	at.advance(time.Minute)
	one.pair(s)
	ws := one.socket()
	two.pair(s)
	ws.bye("replaced")
	if a := one.ask("GET", "/api/view", ""); a.status != 401 {
		t.Errorf("the first still sees: %d", a.status)
	}
	if a := two.ask("GET", "/api/view", ""); a.status != 200 {
		t.Errorf("the second does not see: %d", a.status)
	}
	two.ask("DELETE", "/api/pair", "")
	if a := two.ask("GET", "/api/view", ""); a.status != 401 {
		t.Errorf("unpaired, and still sees: %d", a.status)
	}
}

func TestWaitEnds(t *testing.T) {
	at := newClock()
	s := serve(t, withShift(t), func(c *console.Config) { c.Now = at.now })
	c := newClient(t, s)
	c.ask("POST", "/api/pair", "")
	at.advance(time.Minute)
	if s.KeyPressed(panel.Help) {
		t.Error("confirmed after 60 s")
	}
	if a := c.ask("GET", "/api/pair", ""); a.pair.State != "none" {
		t.Errorf("after 60 s: %s", a.body)
	}
	c.ask("POST", "/api/pair", "")
	at.advance(59 * time.Second)
	if !s.KeyPressed(panel.Help) {
		t.Error("not confirmed after 59 s")
	}
	at.advance(time.Minute)
	if a := c.ask("POST", "/api/pair/claim", ""); a.status != 401 {
		t.Errorf("claimed a minute after the key: %d", a.status)
	}
}

func TestPairingGrowsOld(t *testing.T) {
	at := newClock()
	s := serve(t, withShift(t), func(c *console.Config) { c.Now = at.now })
	c := newClient(t, s)
	c.pair(s)
	at.advance(12*time.Hour - time.Second)
	if a := c.ask("GET", "/api/view", ""); a.status != 200 {
		t.Errorf("before 12 h: %d", a.status)
	}
	at.advance(time.Second)
	if a := c.ask("GET", "/api/view", ""); a.status != 401 {
		t.Errorf("after 12 h: %d", a.status)
	}

	// With nobody signed in it is short: who paired may have gone.
	empty := serve(t, consoletest.NewFake(at.now), func(c *console.Config) { c.Now = at.now })
	c = newClient(t, empty)
	c.pair(empty)
	at.advance(15*time.Minute - time.Second)
	if a := c.ask("GET", "/api/view", ""); a.status != 200 {
		t.Errorf("before 15 min: %d", a.status)
	}
	at.advance(time.Second)
	if a := c.ask("GET", "/api/view", ""); a.status != 401 {
		t.Errorf("unsigned after 15 min: %d", a.status)
	}
}

func TestSignOutEndsThePairing(t *testing.T) {
	for name, leave := range map[string]func(*consoletest.Fake){
		"signed out": func(f *consoletest.Fake) {
			f.Do(context.Background(), console.Action{Kind: console.SignOut})
		},
		"another agent at once": func(f *consoletest.Fake) {
			f.Set(func(v *panel.View) {
				v.Agent = "2048"
				v.Shift = []panel.Item{{ID: "9", Peer: "01065550199", Recording: "sealed"}}
			})
		},
		"a seat that forgets to empty": func(f *consoletest.Fake) {
			f.Set(func(v *panel.View) { v.State = panel.SignedOut })
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := withShift(t)
			s := serve(t, f, nil)
			c := newClient(t, s)
			c.pair(s)
			ws := c.socket()
			ws.view(func(m message) bool { return m.View.Agent == "1024" })
			leave(f)
			for _, m := range ws.bye("signed-out") {
				if m.View.Agent != "" && m.View.Agent != "1024" || m.View.Agent == "" && len(m.View.Shift) > 0 {
					t.Errorf("told of %q: %+v", m.View.Agent, m.View.Shift)
				}
			}
			a := c.ask("GET", "/api/view", "")
			if a.status != 401 {
				t.Errorf("still sees: %d %s", a.status, a.body)
			}
			if a := c.ask("POST", "/api/do", `{"kind":"ready"}`); a.status != 401 {
				t.Errorf("still acts: %d", a.status)
			}
		})
	}
}

// With no page open the pairing ends all the same: the next agent's page is
// not the last one's browser.
func TestSignOutIsSeenWithoutAPage(t *testing.T) {
	f := withShift(t)
	s := serve(t, f, nil)
	c := newClient(t, s)
	c.pair(s)
	f.Do(t.Context(), console.Action{Kind: console.SignOut})
	f.Do(t.Context(), console.Action{Kind: console.SignIn, Agent: "2048"})
	if a := c.ask("GET", "/api/view", ""); a.status != 401 {
		t.Errorf("sees the next agent: %d %s", a.status, a.body)
	}
}

func TestNobodysShift(t *testing.T) {
	f := consoletest.NewFake(nil)
	f.Set(func(v *panel.View) {
		v.Shift = []panel.Item{{ID: "1", Peer: person, Recording: "sealed"}}
		v.Calls = []panel.Call{{ID: "1", Peer: person, Phase: "ended"}, {ID: "2", Peer: "120", Phase: "talking"}}
	})
	s := serve(t, f, nil)
	c := newClient(t, s)
	c.pair(s)
	a := c.ask("GET", "/api/view", "")
	if a.status != 200 || strings.Contains(string(a.body), person) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if !strings.Contains(string(a.body), `"120"`) {
		t.Error("the emergency call that is up is hidden")
	}
}

func TestCookies(t *testing.T) {
	s := serve(t, withShift(t), nil)
	c := newClient(t, s)
	values := map[string]bool{}
	check := func(a answer, name string, life int) {
		t.Helper()
		for _, line := range a.header.Values("Set-Cookie") {
			k, err := http.ParseSetCookie(line)
			if err != nil {
				t.Fatal(err)
			}
			if k.Name != name || k.Value == "" {
				continue
			}
			if !k.HttpOnly || !k.Secure || k.SameSite != http.SameSiteStrictMode || k.Path != "/" || k.Domain != "" || k.MaxAge != life {
				t.Errorf("%s", strings.Replace(line, k.Value, "...", 1))
			}
			if len(k.Value) < 52 { // 256 bits in base32
				t.Errorf("%s has %d letters", name, len(k.Value))
			}
			if values[k.Value] {
				t.Errorf("%s was used before", name)
			}
			values[k.Value] = true
			return
		}
		t.Errorf("no %s in %q", name, a.header.Values("Set-Cookie"))
	}
	for range 2 {
		check(c.ask("POST", "/api/pair", ""), "__Host-deskset-pair", 120)
		s.KeyPressed(panel.Help)
		check(c.ask("POST", "/api/pair/claim", ""), "__Host-deskset", 12*3600)
	}
	if len(values) != 4 {
		t.Errorf("%d values", len(values))
	}
}

func TestGuessing(t *testing.T) {
	at := newClock()
	s := serve(t, withShift(t), func(c *console.Config) { c.Now = at.now })
	good, bad := newClient(t, s), newClient(t, s)
	good.pair(s)
	guess := 0
	bad.change = func(r *http.Request) {
		guess++
		r.AddCookie(&http.Cookie{Name: "__Host-deskset", Value: fmt.Sprintf("%052d", guess)})
	}
	refused := 0
	for range 60 {
		switch a := bad.ask("GET", "/api/view", ""); a.status {
		case 429:
			refused++
		case 401:
		default:
			t.Fatalf("a guess got %d", a.status)
		}
	}
	if refused < 25 {
		t.Errorf("only %d of 60 guesses were turned away", refused)
	}
	if a := good.ask("GET", "/api/view", ""); a.status != 200 {
		t.Errorf("the paired browser suffers: %d", a.status)
	}
	at.advance(time.Minute)
	if a := bad.ask("GET", "/api/view", ""); a.status != 401 {
		t.Errorf("a minute later: %d", a.status)
	}

	// Codes: a few in a row, then one each ten seconds.
	asker := newClient(t, s)
	asked := 0
	for asker.ask("POST", "/api/pair", "").status == 200 {
		if asked++; asked > 10 {
			t.Fatal("codes without end")
		}
	}
	at.advance(10 * time.Second)
	if a := asker.ask("POST", "/api/pair", ""); a.status != 200 {
		t.Errorf("after 10 s: %d", a.status)
	}
}

func TestNeverInTheClear(t *testing.T) {
	if _, err := console.New(console.Config{Addr: ":0", Seat: consoletest.NewFake(nil), Now: time.Now}); err == nil {
		t.Error("made without TLS")
	}
	if _, err := console.New(console.Config{Addr: ":0", Seat: consoletest.NewFake(nil), TLS: &tls.Config{}, Now: time.Now}); err == nil {
		t.Error("made without a certificate")
	}
	s := serve(t, withShift(t), nil)
	res, err := http.Get("http://" + s.Addr().String() + "/")
	if err == nil {
		res.Body.Close()
		if res.StatusCode == 200 {
			t.Error("served over plain HTTP")
		}
	}
	conn, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err == nil {
		conn.Close()
		t.Error("TLS 1.1 was taken")
	}
}
