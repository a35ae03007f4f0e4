package media

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"deskset/audio/codec"
	"deskset/audio/pcm"
	"deskset/audio/tone"
)

// recorder is a tap that keeps what it hears.
type recorder struct {
	mu       sync.Mutex
	agent    []int64 // positions
	loud     int     // frames of the agent with sound in them
	customer []Packet
}

func (r *recorder) Tick(int64) {}

func (r *recorder) Agent(c codec.Codec, payload []byte, at int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.agent = append(r.agent, at)
	if loudPCMU(payload) {
		r.loud++
	}
}

func (r *recorder) Customer(p Packet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.Payload = append([]byte(nil), p.Payload...)
	r.customer = append(r.customer, p)
}

func (r *recorder) counts() (agent, loud, customer int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.agent), r.loud, len(r.customer)
}

// loudPCMU says whether a PCMU payload has sound in it: mu-law writes silence
// as FF and 7F.
func loudPCMU(p []byte) bool {
	n := 0
	for _, b := range p {
		if b&0x7f < 0x60 {
			n++
		}
	}
	return n > len(p)/4
}

// bench is a pump in virtual time with a far end for each leg.
type bench struct {
	t    *testing.T
	wire *wire
	pump *Pump
	head *ticker
	near []*Leg
	far  []*Leg
	stop context.CancelFunc
	wg   sync.WaitGroup
	got  [2]atomic.Int64 // loud packets that reached each far end
	all  [2]atomic.Int64
}

func newBench(t *testing.T, legs int) *bench {
	t.Helper()
	b := &bench{t: t, wire: newWire(t, time.Millisecond, nil), head: newTicker()}
	var err error
	b.pump, err = NewPump(PumpConfig{Headset: b.head})
	check(t, err)
	var ctx context.Context
	ctx, b.stop = context.WithCancel(t.Context())
	b.wg.Go(func() {
		if err := b.pump.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	pcmu := []codec.Codec{codec.PCMU}
	for i := range legs {
		near := b.wire.leg(b.wire.a, "10.0.0.1", Config{Codecs: pcmu})
		far := b.wire.leg(b.wire.b, "10.0.0.2", Config{Codecs: pcmu})
		join(t, near, far)
		b.near, b.far = append(b.near, near), append(b.far, far)
		b.wg.Go(func() {
			sound := make([]byte, 160)
			for j := range sound {
				sound[j] = byte(j) & 0x9f
			}
			for ctx.Err() == nil {
				far.Drain(func(p Packet) {
					b.all[i].Add(1)
					if loudPCMU(p.Payload) {
						b.got[i].Add(1)
					}
				})
				far.Send(codec.PCMU, sound)
				time.Sleep(frameTime)
			}
		})
	}
	return b
}

func (b *bench) close() {
	b.stop()
	b.wg.Wait()
	for i := range b.near {
		check(b.t, b.near[i].Close())
		check(b.t, b.far[i].Close())
	}
	check(b.t, b.wire.router.Stop())
}

// during counts what reaches far end i in a second, after a settling time.
func (b *bench) during(i int) (loud, all int64, heard int) {
	time.Sleep(200 * time.Millisecond)
	l, a, h := b.got[i].Load(), b.all[i].Load(), b.head.ear.Load()
	time.Sleep(time.Second)
	return b.got[i].Load() - l, b.all[i].Load() - a, int(b.head.ear.Load() - h)
}

func inBubble(t *testing.T, f func(t *testing.T)) {
	identity()
	voice()
	synctest.Test(t, f)
}

func TestPumpBothWays(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, 1)
		defer b.close()
		rec := new(recorder)
		b.pump.SetLeg(b.near[0], rec)
		if b.pump.Leg() != b.near[0] {
			t.Error("not the active leg")
		}
		if loud, all, heard := b.during(0); loud < 49 || all < 49 || heard < 49 {
			t.Fatalf("far end got %d of %d, ear %d", loud, all, heard)
		}
		mic, ear := b.pump.Levels()
		if mic < -40 || ear < -40 {
			t.Errorf("levels %v %v", mic, ear)
		}

		b.pump.SetMute(true)
		if loud, all, heard := b.during(0); loud != 0 || all < 49 || heard < 49 {
			t.Errorf("muted: far end got %d of %d, ear %d", loud, all, heard)
		}
		b.pump.SetMute(false)

		b.pump.Hold(true)
		if _, all, heard := b.during(0); all != 0 || heard != 0 {
			t.Errorf("held: far end got %d, ear %d", all, heard)
		}
		b.pump.Hold(false)
		if loud, _, heard := b.during(0); loud < 49 || heard < 49 {
			t.Errorf("taken back: far end got %d, ear %d", loud, heard)
		}

		// Positions: the agent's lie on whole frames, the customer's follow the
		// packets' own time.
		rec.mu.Lock()
		for i := 1; i < len(rec.agent); i++ {
			if d := rec.agent[i] - rec.agent[i-1]; d <= 0 || d%pcm.Frame != 0 {
				t.Fatalf("agent's frame %d is %d samples after the one before", i, d)
			}
		}
		for i := 1; i < len(rec.customer); i++ {
			p, q := rec.customer[i], rec.customer[i-1]
			d := p.At - q.At
			if ts := int64(p.TS-q.TS) * 6; d-ts > pcm.Frame || ts-d > pcm.Frame {
				t.Fatalf("customer's packet %d came %d samples after the one before, sent %d after", i, d, ts)
			}
		}
		rec.mu.Unlock()

		b.pump.Drop(b.near[0])
		a1, _, c1 := rec.counts()
		time.Sleep(time.Second)
		if a2, _, c2 := rec.counts(); a1 != a2 || c1 != c2 {
			t.Error("tap called after Drop")
		}
	})
}

