package media

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskset/audio/codec"

	"github.com/pion/logging"
	"github.com/pion/transport/v4/vnet"
)

// wire is a simulated network between two legs.
type wire struct {
	t      *testing.T
	router *vnet.Router
	a, b   *vnet.Net
}

// newWire makes one with a delay each way; lose says for each datagram after
// the connection whether it is lost.
func newWire(t *testing.T, delay time.Duration, lose func(n int) bool) *wire {
	t.Helper()
	r, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/24", MinDelay: delay, LoggerFactory: logging.NewDefaultLoggerFactory()})
	check(t, err)
	w := &wire{t: t, router: r}
	var mu sync.Mutex
	n := 0
	r.AddChunkFilter(func(vnet.Chunk) bool {
		mu.Lock()
		defer mu.Unlock()
		n++
		return lose == nil || !lose(n)
	})
	for _, end := range []struct {
		net **vnet.Net
		ip  string
	}{{&w.a, "10.0.0.1"}, {&w.b, "10.0.0.2"}} {
		*end.net, err = vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{end.ip}})
		check(t, err)
		check(t, r.AddNet(*end.net))
	}
	check(t, r.Start())
	return w
}

func (w *wire) leg(n *vnet.Net, ip string, cfg Config) *Leg {
	w.t.Helper()
	c, err := n.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ip)})
	check(w.t, err)
	cfg.Conn, cfg.Now = c, time.Now
	if cfg.Identity == nil {
		cfg.Identity = identity()
	}
	l, err := New(cfg)
	check(w.t, err)
	return l
}

// join connects two legs.
func join(t *testing.T, a, b *Leg) {
	t.Helper()
	offer, err := a.Offer(t.Context())
	check(t, err)
	answer, err := b.Answer(t.Context(), offer)
	check(t, err)
	check(t, a.SetAnswer(answer))
	<-a.Connected()
	<-b.Connected()
}

func TestMinuteInVirtualTime(t *testing.T) {
	identity() // outside the bubble
	for _, c := range []struct {
		name             string
		codec            codec.Codec
		secs             uint64
		lose             func(int) bool
		minLost, maxLost uint64 // packets each way
		minMade, maxMade uint64 // frames concealed or rebuilt
		minHeard         int64  // frames with sound in them
	}{
		{"clean", codec.Opus, 60, nil, 0, 0, 0, 3, 2950},
		{"one in twenty", codec.Opus, 20, func(n int) bool { return n > 100 && n%20 == 0 }, 30, 70, 30, 90, 950},
		{"bursts of three", codec.PCMA, 20, func(n int) bool { return n > 100 && n%60 < 6 }, 60, 140, 50, 180, 900},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t, 20*time.Millisecond, c.lose)
				a, b := w.leg(w.a, "10.0.0.1", Config{Codecs: []codec.Codec{c.codec}}), w.leg(w.b, "10.0.0.2", Config{})
				start := time.Now()
				join(t, a, b)
				if up := time.Since(start); up > 600*time.Millisecond {
					t.Errorf("connected after %v over 20 ms each way", up)
				}
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				heads := []*ticker{newTicker(), newTicker()}
				var pumps []*Pump
				for i, l := range []*Leg{a, b} {
					p, err := NewPump(PumpConfig{Headset: heads[i]})
					check(t, err)
					p.SetLeg(l, nil)
					pumps = append(pumps, p)
					wg.Go(func() { p.Run(ctx) })
				}
				time.Sleep(time.Duration(c.secs) * time.Second)
				stop()
				wg.Wait()
				for i, l := range []*Leg{a, b} {
					s := pumps[i].Stats(l)
					t.Logf("%+v heard %d", s, heads[i].ear.Load())
					if s.Sent < 50*c.secs-10 || s.Lost < c.minLost || s.Lost > c.maxLost {
						t.Errorf("sent %d lost %d", s.Sent, s.Lost)
					}
					if made := s.Concealed + s.FEC; made < c.minMade || made > c.maxMade {
						t.Errorf("made up %d frames", made)
					}
					if heads[i].ear.Load() < c.minHeard {
						t.Errorf("heard %d frames", heads[i].ear.Load())
					}
					if c.maxLost == 0 && (s.RTTMs < 39 || s.RTTMs > 61) { // reports are lost, too
						t.Errorf("round trip %v ms", s.RTTMs)
					}
					if c.minLost > 0 && s.RemoteLost == 0 {
						t.Errorf("far end reported no loss")
					}
					select {
					case <-l.Failed():
						t.Error(l.Err())
					default:
					}
				}
				check(t, a.Close())
				check(t, b.Close())
				check(t, w.router.Stop())
			})
		})
	}
}

