package seat

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/panel"
	"deskset/firmware/sipua/sipuatest"
	"deskset/firmware/vault"
)

// moody is a PBX that answers, refuses, forgets and cuts as it likes.
type moody struct {
	s   *stage
	rng *rand.Rand

	mu      sync.Mutex
	link    *sipuatest.Link
	fars    map[string]*far // by Call-ID
	dialogs map[string]*sipuatest.Dialog
	invites map[string]*sipuatest.Msg // the seat's, not yet answered for good
	settled map[string]bool
}

func (m *moody) run(ctx context.Context) {
	for ctx.Err() == nil {
		m.mu.Lock()
		l := m.link
		m.mu.Unlock()
		if l.Over() {
			if l, ok := m.s.pbx.TryAccept(100 * time.Millisecond); ok {
				m.mu.Lock()
				m.link = l
				m.mu.Unlock()
			}
			continue
		}
		msg, ok := l.Try(50 * time.Millisecond)
		if !ok {
			continue
		}
		m.mu.Lock()
		m.handle(l, msg)
		m.mu.Unlock()
	}
}

func (m *moody) handle(l *sipuatest.Link, msg *sipuatest.Msg) {
	id := msg.Get("Call-ID")
	_, method := msg.CSeq()
	contact := "Contact: <sip:asterisk@192.0.2.1:8089;transport=ws>"
	switch msg.Method() {
	case "REGISTER":
		l.Respond(msg, 200, "", "", fmt.Sprintf("Contact: %s;expires=600", msg.ContactURI()))
	case "INVITE":
		if msg.Tag("To") != "" {
			f := m.fars[id]
			if f == nil || m.rng.IntN(4) == 0 {
				l.Respond(msg, []int{488, 491, 500, 481}[m.rng.IntN(4)], "", "")
				return
			}
			sdp, err := f.AnswerReoffer([]byte(msg.Body))
			if err != nil {
				l.Respond(msg, 488, "", "")
				return
			}
			l.Respond(msg, 200, "", string(sdp), contact)
			return
		}
		m.invites[id] = msg
		switch m.rng.IntN(4) {
		case 0:
			l.Respond(msg, 486, "far", "")
		case 1:
			l.Respond(msg, 180, "far", "")
		default:
			f := m.s.net.far(700)
			sdp, err := f.Answer(m.s.t.Context(), []byte(msg.Body))
			must(m.s.t, err)
			m.fars[id] = f
			if m.rng.IntN(2) == 0 {
				l.Respond(msg, 183, "far", string(sdp))
			}
			l.Respond(msg, 200, "far", string(sdp), contact)
			m.dialogs[id] = l.On(msg, "far")
		}
	case "CANCEL":
		l.Respond(msg, 200, "", "")
		if in := m.invites[id]; in != nil && m.dialogs[id] == nil {
			l.Respond(in, 487, "far", "")
		}
	case "REFER":
		l.Respond(msg, []int{202, 202, 603}[m.rng.IntN(3)], "", "")
		if d := m.dialogs[id]; d != nil && m.rng.IntN(3) > 0 {
			d.Move(l)
			notify(d, []string{"200 OK", "486 Busy Here"}[m.rng.IntN(2)], true)
		}
	case "BYE", "NOTIFY", "INFO", "OPTIONS":
		l.Respond(msg, 200, "", "")
	case "":
		d := m.dialogs[id]
		switch {
		case method != "INVITE" || d == nil || msg.Code() < 200:
		case msg.Code() < 300:
			d.Settle(msg)
			if !m.settled[id] && m.rng.IntN(8) > 0 { // else its media never comes
				m.settled[id] = true
				must(m.s.t, m.fars[id].SetAnswer([]byte(msg.Body)))
			}
			d.Ack()
		default:
			d.Settle(msg)
			d.AckRefusal()
			delete(m.dialogs, id)
		}
	}
}

