package sipua_test

import (
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"deskset/firmware/sipua"
	"deskset/firmware/sipua/digest"
	"deskset/firmware/sipua/sipuatest"
)

// checkCredentials computes the answer to a qop=auth challenge by itself.
func checkCredentials(t *testing.T, m *sipuatest.Msg, header string, hash func(string) string) map[string]string {
	t.Helper()
	v := m.Get(header)
	ps, err := digest.Params(strings.TrimPrefix(v, "Digest "))
	if err != nil || ps["username"] != "101" {
		t.Fatalf("%s: %q (%v)", header, v, err)
	}
	want := hash(strings.Join([]string{
		hash("101:" + ps["realm"] + ":secret"), ps["nonce"], ps["nc"], ps["cnonce"], ps["qop"],
		hash(m.Method() + ":" + m.URI()),
	}, ":"))
	if ps["response"] != want || ps["uri"] != m.URI() || ps["nc"] != "00000001" || len(ps["cnonce"]) < 20 {
		t.Fatalf("credentials %v, response should be %s", ps, want)
	}
	return ps
}

func md5hex(s string) string    { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
func sha256hex(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func TestRegister(t *testing.T) {
	run(t, nil, func(r *rig) {
		r.l = r.pbx.Accept()
		m := r.l.Register(300)
		for name, part := range map[string]string{
			"From":      "<sip:101@pbx.test>;tag=",
			"To":        "<sip:101@pbx.test>",
			"Contact":   `;transport=ws>;+sip.instance="<urn:uuid:00000000-0000-4000-8000-000000000101>";reg-id=1;expires=600`,
			"Via":       ".invalid;branch=z9hG4bK",
			"Supported": "outbound, path",
		} {
			if !strings.Contains(m.Get(name), part) {
				t.Errorf("%s: %q lacks %q", name, m.Get(name), part)
			}
		}
		if !strings.HasPrefix(m.Get("Via"), "SIP/2.0/WSS ") || !strings.HasSuffix(m.Get("Via"), ";rport") || m.URI() != "sip:pbx.test" {
			t.Errorf("%s", m)
		}
		if e := next[sipua.Registered](r); e.Recovered || e.Expires != 5*time.Minute {
			t.Errorf("%+v", e)
		}
		seq, _ := m.CSeq()
		for range 10 {
			began := time.Now()
			again := r.l.Register(300)
			if d := time.Since(began); d < 255*time.Second || d > 270*time.Second {
				t.Errorf("refreshed after %v of 300 s", d)
			}
			n, _ := again.CSeq()
			if again.Get("Call-ID") != m.Get("Call-ID") || n != seq+1 || again.ContactURI() != m.ContactURI() {
				t.Errorf("another binding:\n%s", again)
			}
			seq = n
		}
		r.quiet(time.Second)
		if s := r.ua.Stats(); s.Registrations != 11 || s.Flows != 1 || !r.ua.Registered() {
			t.Errorf("%+v", s)
		}
	})
}

func TestUnregisterAtEnd(t *testing.T) {
	registered(t, nil, func(r *rig) {
		done := make(chan struct{})
		go func() { r.stop(); close(done) }()
		m := r.l.Expect("REGISTER")
		if !strings.HasSuffix(m.Get("Contact"), ";expires=0") {
			t.Errorf("Contact: %s", m.Get("Contact"))
		}
		r.l.Respond(m, 401, "", "", wwwAuthenticate("MD5", "n"))
		m = r.l.Expect("REGISTER")
		checkCredentials(t, m, "Authorization", md5hex)
		r.l.Respond(m, 200, "", "")
		if !r.l.Gone() {
			t.Error("the connection was cut, not closed")
		}
		<-done
		if _, open := <-r.ua.Events(); open {
			t.Error("an event after the end")
		}
	})
}

func TestEndWithoutAnswer(t *testing.T) {
	registered(t, nil, func(r *rig) {
		began := time.Now()
		r.stop()
		if d := time.Since(began); d > 2*time.Second+100*time.Millisecond {
			t.Errorf("took %v", d)
		}
	})
}

func TestChallenge(t *testing.T) {
	for _, c := range []struct {
		name   string
		offers []string
		hash   func(string) string
	}{
		{"MD5", []string{"MD5"}, md5hex},
		{"SHA-256", []string{"SHA-256"}, sha256hex},
		{"the stronger of both", []string{"MD5", "SHA-256"}, sha256hex},
		{"the known of both", []string{"AKAv2-MD5", "MD5"}, md5hex},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, nil, func(r *rig) {
				r.l = r.pbx.Accept()
				var hs []string
				for i, a := range c.offers {
					hs = append(hs, wwwAuthenticate(a, fmt.Sprint("n", i)))
				}
				r.l.Respond(r.l.Expect("REGISTER"), 401, "", "", hs...)
				m := r.l.Register(600)
				checkCredentials(t, m, "Authorization", c.hash)
				next[sipua.Registered](r)
			})
		})
	}
}

