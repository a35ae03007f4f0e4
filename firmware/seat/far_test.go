package seat

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskset/audio/oggopus"
	"deskset/firmware/console"
	"deskset/firmware/fleet"
	"deskset/firmware/media"
	"deskset/firmware/panel"
	"deskset/firmware/record"
	"deskset/firmware/sipua/sipuatest"
	"deskset/firmware/vault"
	"deskset/firmware/vault/sealed"

	"github.com/pion/logging"
	"github.com/pion/transport/v4/vnet"
)

// net is the simulated network between the seat and its far ends.
type network struct {
	t      *testing.T
	router *vnet.Router
	seat   *vnet.Net
	pbx    *vnet.Net
	id     *media.Identity

	mu  sync.Mutex
	cut bool
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	r, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/24", MinDelay: 5 * time.Millisecond, LoggerFactory: logging.NewDefaultLoggerFactory()})
	must(t, err)
	n := &network{t: t, router: r}
	r.AddChunkFilter(func(vnet.Chunk) bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return !n.cut
	})
	for _, end := range []struct {
		net **vnet.Net
		ip  string
	}{{&n.seat, "10.0.0.1"}, {&n.pbx, "10.0.0.2"}} {
		*end.net, err = vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{end.ip}})
		must(t, err)
		must(t, r.AddNet(*end.net))
	}
	n.id, err = media.NewIdentity()
	must(t, err)
	must(t, r.Start())
	t.Cleanup(func() { must(t, r.Stop()) })
	return n
}

// lose cuts the network, or mends it.
func (n *network) lose(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = on
}

// leg is for the seat's Config.
func (n *network) leg(cfg media.Config) (*media.Leg, error) {
	c, err := n.seat.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP("10.0.0.1")})
	if err != nil {
		return nil, err
	}
	cfg.Conn = c
	return media.New(cfg)
}

// far is the other side of a call's media, with somebody who speaks a tone.
type far struct {
	*media.Leg
	head *headset
}

func (n *network) far(hz float64) *far {
	n.t.Helper()
	c, err := n.pbx.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP("10.0.0.2")})
	must(n.t, err)
	leg, err := media.New(media.Config{Conn: c, Identity: n.id, Now: time.Now})
	must(n.t, err)
	f := &far{leg, &headset{hz: hz}}
	pump, err := media.NewPump(media.PumpConfig{Headset: f.head})
	must(n.t, err)
	pump.SetLeg(leg, nil)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); pump.Run(ctx) }()
	n.t.Cleanup(func() {
		stop()
		<-done
		must(n.t, leg.Close())
	})
	return f
}

// heard is how many frames with sound reach an ear within a second.
func heard(h *headset) int64 {
	before := h.loud.Load()
	time.Sleep(time.Second)
	return h.loud.Load() - before
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stage is a seat in virtual time on a network, registered, with an agent.
type stage struct {
	*bench
	net *network
	l   *sipuatest.Link
}

func onStage(t *testing.T, f func(t *testing.T, s *stage), change ...func(*bench, *Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		b := newBench(t, append(change, func(_ *bench, c *Config) { c.NewLeg = n.leg })...)
		s := &stage{bench: b, net: n, l: b.register()}
		b.do(console.Action{Kind: console.SignIn, Agent: "7041"})
		b.state(panel.Ready)
		f(t, s)
	})
}

const (
	customerNumber = "13800138000"
	sdpType        = "Content-Type: application/sdp"
)

// ring offers a call of the customer's.
func (s *stage) ring(id string) (*far, *sipuatest.Dialog) {
	s.t.Helper()
	f := s.net.far(1000)
	sdp, err := f.Offer(s.t.Context())
	must(s.t, err)
	d := s.l.Offer(id, `"Wang Fang" <sip:`+customerNumber+`@pbx.test>`, string(sdp), sdpType, "X-Queue: support")
	s.l.Expect("100")
	s.l.Expect("180")
	s.state(panel.Ringing)
	return f, d
}

