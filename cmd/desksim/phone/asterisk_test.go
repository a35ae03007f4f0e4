package phone_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

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
	root, err := filepath.Abs("../../../.cache/asterisk/sid")
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
			v := phone.Voice(1, 2)
			within(t, call.Say(v), "end of speech")
			call.Hangup()
			within(t, call.Done(), "end")
			got, _ := call.Heard()
			if off, corr := phone.Match(v[:90000], got); corr < 0.75 {
				t.Errorf("echo: correlation %.2f at %d of %d", corr, off, len(got))
			}
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
		va, vb := phone.Voice(2, 1.5), phone.Voice(3, 1.5)
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
		ha, _ := ca.Heard()
		hb, _ := cb.Heard()
		if _, corr := phone.Match(va[:60000], hb); corr < 0.7 {
			t.Errorf("a to b: %.2f", corr)
		}
		if _, corr := phone.Match(vb[:60000], ha); corr < 0.7 {
			t.Errorf("b to a: %.2f", corr)
		}
	})
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