func TestProxyThenServerThenStale(t *testing.T) {
	run(t, nil, func(r *rig) {
		r.l = r.pbx.Accept()
		r.l.Respond(r.l.Expect("REGISTER"), 407, "", "", "Proxy-"+strings.Replace(wwwAuthenticate("MD5", "p"), "WWW-", "", 1))
		m := r.l.Expect("REGISTER")
		checkCredentials(t, m, "Proxy-Authorization", md5hex)
		r.l.Respond(m, 401, "", "", wwwAuthenticate("MD5", "s"))
		m = r.l.Expect("REGISTER")
		checkCredentials(t, m, "Proxy-Authorization", md5hex)
		checkCredentials(t, m, "Authorization", md5hex)
		r.l.Respond(m, 401, "", "", wwwAuthenticate("MD5", "s2", ", stale=true"))
		m = r.l.Expect("REGISTER")
		if ps := checkCredentials(t, m, "Authorization", md5hex); ps["nonce"] != "s2" {
			t.Errorf("answered %v", ps)
		}
		r.l.Respond(m, 200, "", "", "Contact: "+m.ContactURI()+";expires=600")
		next[sipua.Registered](r)
	})
}

func TestWrongCredentials(t *testing.T) {
	for _, code := range []int{401, 403, 404} {
		run(t, nil, func(r *rig) {
			r.l = r.pbx.Accept()
			sent := 0
			for began := time.Now(); time.Since(began) < time.Hour; sent++ {
				m := r.l.Expect("REGISTER")
				if code == 401 || m.Get("Authorization") == "" {
					r.l.Respond(m, 401, "", "", wwwAuthenticate("MD5", fmt.Sprint(sent)))
				} else {
					r.l.Respond(m, code, "", "")
				}
			}
			// Two messages a try, a try each 30-60 s but for the first ones.
			if sent > 2*(120+3) || sent < 2*59 {
				t.Errorf("%d: %d REGISTERs in an hour", code, sent)
			}
			e := next[sipua.Lost](r)
			if !errors.Is(e.Err, sipua.ErrCredentials) || !strings.Contains(e.Err.Error(), "policy") {
				t.Errorf("%d: %+v", code, e)
			}
			r.quiet(time.Millisecond) // told once
			if r.pbx.Dials() != 1 {
				t.Errorf("%d connections", r.pbx.Dials())
			}
		})
	}
}

// A PBX that has just started may refuse an account it does not know yet.
func TestRefusedByAStartingPBX(t *testing.T) {
	registered(t, nil, func(r *rig) {
		r.l.Cut()
		next[sipua.Lost](r)
		r.l = r.pbx.Accept()
		began := time.Now()
		r.l.Respond(r.l.Expect("REGISTER"), 404, "", "")
		next[sipua.Lost](r)
		r.l.Respond(r.l.Expect("REGISTER"), 403, "", "")
		next[sipua.Lost](r)
		r.l.Register(600)
		next[sipua.Registered](r)
		if d := time.Since(began); d > 4*time.Second {
			t.Errorf("registered %v after its return", d)
		}
	})
}

func TestMinExpires(t *testing.T) {
	run(t, func(c *sipua.Config) { c.Expires = time.Minute }, func(r *rig) {
		r.l = r.pbx.Accept()
		r.l.Respond(r.l.Expect("REGISTER"), 423, "", "", "Min-Expires: 1800")
		m := r.l.Register(1800)
		if !strings.HasSuffix(m.Get("Contact"), ";expires=1800") {
			t.Errorf("Contact: %s", m.Get("Contact"))
		}
		if e := next[sipua.Registered](r); e.Expires != 30*time.Minute {
			t.Errorf("%+v", e)
		}
	})
}

// The lifetime is ours among other contacts of the account.
func TestExpiresOfOurContact(t *testing.T) {
	run(t, nil, func(r *rig) {
		r.l = r.pbx.Accept()
		m := r.l.Expect("REGISTER")
		r.l.Respond(m, 200, "", "", `Contact: "a, b" <sip:101@other.invalid;x=y>;expires=3599, `+m.ContactURI()+`;expires=120;+sip.instance="<urn:x>"`, "Expires: 77")
		if e := next[sipua.Registered](r); e.Expires != 2*time.Minute {
			t.Errorf("%+v", e)
		}
	})
}