// quiet is a headset without a sound.
type quiet struct{ *ticker }

func (quiet) ReadMic(f []int16) bool { clear(f); return false }

func TestSilenceAndLossAreTold(t *testing.T) {
	identity()
	synctest.Test(t, func(t *testing.T) {
		var cut bool
		var mu sync.Mutex
		w := newWire(t, 5*time.Millisecond, func(int) bool { mu.Lock(); defer mu.Unlock(); return cut })
		a, b := w.leg(w.a, "10.0.0.1", Config{}), w.leg(w.b, "10.0.0.2", Config{})
		join(t, a, b)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, l := range []*Leg{a, b} {
			p, err := NewPump(PumpConfig{Headset: quiet{newTicker()}})
			check(t, err)
			p.SetLeg(l, nil)
			wg.Go(func() { p.Run(ctx) })
		}
		expect := func(k EventKind, within time.Duration) {
			t.Helper()
			start := time.Now()
			select {
			case e := <-a.Events():
				if e.Kind != k {
					t.Fatalf("%v, want %v", e.Kind, k)
				}
				t.Logf("%v after %v", k, time.Since(start))
			case <-time.After(within):
				t.Fatalf("no %v in %v", k, within)
			}
		}
		set := func(v bool) { mu.Lock(); cut = v; mu.Unlock() }
		expect(LegConnected, time.Second)
		expect(LegHeard, time.Second)
		time.Sleep(20 * time.Second)
		set(true)
		expect(LegSilent, 3100*time.Millisecond)
		expect(LegDisconnected, 7*time.Second)
		set(false)
		expect(LegHeard, time.Second)
		expect(LegReconnected, 6*time.Second)
		set(true)
		expect(LegSilent, 4*time.Second)
		expect(LegDisconnected, 8*time.Second)
		expect(LegFailed, 15*time.Second)
		<-a.Failed()
		stop()
		wg.Wait()
		set(false)
		check(t, a.Close())
		check(t, b.Close())
		check(t, w.router.Stop())
	})
}

func TestByeIsTold(t *testing.T) {
	identity()
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, 5*time.Millisecond, nil)
		a, b := w.leg(w.a, "10.0.0.1", Config{}), w.leg(w.b, "10.0.0.2", Config{Codecs: []codec.Codec{codec.PCMA}})
		join(t, a, b)
		for range 10 {
			for _, l := range []*Leg{a, b} {
				l.Drain(func(Packet) {})
				l.Send(codec.PCMA, make([]byte, 160))
			}
			time.Sleep(frameTime)
		}
		check(t, b.Close())
		time.Sleep(frameTime)
		a.Drain(func(Packet) {})
		var kinds []EventKind
		for len(a.Events()) > 0 {
			kinds = append(kinds, (<-a.Events()).Kind)
		}
		if len(kinds) != 3 || kinds[2] != LegBye {
			t.Fatalf("%v", kinds)
		}
		if a.Codec() != codec.PCMA {
			t.Fatal(a.Codec())
		}
		check(t, a.Close())
		check(t, a.Close())
		check(t, w.router.Stop())
	})
}