// A consultation: the customer's leg is held and drained while the agent talks
// to a colleague, and neither hears the other.
func TestPumpSecondLeg(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, 2)
		defer b.close()
		rec := new(recorder)
		b.pump.SetLeg(b.near[0], rec)
		b.during(0)
		b.pump.Hold(true)
		b.pump.SetLeg(b.near[1], nil)
		a1, _, c1 := rec.counts()
		loud, _, heard := b.during(1)
		if loud < 49 || heard < 49 {
			t.Errorf("colleague got %d, ear %d", loud, heard)
		}
		all := b.all[0].Load()
		time.Sleep(20 * time.Second) // longer than ICE lives without answers
		if b.all[0].Load() != all {
			t.Error("customer hears the consultation")
		}
		a2, _, c2 := rec.counts()
		if a2 > a1+1 || c2-c1 < 1000 {
			t.Errorf("recording of the held leg: %d of the agent, %d of the customer", a2-a1, c2-c1)
		}
		for _, l := range b.near {
			select {
			case <-l.Failed():
				t.Fatal(l.Err())
			default:
			}
		}
		b.pump.SetLeg(b.near[0], rec)
		b.pump.Hold(false)
		check(t, b.near[1].Close())
		if loud, _, heard := b.during(0); loud < 49 || heard < 49 {
			t.Errorf("customer back: got %d, ear %d", loud, heard)
		}
	})
}

// Local tones reach the ear, and nothing else.
func TestTonesStayLocal(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, 1)
		defer b.close()
		rec := new(recorder)
		b.pump.SetMute(true)
		b.pump.SetLeg(b.near[0], rec)
		b.pump.Loop(tone.RecFailed)
		b.pump.Play(tone.HoldAlarm)
		time.Sleep(5 * time.Second)
		if b.got[0].Load() != 0 {
			t.Error("a tone reached the far end")
		}
		if _, loud, _ := rec.counts(); loud != 0 {
			t.Error("a tone reached the agent's recording")
		}
	})
}

func TestPumpSleepsWithNothingToDo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, 0)
		defer b.close()
		time.Sleep(time.Minute)
		if b.pump.Clock() != 0 {
			t.Fatal("moved sound for nobody")
		}
		b.pump.Loop(tone.Ring)
		time.Sleep(time.Second)
		if b.head.ear.Load() < 10 {
			t.Fatalf("ring heard in %d frames", b.head.ear.Load())
		}
		b.pump.SetVolume(-80)
		time.Sleep(100 * time.Millisecond)
		n := b.head.ear.Load()
		time.Sleep(5 * time.Second)
		if b.head.ear.Load() != n {
			t.Fatal("volume does nothing")
		}
		b.pump.Loop(tone.None)
		time.Sleep(100 * time.Millisecond)
		at := b.pump.Clock()
		time.Sleep(time.Minute)
		if b.pump.Clock() != at {
			t.Fatal("goes on after the tone")
		}
		if mic, ear := b.pump.Levels(); mic != pcm.Floor || ear != pcm.Floor {
			t.Fatal(mic, ear)
		}
		b.pump.Play(tone.Ring) // has no end: cut
		time.Sleep(10 * time.Second)
		if d := b.pump.Clock() - at; d > int64(4*pcm.Rate) {
			t.Fatalf("an endless tone played for %d samples", d)
		}
	})
}

// loopPair is two connected legs on real sockets.
func loopPair(t testing.TB, c codec.Codec) (a, b *Leg) {
	t.Helper()
	a, b = newLeg(t, Config{Codecs: []codec.Codec{c}}), newLeg(t, Config{Codecs: []codec.Codec{c}})
	offer, err := a.Offer(t.Context())
	check(t, err)
	answer, err := b.Answer(t.Context(), offer)
	check(t, err)
	check(t, a.SetAnswer(answer))
	await(t, "connection", a.Connected())
	await(t, "connection", b.Connected())
	return a, b
}

// tickPump is a pump whose ticks a test makes itself.
func tickPump(t testing.TB, l *Leg) *Pump {
	t.Helper()
	p, err := NewPump(PumpConfig{Headset: newTicker()})
	check(t, err)
	p.SetLeg(l, nil)
	p.follow()
	return p
}

func TestTickAllocatesNothing(t *testing.T) {
	for _, c := range []codec.Codec{codec.Opus, codec.PCMU} {
		a, b := loopPair(t, c)
		p, q := tickPump(t, a), tickPump(t, b)
		both := func() { p.tick(); q.tick() }
		for range 50 {
			both()
		}
		// The least of a few short runs: reports and ICE checks, which do
		// allocate, come every few seconds.
		least := 1000.0
		for range 5 {
			least = min(least, testing.AllocsPerRun(20, both))
		}
		if least > 0 {
			t.Errorf("%v: %v allocations in a tick of both ends", c, least)
		}
		if s := a.Stats(); s.Received < 100 {
			t.Errorf("%+v", s)
		}
	}
}

// BenchmarkTick is one frame both ways with everything in it: encode, encrypt,
// send, receive, decrypt, decode, limit.
func BenchmarkTick(b *testing.B) {
	for _, c := range []codec.Codec{codec.Opus, codec.PCMU} {
		b.Run(c.Name(), func(b *testing.B) {
			leg, far := loopPair(b, c)
			p := tickPump(b, leg)
			far.Drain(func(Packet) {})
			frame := make([]byte, 60)
			if c != codec.Opus {
				frame = make([]byte, 160)
			}
			binary.BigEndian.PutUint16(frame, 0x4800)
			b.ReportAllocs()
			for b.Loop() {
				far.Send(c, frame)
				p.tick()
				far.Drain(func(Packet) {})
			}
		})
	}
}