// The cap is 4 s for five minutes, then 60 s; the next step is told once.
func TestBackoff(t *testing.T) {
	registered(t, nil, func(r *rig) {
		r.pbx.Down(errRefused)
		began := time.Now()
		r.l.Cut()
		next[sipua.Lost](r)
		e := next[sipua.Lost](r) // another cause: nothing listens any more
		if !errors.Is(e.Err, errRefused) {
			t.Errorf("%v", e.Err)
		}
		last, dials := time.Now(), r.pbx.Dials()
		var early, late, longest time.Duration
		tries := 0
		for time.Since(began) < 2*time.Hour {
			time.Sleep(10 * time.Millisecond)
			if n := r.pbx.Dials(); n != dials {
				gap := time.Since(last)
				if time.Since(began) < 5*time.Minute {
					early = max(early, gap)
					tries++
				} else if time.Since(began) > 5*time.Minute+4*time.Second {
					late = max(late, gap)
				}
				longest = max(longest, gap)
				last, dials = time.Now(), n
			}
		}
		if early > 4*time.Second+20*time.Millisecond || early < 3*time.Second {
			t.Errorf("longest early gap %v", early)
		}
		if tries < 100 || tries > 400 {
			t.Errorf("%d tries in the first 5 minutes", tries)
		}
		if late > 60*time.Second+20*time.Millisecond || late < 45*time.Second {
			t.Errorf("longest late gap %v", late)
		}
		r.quiet(time.Millisecond)
		r.pbx.Down(nil)
		r.l = r.pbx.Accept()
		r.l.Register(600)
		if e := next[sipua.Registered](r); !e.Recovered {
			t.Errorf("%+v", e)
		}
		// The next outage begins with short waits again.
		again := time.Now()
		r.reconnect()
		if d := time.Since(again); d > time.Second {
			t.Errorf("back after %v", d)
		}
	})
}

func TestRefusedRefreshKeepsTheBinding(t *testing.T) {
	registered(t, nil, func(r *rig) {
		began := time.Now()
		tries := 0
		for r.ua.Registered() {
			m := r.l.Expect("REGISTER")
			tries++
			r.l.Respond(m, 503, "", "", "Retry-After: 5 (busy);duration=3")
		}
		if d := time.Since(began); d < 599*time.Second || d > 610*time.Second || tries < 5 {
			t.Errorf("lost after %v and %d tries", d, tries)
		}
		if e := next[sipua.Lost](r); !strings.Contains(e.Err.Error(), "503") {
			t.Errorf("%v", e.Err)
		}
		r.l.Register(600)
		if e := next[sipua.Registered](r); !e.Recovered {
			t.Errorf("%+v", e)
		}
		if r.pbx.Dials() != 1 {
			t.Error("the flow was given up")
		}
	})
}

func TestSilentPBX(t *testing.T) {
	run(t, nil, func(r *rig) {
		r.l = r.pbx.Accept()
		began := time.Now()
		r.l.Expect("REGISTER")
		if r.l.Gone(); time.Since(began) > 11*time.Second {
			t.Errorf("gave up after %v", time.Since(began))
		}
		next[sipua.Lost](r)
		r.l = r.pbx.Accept()
		r.l.Register(600)
		next[sipua.Registered](r)
	})
}

// A network that swallows everything is noticed by the ping.
func TestDeadConnection(t *testing.T) {
	registered(t, nil, func(r *rig) {
		time.Sleep(time.Minute)
		began := time.Now()
		r.l.Deafen()
		e := next[sipua.Lost](r)
		if d := time.Since(began); d > 6*time.Second || !strings.Contains(e.Err.Error(), "ping") {
			t.Errorf("noticed after %v: %v", d, e.Err)
		}
		r.l = r.pbx.Accept()
		r.l.Register(600)
		next[sipua.Registered](r)
	})
}

func TestConfig(t *testing.T) {
	good := sipua.Config{URL: "wss://p/ws", User: "1", Instance: "urn:uuid:1"}
	if _, err := sipua.New(good); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*sipua.Config){
		"plain ws":    func(c *sipua.Config) { c.URL = "ws://p/ws" },
		"http":        func(c *sipua.Config) { c.URL = "https://p/ws" },
		"no host":     func(c *sipua.Config) { c.URL = "wss:///ws" },
		"no user":     func(c *sipua.Config) { c.User = "" },
		"no instance": func(c *sipua.Config) { c.Instance = "x" },
		"line break":  func(c *sipua.Config) { c.Display = "a\r\nX: y" },
	} {
		c := good
		change(&c)
		if _, err := sipua.New(c); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	good.URL, good.Insecure = "ws://p/ws", true
	if _, err := sipua.New(good); err != nil {
		t.Error(err)
	}
}
