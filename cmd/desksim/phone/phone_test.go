package phone

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"deskset/audio/codec"
	"deskset/cmd/desksim/smallpbx/rtplite"
)

// voice is a made vowel whose pitch and loudness wander: it matches itself at one
// place only, and codecs keep its waveform.
func voice(seed uint64, seconds float64) []int16 {
	rng := rand.New(rand.NewPCG(seed, 7))
	out := make([]int16, int(seconds*codec.Rate))
	pitch, toPitch, level, toLevel, phase := 150.0, 150.0, 0.0, 0.0, 0.0
	for i := range out {
		if i%4800 == 0 {
			toPitch, toLevel = 100+rng.Float64()*150, 1500+rng.Float64()*4500
		}
		pitch += (toPitch - pitch) / 2000
		level += (toLevel - level) / 1000
		phase += 2 * math.Pi * pitch / codec.Rate
		v := 0.0
		for h := 1.0; h <= 8; h++ {
			v += math.Sin(h*phase) / h
		}
		out[i] = int16(level * v)
	}
	return out
}

// match finds want in got: the offset in samples and the correlation there.
func match(want, got []int16) (offset int, corr float64) {
	const step = 24 // 2 kHz envelope search, then fine
	dec := func(s []int16) []float64 {
		out := make([]float64, len(s)/step)
		for i := range out {
			for _, v := range s[i*step : (i+1)*step] {
				out[i] += float64(v)
			}
		}
		return out
	}
	w, g := dec(want), dec(got)
	best := -1.0
	for off := 0; off+len(w) <= len(g); off++ {
		if c := correlate(w, g[off:off+len(w)]); c > best {
			best, offset = c, off*step
		}
	}
	full := func(s []int16) []float64 {
		out := make([]float64, len(s))
		for i, v := range s {
			out[i] = float64(v)
		}
		return out
	}
	w, g = full(want), full(got)
	coarse := offset
	for off := max(coarse-step, 0); off <= coarse+step && off+len(w) <= len(g); off++ {
		if c := correlate(w, g[off:off+len(w)]); c > best {
			best, offset = c, off
		}
	}
	return offset, best
}

func correlate(a, b []float64) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += a[i] * b[i]
		aa += a[i] * a[i]
		bb += b[i] * b[i]
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// start runs a phone until the test ends.
func start(t *testing.T, cfg Config) *Phone {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.PBX == "" {
		cfg.PBX = "127.0.0.1:9"
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	<-p.started
	t.Cleanup(func() { cancel(); wg.Wait() })
	return p
}

func TestDirectCall(t *testing.T) {
	for _, name := range []string{"opus", "PCMU", "PCMA"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, Config{User: "202", Codec: name})
			a := start(t, Config{User: "201", Codec: name, PBX: b.Addr()})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			ca, err := a.Call(ctx, "202")
			if err != nil {
				t.Fatal(err)
			}
			cb := <-b.Incoming()
			if err := ca.Wait(ctx); err != nil {
				t.Fatal(err)
			}
			if cb.Number() != "201" || !cb.Inbound() || ca.Inbound() {
				t.Errorf("caller %q", cb.Number())
			}
			sa, sb := voice(1, 1.5), voice(2, 1.5)
			da, db := ca.Say(sa), cb.Say(sb)
			<-da
			<-db
			keys, err := ca.SendDTMF("17#")
			if err != nil {
				t.Fatal(err)
			}
			<-keys
			ca.Hangup()
			<-cb.Done()
			<-ca.Done()
			if ca.EndedBy() != Local || cb.EndedBy() != Remote {
				t.Errorf("ended by %s, %s", ca.EndedBy(), cb.EndedBy())
			}
			if got := cb.DTMF(); got != "17#" {
				t.Errorf("DTMF %q", got)
			}
			for _, h := range []struct {
				want []int16
				call *Call
			}{{sa, cb}, {sb, ca}} {
				got, _ := h.call.Heard()
				if off, corr := match(h.want[:len(h.want)-4800], got); corr < 0.8 {
					t.Errorf("correlation %.2f at %d of %d", corr, off, len(got))
				}
				if st := h.call.Stats(); st.Late != 0 || st.Reanchored != 0 || st.Unknown != 0 {
					t.Errorf("%+v", st)
				}
			}
		})
	}
}

// TestImpairedCall: what a bad network does to the packets is seen at the other
// end, and the time line there still holds the speech in its place.
func TestImpairedCall(t *testing.T) {
	t.Parallel()
	b := start(t, Config{User: "202", Codec: "PCMU"})
	a := start(t, Config{User: "201", Codec: "PCMU", PBX: b.Addr(), Impair: rtplite.Impairment{
		DropEvery: 10, Jitter: 15 * time.Millisecond, JumpAfter: 400 * time.Millisecond, JumpTicks: 8000 * 20,
		NewSSRCAfter: 900 * time.Millisecond}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ca, err := a.Call(ctx, "202")
	if err != nil {
		t.Fatal(err)
	}
	cb := <-b.Incoming()
	if err := ca.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	v := voice(4, 1.6)
	<-ca.Say(v)
	ca.Hangup()
	<-cb.Done()
	st := cb.Stats()
	if st.SSRCs != 2 || st.Reanchored != 2 {
		t.Errorf("%+v", st)
	}
	said, start := ca.Said()
	if len(said) < len(v) || start.IsZero() {
		t.Errorf("said %d samples from %v", len(said), start)
	}
	got, _ := cb.Heard()
	if n := len(got) - len(said); n < -12000 || n > 12000 {
		t.Errorf("heard %d samples of %d", len(got), len(said))
	}
}
