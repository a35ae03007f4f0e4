package seat

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/panel"
	"deskset/firmware/sipua/sipuatest"
)

// offer is what a PBX sends; no media ever comes, so a test that answers must
// bring a far end.
const offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-mux\r\na=setup:actpass\r\n" +
	"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n" +
	"a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n"

// virtual runs a test in virtual time with a seat that is registered and has
// an agent.
func virtual(t *testing.T, f func(t *testing.T, b *bench, l *sipuatest.Link)) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		l := b.register()
		b.do(console.Action{Kind: console.SignIn, Agent: "7041"})
		b.state(panel.Ready)
		synctest.Wait()
		f(t, b, l)
	})
}

// TestLampOnTheEdgesOwnTick: from pin to lamp no time passes.
func TestLampOnTheEdgesOwnTick(t *testing.T) {
	virtual(t, func(t *testing.T, b *bench, _ *sipuatest.Link) {
		time.Sleep(time.Second)
		at := time.Now()
		b.edge(panel.DND, true)
		synctest.Wait()
		if c, when := b.lamps.get(panel.LampDND); c != panel.On || !when.Equal(at) {
			t.Fatalf("DND's lamp is %s, %v after the edge", c, when.Sub(at))
		}
		if v := b.seat.View(); v.State != panel.Ready {
			t.Fatalf("the first edge alone made it %s", v.State)
		}
		time.Sleep(5 * time.Millisecond)
		synctest.Wait()
		if v := b.seat.View(); v.State != panel.DNDState || v.Pending != "" {
			t.Fatalf("5 ms later: %s, pending %q", v.State, v.Pending)
		}
		b.edge(panel.DND, false)
		if c, _ := b.lamps.get(panel.Beacon); c != panel.Purple {
			t.Errorf("beacon %s", c)
		}
	})
}

func TestAGlitchDoesNothing(t *testing.T) {
	virtual(t, func(t *testing.T, b *bench, _ *sipuatest.Link) {
		b.edge(panel.Busy, true)
		time.Sleep(2 * time.Millisecond)
		b.edge(panel.Busy, false)
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		if c, _ := b.lamps.get(panel.LampBusy); c != panel.Off || b.seat.View().State != panel.Ready {
			t.Fatalf("lamp %s, state %s", c, b.seat.View().State)
		}
	})
}

func TestRingingBlinksAndRONA(t *testing.T) {
	virtual(t, func(t *testing.T, b *bench, l *sipuatest.Link) {
		d := l.Offer("call-1", `"Wang" <sip:13800138000@pbx.test>`, offer, "Content-Type: application/sdp", "X-Queue: support")
		_ = d
		l.Expect("100")
		l.Expect("180")
		began := time.Now()
		v := b.state(panel.Ringing)
		if v.Calls[0].Peer != "13800138000" || v.Calls[0].Queue != "support" {
			t.Errorf("shown as %+v", v.Calls[0])
		}
		changes := 0
		_, last := b.lamps.get(panel.Beacon)
		for time.Since(began) < 2*time.Second {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			if _, at := b.lamps.get(panel.Beacon); at != last {
				changes, last = changes+1, at
			}
		}
		if changes < 7 || changes > 8 { // 2 Hz is four changes a second
			t.Errorf("%d changes of the beacon in 2 s of ringing", changes)
		}
		res := l.Expect("480")
		if took := time.Since(began); took < 14*time.Second || took > 16*time.Second {
			t.Errorf("gave the call back after %v", took)
		}
		d.Settle(res)
		d.AckRefusal()
		if v := b.state(panel.BusyState); v.Notice != "rona" {
			t.Errorf("notice %q", v.Notice)
		}
	})
}

func TestDNDRefusesWithoutARing(t *testing.T) {
	virtual(t, func(t *testing.T, b *bench, l *sipuatest.Link) {
		b.do(console.Action{Kind: console.DND})
		b.state(panel.DNDState)
		l.Offer("call-1", "<sip:202@pbx.test>", offer, "Content-Type: application/sdp")
		l.Expect("100")
		l.Expect("486")
	})
}

func TestBusyStillRings(t *testing.T) {
	virtual(t, func(t *testing.T, b *bench, l *sipuatest.Link) {
		b.do(console.Action{Kind: console.Busy, Reason: "meal"})
		b.state(panel.BusyState)
		l.Offer("call-1", "<sip:202@pbx.test>", offer, "Content-Type: application/sdp")
		l.Expect("100")
		l.Expect("180")
		b.do(console.Action{Kind: console.Reject})
		l.Expect("486")
		b.state(panel.BusyState)
	})
}