// talk is a call that the agent has answered with the key.
func (s *stage) talk(id string) (*far, *sipuatest.Dialog) {
	s.t.Helper()
	f, d := s.ring(id)
	time.Sleep(1100 * time.Millisecond) // ANSWER within 1 s is ignored
	s.press(panel.Answer)
	ok := s.l.Expect("200")
	d.Settle(ok)
	must(s.t, f.SetAnswer([]byte(ok.Body)))
	d.Ack()
	s.state(panel.Talking)
	time.Sleep(1100 * time.Millisecond)
	synctest.Wait()
	return f, d
}

// reinvited answers the seat's next offer.
func (s *stage) reinvited(f *far) {
	s.t.Helper()
	m := s.l.Expect("INVITE")
	sdp, err := f.AnswerReoffer([]byte(m.Body))
	must(s.t, err)
	s.l.Respond(m, 200, "", string(sdp), "Contact: <sip:asterisk@192.0.2.1:8089;transport=ws>")
	s.l.Expect("ACK")
}

// answers takes the seat's next call.
func (s *stage) answers(f *far, tag string) *sipuatest.Dialog {
	s.t.Helper()
	m := s.l.Expect("INVITE")
	sdp, err := f.Answer(s.t.Context(), []byte(m.Body))
	must(s.t, err)
	s.l.Respond(m, 200, tag, string(sdp), "Contact: <sip:asterisk@192.0.2.1:8089;transport=ws>")
	s.l.Expect("ACK")
	return s.l.On(m, tag)
}

// byes takes the seat's BYE.
func (s *stage) byes() *sipuatest.Msg {
	s.t.Helper()
	m := s.l.Expect("BYE")
	s.l.Respond(m, 200, "", "")
	return m
}

// lamp is what a lamp is to show now.
func (s *stage) lamp(l panel.Lamp, c panel.Colour, b panel.Blink) {
	s.t.Helper()
	if got := s.seat.View().Lamps[l]; got != (panel.Light{Colour: c, Blink: b}) {
		s.t.Errorf("%s shows %v, want %s %s", l, got, c, b)
	}
	shown, _ := s.lamps.get(l)
	if b == panel.Steady && c != panel.RedAmber && shown != c {
		s.t.Errorf("%s is %s, want %s", l, shown, c)
	}
}

// taken is what the centre and its auditor find of one.
type taken struct {
	facts           []record.Fact
	agent, customer []int16
}

// recordings waits until n recordings are sealed, and opens them.
func (b *bench) recordings(n int) (out []taken) {
	b.t.Helper()
	sealedOnes := func() (all []vault.Entry) {
		for _, e := range b.vault.List() {
			if e.State == vault.Sealed {
				all = append(all, e)
			}
		}
		return all
	}
	for range 100 {
		if len(sealedOnes()) >= n {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	all := sealedOnes()
	if len(all) != n {
		b.t.Fatalf("%d recordings are sealed, want %d", len(all), n)
	}
	for _, e := range all {
		var r taken
		var facts, voice []byte
		for _, p := range e.Parts {
			if p.Kind == fleet.Facts {
				facts = append(facts, b.part(e.ID, p, b.facts)...)
			} else {
				voice = append(voice, b.part(e.ID, p, b.voice)...)
			}
		}
		var err error
		r.facts, err = record.Parse(facts)
		must(b.t, err)
		if len(voice) > 0 {
			r.agent, r.customer, err = oggopus.Decode(voice)
			must(b.t, err)
		}
		out = append(out, r)
	}
	return out
}

func (b *bench) part(id string, p fleet.Part, key *sealed.PrivateKey) (out []byte) {
	b.t.Helper()
	f, err := b.vault.OpenPart(id, p.N, p.Kind)
	must(b.t, err)
	defer f.Close()
	r, err := sealed.Open(f, f.Size(), key)
	must(b.t, err)
	for {
		s, err := r.Next()
		if err == io.EOF {
			return out
		}
		must(b.t, err)
		out = append(out, s.Data...)
	}
}

// fact finds the n-th fact of a kind, from 0.
func (r taken) fact(t *testing.T, k record.Kind, n int) record.Fact {
	t.Helper()
	for _, f := range r.facts {
		if f.Kind == k {
			if n == 0 {
				return f
			}
			n--
		}
	}
	t.Errorf("no fact %q in %+v", k, r.facts)
	return record.Fact{}
}
