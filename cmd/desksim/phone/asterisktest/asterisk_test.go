// Package asterisktest tries the scripted phone against a real Asterisk 22. It is a
// package of its own because the rig that starts Asterisk is of the whole demo.
package asterisktest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"deskset/audio/audiotest"
	"deskset/cmd/desksim/phone"
	"deskset/cmd/desksim/rig"
)

// asterisk starts a real Asterisk 22, or skips.
func asterisk(t *testing.T) rig.PBX {
	t.Helper()
	missing := func(why string) {
		if os.Getenv("DESKSET_FULL") == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	if os.Geteuid() != 0 {
		missing("Asterisk runs in a chroot: needs root")
	}
	root, err := filepath.Abs("../../../../.cache/asterisk/sid")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	pbx, _, err := rig.OpenPBX(ctx, "asterisk", root, t.TempDir(), slog.New(slog.DiscardHandler))
	if errors.Is(err, rig.ErrNoAsterisk) {
		missing(err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pbx.Close() })
	return pbx
}

func TestAsterisk(t *testing.T) {
	pbx := asterisk(t)
	run := func(t *testing.T, user, codecs string) *phone.Phone {
		p, err := phone.New(phone.Config{Listen: "127.0.0.1:0", PBX: pbx.SIP(), User: user, Password: rig.Password(user),
			Display: "Phone " + user, Codec: codecs, Register: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { p.Run(ctx) })
		t.Cleanup(func() { cancel(); wg.Wait() })
		within(t, p.Registered(), "registration")
		return p
	}
	for _, c := range []string{"opus", "PCMU", "PCMA"} {
		t.Run("echo "+c, func(t *testing.T) {
			p := run(t, rig.Customer, c)
			call := dial(t, p, rig.Echo)
			v := audiotest.Speech(1, 3*time.Second)
			within(t, call.Say(v), "end of speech")
			tail(t)
			call.Hangup()
			within(t, call.Done(), "end")
			sounds(t, "echo", v, call)
			if call.Codec() != c {
				t.Errorf("spoke %s", call.Codec())
			}
			if st := call.Stats(); st.Unknown > 0 || st.Reanchored > 0 {
				t.Errorf("%+v", st)
			}
		})
	}
	t.Run("two phones", func(t *testing.T) {
		a, b := run(t, rig.Customer, "opus"), run(t, rig.Colleague, "PCMU")
		b.SetPolicy(phone.Policy{Reject: 486})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		busy, err := a.Call(ctx, rig.Colleague)
		if err != nil {
			t.Fatal(err)
		}
		within(t, busy.Done(), "refusal")
		if busy.Code() != 486 {
			t.Errorf("busy: %d", busy.Code())
		}
		b.SetPolicy(phone.Policy{After: 100 * time.Millisecond})
		ca := dial(t, a, rig.Colleague)
		cb := <-b.Incoming()
		va, vb := audiotest.Speech(1, 3*time.Second), audiotest.Speech(2, 3*time.Second)
		da, db := ca.Say(va), cb.Say(vb)
		within(t, da, "end of speech")
		within(t, db, "end of speech")
		keys, err := ca.SendDTMF("7*")
		if err != nil {
			t.Fatal(err)
		}
		within(t, keys, "keys")
		if err := ca.Hold(ctx); err != nil {
			t.Errorf("hold: %v", err)
		}
		if err := ca.Resume(ctx); err != nil {
			t.Errorf("resume: %v", err)
		}
		cb.Hangup()
		within(t, ca.Done(), "end")
		if ca.EndedBy() != phone.Remote {
			t.Errorf("ended by %s", ca.EndedBy())
		}
		if cb.DTMF() != "7*" {
			t.Errorf("DTMF %q", cb.DTMF())
		}
		sounds(t, "a to b", va, cb)
		sounds(t, "b to a", vb, ca)
	})
	for _, attended := range []bool{false, true} {
		t.Run(map[bool]string{false: "blind transfer", true: "attended transfer"}[attended], func(t *testing.T) {
			cust, a, b := run(t, rig.CustomerNumber, "opus"), run(t, rig.Customer, "PCMU"), run(t, rig.Colleague, "PCMU")
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			cc := dial(t, cust, rig.Customer)
			ca := <-a.Incoming()
			within(t, ca.Say(audiotest.Speech(2, 500*time.Millisecond)), "greeting")
			var code int
			var err error
			if attended {
				if err := ca.Hold(ctx); err != nil {
					t.Fatal(err)
				}
				consult := dial(t, a, rig.Colleague)
				within(t, consult.Say(audiotest.Speech(2, 500*time.Millisecond)), "consultation")
				code, err = ca.ReferReplaces(ctx, consult)
				within(t, consult.Done(), "end of the consultation")
			} else {
				code, err = ca.Refer(ctx, rig.Colleague)
			}
			if code != 200 {
				t.Fatalf("%d %v", code, err)
			}
			ca.Hangup()
			cb := <-b.Incoming()
			within(t, cb.Answered(), "answer")
			vc, vb := audiotest.Speech(1, 3*time.Second), audiotest.Speech(3, 3*time.Second)
			dc, db := cc.Say(vc), cb.Say(vb)
			within(t, dc, "end of speech")
			within(t, db, "end of speech")
			tail(t)
			cc.Hangup()
			within(t, cb.Done(), "end")
			sounds(t, "customer to colleague", vc, cb)
			sounds(t, "colleague to customer", vb, cc)
		})
	}
	t.Run("cancel", func(t *testing.T) {
		a, b := run(t, rig.Customer, "opus"), run(t, rig.Colleague, "opus")
		b.SetPolicy(phone.Policy{LetRing: true})
		c, err := a.Call(t.Context(), rig.Colleague)
		if err != nil {
			t.Fatal(err)
		}
		cb := <-b.Incoming()
		within(t, c.Ringing(), "ringing")
		c.Hangup()
		within(t, cb.Done(), "cancel")
		within(t, c.Done(), "end")
		if c.Code() != 487 {
			t.Errorf("%d", c.Code())
		}
	})
}

// tail lets what was just said arrive.
func tail(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(300 * time.Millisecond): // of real time, as the wire has it
	case <-t.Context().Done():
	}
}

// sounds checks that what was said arrived whole.
func sounds(t *testing.T, what string, said []int16, c *phone.Call) {
	t.Helper()
	got, _ := c.Heard()
	r := audiotest.Compare(said, got, audiotest.Options{Anywhere: true})
	t.Logf("%s: match %.2f, likeness %.2f, LSD %.1f dB, longest gap %.0f ms", what, r.Match, r.Likeness, r.LSD, r.GapMs)
	if !r.OK {
		t.Errorf("%s: %v", what, r.Why)
	}
}

func dial(t *testing.T, p *phone.Phone, target string) *phone.Call {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	c, err := p.Call(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

func within(t *testing.T, ch <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(15 * time.Second):
		t.Fatalf("no %s", what)
	}
}