func TestASecondCallIsBusy(t *testing.T) {
	virtual(t, func(t *testing.T, b *bench, l *sipuatest.Link) {
		l.Offer("call-1", "<sip:1@pbx.test>", offer, "Content-Type: application/sdp")
		l.Expect("100")
		l.Expect("180")
		l.Offer("call-2", "<sip:2@pbx.test>", offer, "Content-Type: application/sdp")
		l.Expect("100")
		if m := l.Expect("486"); m.Get("Call-ID") != "call-2" {
			t.Errorf("refused %s", m.Get("Call-ID"))
		}
		if v := b.seat.View(); len(v.Calls) != 1 || v.Calls[0].Peer != "1" {
			t.Errorf("calls %+v", v.Calls)
		}
	})
}

// TestAnOfferNobodyCanTake: an unknown codec is refused in words, and the
// seat is ready for the next call.
func TestAnOfferNobodyCanTake(t *testing.T) {
	virtual(t, func(t *testing.T, b *bench, l *sipuatest.Link) {
		l.Offer("call-1", "<sip:1@pbx.test>", strings.Replace(offer, "opus/48000/2", "speex/32000", 1), "Content-Type: application/sdp")
		l.Expect("100")
		l.Expect("488") // before it rings
		b.state(panel.Ready)
	})
}

// TestOnlyListedTargets: no INVITE goes out for a number that is in no list.
func TestOnlyListedTargets(t *testing.T) {
	virtual(t, func(t *testing.T, b *bench, l *sipuatest.Link) {
		err := b.seat.Do(t.Context(), console.Action{Kind: console.Dial, Target: "13800138000"})
		if e, ok := err.(*console.Error); !ok || e.Code != console.CodeDialRefused {
			t.Errorf("dialling an outside number: %v", err)
		}
		l.Silent(10 * time.Second)
		b.do(console.Action{Kind: console.Dial, Target: "600"})
		if m := l.Expect("INVITE"); !strings.HasPrefix(m.URI(), "sip:600@") {
			t.Errorf("INVITE %s", m.URI())
		}
	})
}

func TestEmergencyWithoutAnAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		l := b.register()
		if err := b.seat.Do(t.Context(), console.Action{Kind: console.Dial, Target: "600"}); err == nil {
			t.Error("an internal call with nobody signed in")
		}
		b.do(console.Action{Kind: console.Dial, Target: "110"})
		l.Expect("INVITE")
	})
}

// TestSignOutEmpties: nothing of agent A is visible to agent B, R34.
func TestSignOutEmpties(t *testing.T) {
	virtual(t, func(t *testing.T, b *bench, l *sipuatest.Link) {
		l.Offer("call-1", "<sip:13800138000@pbx.test>", offer, "Content-Type: application/sdp")
		l.Expect("100")
		l.Expect("180")
		b.do(console.Action{Kind: console.Reject})
		l.Expect("486")
		b.until("in the shift", func(v panel.View) bool { return len(v.Shift) == 1 })
		b.do(console.Action{Kind: console.SignOut})
		b.do(console.Action{Kind: console.SignIn, Agent: "7042"})
		if v := b.state(panel.Ready); len(v.Shift) != 0 {
			t.Errorf("the next agent sees %+v", v.Shift)
		}
	})
}

// TestTheFlowComesBack: a cut shows at once, and the seat registers again.
func TestTheFlowComesBack(t *testing.T) {
	virtual(t, func(t *testing.T, b *bench, l *sipuatest.Link) {
		l.Cut()
		b.state(panel.Offline)
		if c, _ := b.lamps.get(panel.LampLink); c != panel.Off {
			t.Error("LINK is lit without a line")
		}
		b.register()
		b.state(panel.Ready)
	})
}

// TestHelpConfirmsOnlyWhenShort: held for 3 s it calls the supervisor.
func TestHelpConfirmsOnlyWhenShort(t *testing.T) {
	virtual(t, func(t *testing.T, b *bench, _ *sipuatest.Link) {
		var got []panel.Key
		b.seat.OnKey(func(k panel.Key) bool { got = append(got, k); return true })
		b.edge(panel.Help, true)
		time.Sleep(3100 * time.Millisecond)
		b.edge(panel.Help, false)
		synctest.Wait()
		if len(got) != 0 || b.seat.View().Notice != "help-sent" {
			t.Errorf("held: confirmed %v, notice %q", got, b.seat.View().Notice)
		}
		b.edge(panel.Help, true)
		time.Sleep(100 * time.Millisecond)
		b.edge(panel.Help, false)
		synctest.Wait()
		if len(got) != 1 {
			t.Errorf("short: confirmed %v", got)
		}
	})
}
