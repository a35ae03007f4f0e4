package smallpbx

import (
	"testing"
	"time"

	"deskset/audio/audiotest"
	"deskset/cmd/desksim/phone"
)

// TestPhonesTalk bridges two desk phones, with and without transcoding, and
// compares what each heard with what the other said.
func TestPhonesTalk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b string }{
		{"PCMU", "PCMU"}, {"opus", "opus"}, {"opus", "PCMU"}, {"PCMA", "opus"},
	} {
		t.Run(c.a+"-"+c.b, func(t *testing.T) {
			t.Parallel()
			p := startPBX(t, nil)
			a := startPhone(t, p, "201", c.a, phone.Policy{})
			b := startPhone(t, p, "202", c.b, phone.Policy{})
			ca := call(t, a, "202")
			cb := next(t, b.Incoming(), "incoming call")
			wait(t, cb.Answered(), "answer")
			if cb.Number() != "201" || cb.Name() != "Phone 201" {
				t.Errorf("caller shown as %q %q", cb.Number(), cb.Name())
			}
			clean(t, ca, cb)
			keys, err := ca.SendDTMF("42#")
			if err != nil {
				t.Fatal(err)
			}
			wait(t, keys, "keys")
			ca.Hangup()
			wait(t, cb.Done(), "hangup")
			if cb.EndedBy() != phone.Remote {
				t.Errorf("ended by %s", cb.EndedBy())
			}
			if got := cb.DTMF(); got != "42#" {
				t.Errorf("DTMF %q", got)
			}
			for _, c := range []*phone.Call{ca, cb} {
				if st := c.Stats(); st.Late > 0 || st.Reanchored > 0 || st.Unknown > 0 || st.SSRCs > 1 {
					t.Errorf("%+v", st)
				}
			}
			if err := p.WaitCalls(patient(t), "end", func(l []LegInfo) bool { return len(l) == 0 }); err != nil {
				t.Error(err)
			}
		})
	}
}

// clean lets both speak at once and compares strictly. A machine that stalls spoils
// a try; it may not spoil three.
func clean(t *testing.T, a, b *phone.Call) {
	t.Helper()
	va, vb := audiotest.Speech(1, 3*time.Second), audiotest.Speech(2, 3*time.Second)
	for try := 1; ; try++ {
		ma, mb := mark(a), mark(b)
		sa, sb := a.Say(va), b.Say(vb)
		wait(t, sa, "end of speech")
		wait(t, sb, "end of speech")
		waitHeard(t, a, samplesFor(ma)+3200*time.Millisecond)
		waitHeard(t, b, samplesFor(mb)+3200*time.Millisecond)
		ha, _ := a.Heard()
		hb, _ := b.Heard()
		opt := audiotest.Options{Anywhere: true}
		ra, rb := audiotest.Compare(vb, ha[ma:], opt), audiotest.Compare(va, hb[mb:], opt)
		t.Logf("match %.2f %.2f, likeness %.2f %.2f", ra.Match, rb.Match, ra.Likeness, rb.Likeness)
		if ra.OK && rb.OK {
			return
		}
		if try == 3 {
			t.Errorf("caller heard: %v; called heard: %v", ra.Why, rb.Why)
			return
		}
	}
}

func samplesFor(n int) time.Duration { return time.Duration(n) * time.Second / 48000 }