// call offers one to the seat.
func (m *moody) call(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := fmt.Sprintf("call-%d", n)
	f := m.s.net.far(1000)
	sdp, err := f.Offer(m.s.t.Context())
	must(m.s.t, err)
	m.fars[id] = f
	m.dialogs[id] = m.link.Offer(id, fmt.Sprintf("<sip:1380013%04d@pbx.test>", n), string(sdp), sdpType)
}

// whim does something to one of the calls.
func (m *moody) whim() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.dialogs { // in no order
		d.Move(m.link)
		switch m.rng.IntN(3) {
		case 0:
			d.Cancel()
		case 1:
			d.Request("BYE", "")
		case 2:
			d.Request("INVITE", strings.Replace(offer, "opus", "speex", 1), sdpType)
		}
		return
	}
}

func (m *moody) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.link.Cut()
}

// TestChaos: whatever agent, PBX and network do, the seat neither stops nor
// keeps a call that is over, and every recording is sealed.
func TestChaos(t *testing.T) {
	actions := []console.Action{
		{Kind: console.Answer}, {Kind: console.Reject}, {Kind: console.Hangup}, {Kind: console.Hangup}, {Kind: console.Hold}, {Kind: console.Resume},
		{Kind: console.Mute}, {Kind: console.Unmute}, {Kind: console.DTMF, Digit: "5"}, {Kind: console.Dial, Target: "600"},
		{Kind: console.TransferBlind, Target: "202"}, {Kind: console.Consult, Target: "202"}, {Kind: console.Consult, Target: "600"},
		{Kind: console.TransferComplete}, {Kind: console.TransferCancel}, {Kind: console.Ready}, {Kind: console.Busy, Reason: "meal"},
		{Kind: console.WrapUp}, {Kind: console.RecPause}, {Kind: console.RecResume}, {Kind: console.Volume, DB: 3},
	}
	seeds := uint64(1)
	if os.Getenv("DESKSET_FULL") != "" {
		seeds = 12
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			onStage(t, func(t *testing.T, s *stage) {
				rng := rand.New(rand.NewPCG(seed, 1))
				m := &moody{s: s, rng: rand.New(rand.NewPCG(seed, 2)), link: s.l, fars: map[string]*far{},
					dialogs: map[string]*sipuatest.Dialog{}, invites: map[string]*sipuatest.Msg{}, settled: map[string]bool{}}
				ctx, stop := context.WithCancel(t.Context())
				var parts sync.WaitGroup
				parts.Go(func() { m.run(ctx) })
				for n := range 25 {
					switch x := rng.IntN(12); {
					case x < 3:
						m.call(n)
					case x == 3:
						m.whim()
					case x == 4 && rng.IntN(3) == 0:
						m.cut()
					case x == 5:
						s.net.lose(rng.IntN(2) == 0)
					case x == 6:
						s.gone <- HeadsetEvent{Present: rng.IntN(2) == 0, Reason: "chaos"}
					case x == 7:
						k := panel.Keys[rng.IntN(len(panel.Keys))]
						s.edge(k, true)
						time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
						s.edge(k, false)
					default:
						_ = s.seat.Do(t.Context(), actions[rng.IntN(len(actions))]) // refused as often as not
					}
					time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
				}
				s.net.lose(false)
				s.do(console.Action{Kind: console.DND}) // nothing rings any more
				for range 600 {
					if v := s.seat.View(); len(v.Calls) == 0 && v.State != panel.Offline {
						break
					}
					_ = s.seat.Do(t.Context(), console.Action{Kind: console.Hangup})
					time.Sleep(time.Second)
				}
				if v := s.seat.View(); len(v.Calls) != 0 || v.State == panel.Talking || v.State == panel.Ringing || v.Headset.Muted || v.Rec.On {
					t.Errorf("left behind: %s, %+v, %+v", v.State, v.Calls, v.Rec)
				}
				s.link = nil // the PBX of this test says goodbye
				s.stop()
				stop()
				parts.Wait()
				if n := len(s.seat.lines); n != 0 {
					t.Errorf("%d lines are left", n)
				}
				for _, e := range s.vault.List() {
					if e.State != vault.Sealed {
						t.Errorf("recording %d is %s", e.Seq, e.State)
					}
				}
			})
		})
	}
}