func TestCodesOfFailedCalls(t *testing.T) {
	t.Parallel()
	p := startPBX(t, func(c *Config) { c.RingTime = 400 * time.Millisecond })
	a := startPhone(t, p, "201", "PCMU", phone.Policy{})
	b := startPhone(t, p, "202", "PCMU", phone.Policy{})
	for _, c := range []struct {
		name, target string
		policy       phone.Policy
		code         int
	}{
		{"busy", "202", phone.Policy{Reject: 486}, 486},
		{"declined", "202", phone.Policy{Reject: 603}, 603},
		{"nobody answers", "202", phone.Policy{LetRing: true}, 480},
		{"not registered", "101", phone.Policy{}, 480},
		{"no such extension", "555", phone.Policy{}, 404},
		{"busy extension", "604", phone.Policy{}, 486},
		{"rings only", "603", phone.Policy{}, 480},
	} {
		b.SetPolicy(c.policy)
		call, err := a.Call(patient(t), c.target)
		if err != nil {
			t.Fatal(err)
		}
		wait(t, call.Done(), c.name)
		if call.Code() != c.code {
			t.Errorf("%s: %d %s, want %d", c.name, call.Code(), call.Reason(), c.code)
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	p := startPBX(t, nil)
	a := startPhone(t, p, "201", "PCMU", phone.Policy{})
	b := startPhone(t, p, "202", "PCMU", phone.Policy{LetRing: true})
	ca, err := a.Call(patient(t), "202")
	if err != nil {
		t.Fatal(err)
	}
	cb := next(t, b.Incoming(), "incoming call")
	wait(t, ca.Ringing(), "ringing")
	ca.Hangup()
	wait(t, cb.Done(), "cancel")
	wait(t, ca.Done(), "end")
	if ca.Code() != 487 || ca.EndedBy() != phone.Local || cb.EndedBy() != phone.Remote {
		t.Errorf("caller %d by %s, called by %s", ca.Code(), ca.EndedBy(), cb.EndedBy())
	}
}

func TestEchoAndEarlyMedia(t *testing.T) {
	t.Parallel()
	p := startPBX(t, nil)
	a := startPhone(t, p, "201", "opus", phone.Policy{})
	c := call(t, a, "600")
	v := voice(3, 1)
	wait(t, c.Say(v), "end of speech")
	heardBy(t, c, v, 0)
	c.Hangup()

	e, err := a.Call(patient(t), "602")
	if err != nil {
		t.Fatal(err)
	}
	wait(t, e.Ringing(), "183")
	waitHeard(t, e, 500*time.Millisecond)
	if pcm, _ := e.Heard(); rms(pcm) < 300 {
		t.Errorf("early media: rms %.0f", rms(pcm))
	}
	e.Hangup()
	wait(t, e.Done(), "end")
	if e.Code() != 487 {
		t.Errorf("%d", e.Code())
	}
}

// waitHeard waits until a call's time line is that long.
func waitHeard(t *testing.T, c *phone.Call, d time.Duration) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range int(patience / (20 * time.Millisecond)) {
		<-tick.C
		if pcm, _ := c.Heard(); time.Duration(len(pcm))*time.Second/48000 >= d {
			return
		}
	}
	t.Fatalf("nothing heard for %v", d)
}

func TestHoldBetweenPhones(t *testing.T) {
	t.Parallel()
	p := startPBX(t, nil)
	a := startPhone(t, p, "201", "PCMU", phone.Policy{})
	b := startPhone(t, p, "202", "opus", phone.Policy{})
	ca := call(t, a, "202")
	cb := next(t, b.Incoming(), "incoming call")
	wait(t, cb.Answered(), "answer")
	if err := ca.Hold(patient(t)); err != nil {
		t.Fatal(err)
	}
	before, _ := cb.Heard()
	secret := voice(5, 0.8)
	wait(t, ca.Say(secret), "end of speech")
	after, _ := cb.Heard()
	if len(after) < len(before)+24000 {
		t.Fatalf("held party heard %d samples", len(after)-len(before))
	}
	held := after[len(before):]
	if rms(held) < 200 {
		t.Errorf("hold music: rms %.0f", rms(held))
	}
	if found, _ := pieces(secret, held); found > 0 {
		t.Errorf("held party heard %d pieces of what was said", found)
	}
	if err := ca.Resume(patient(t)); err != nil {
		t.Fatal(err)
	}
	v := voice(6, 1)
	wait(t, ca.Say(v), "end of speech")
	w := voice(7, 0.8)
	wait(t, cb.Say(w), "end of speech")
	heardBy(t, cb, v, 0)
	heardBy(t, ca, w, 0)
	cb.Hangup()
	wait(t, ca.Done(), "end")
}

func TestTransfers(t *testing.T) {
	t.Parallel()
	p := startPBX(t, nil)
	a := startPhone(t, p, "201", "PCMU", phone.Policy{})
	b := startPhone(t, p, "202", "PCMU", phone.Policy{})
	cust, err := phone.New(phone.Config{Listen: "127.0.0.1:0", PBX: p.UDPAddr(), User: "5551234", Codec: "opus", Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	runPhone(t, cust)

	t.Run("unbridged", func(t *testing.T) {
		c := call(t, a, "600")
		if code, _ := c.Refer(patient(t), "202"); code != 400 {
			t.Errorf("%d, want 400 as Asterisk says", code)
		}
		c.Hangup()
	})
	t.Run("blind", func(t *testing.T) {
		cc := call(t, cust, "201")
		ca := next(t, a.Incoming(), "call")
		code, err := ca.Refer(patient(t), "202")
		if err != nil || code != 200 {
			t.Fatal(code, err)
		}
		cb := next(t, b.Incoming(), "transferred call")
		wait(t, cb.Answered(), "answer")
		ca.Hangup()
		if cb.Number() != "5551234" {
			t.Errorf("target sees %q", cb.Number())
		}
		talk(t, cc, cb)
		cb.Hangup()
		wait(t, cc.Done(), "end")
	})
	t.Run("blind to a busy one", func(t *testing.T) {
		b.SetPolicy(phone.Policy{Reject: 486})
		defer b.SetPolicy(phone.Policy{})
		cc := call(t, cust, "201")
		ca := next(t, a.Incoming(), "call")
		if code, err := ca.Refer(patient(t), "202"); code != 486 {
			t.Fatal(code, err)
		}
		talk(t, cc, ca) // the call is still there
		cc.Hangup()
		wait(t, ca.Done(), "end")
	})
	t.Run("attended", func(t *testing.T) {
		cc := call(t, cust, "201")
		ca := next(t, a.Incoming(), "call")
		if err := ca.Hold(patient(t)); err != nil {
			t.Fatal(err)
		}
		consult := call(t, a, "202")
		cb := next(t, b.Incoming(), "consultation")
		code, err := ca.ReferReplaces(patient(t), consult)
		if err != nil || code != 200 {
			t.Fatal(code, err)
		}
		wait(t, ca.Done(), "BYE of the first leg")
		wait(t, consult.Done(), "BYE of the second leg")
		talk(t, cc, cb)
		cc.Hangup()
		wait(t, cb.Done(), "end")
	})
	if err := p.WaitCalls(patient(t), "end", func(l []LegInfo) bool { return len(l) == 0 }); err != nil {
		t.Error(err, p.Calls())
	}
}

// talk checks that two calls hear each other.
func talk(t *testing.T, a, b *phone.Call) {
	t.Helper()
	va, vb := voice(11, 0.7), voice(12, 0.7)
	ma, mb := mark(a), mark(b)
	da, db := a.Say(va), b.Say(vb)
	wait(t, da, "end of speech")
	wait(t, db, "end of speech")
	heardBy(t, b, va, mb)
	heardBy(t, a, vb, ma)
}
