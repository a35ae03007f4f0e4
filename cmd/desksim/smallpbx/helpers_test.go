package smallpbx

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"deskset/audio/codec"
	"deskset/cmd/desksim/phone"
)

// testLog shows the log of a test when DESKSET_TEST_LOG is set.
func testLog(t testing.TB) *slog.Logger {
	if os.Getenv("DESKSET_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// startPBX runs a PBX until the test ends.
func startPBX(t *testing.T, change func(*Config)) *PBX {
	t.Helper()
	cfg := Config{WS: "127.0.0.1:0", UDP: "127.0.0.1:0", Log: testLog(t),
		Accounts: map[string]string{"101": "s101", "102": "s102", "103": "s103", "201": "s201", "202": "s202"}}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	if err := p.waitFor(t.Context(), "start", func() bool { _, err := p.current(); return err == nil }); err != nil {
		t.Fatal(err)
	}
	return p
}

// startPhone runs a phone until the test ends.
func startPhone(t *testing.T, p *PBX, user, codecs string, policy phone.Policy) *phone.Phone {
	t.Helper()
	ph, err := phone.New(phone.Config{Listen: "127.0.0.1:0", PBX: p.UDPAddr(), User: user, Password: "s" + user,
		Display: "Phone " + user, Codec: codecs, Register: true, Answer: policy, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { ph.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	wait(t, ph.Registered(), "registration of "+user)
	return ph
}

const patience = 15 * time.Second

func wait(t *testing.T, ch <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("no %s within %v", what, patience)
	}
}

func next[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s within %v", what, patience)
		panic("unreachable")
	}
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// call calls and waits for the answer.
func call(t *testing.T, ph *phone.Phone, target string) *phone.Call {
	t.Helper()
	c, err := ph.Call(patient(t), target)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(patient(t)); err != nil {
		t.Fatal(err)
	}
	return c
}

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

// match is the best correlation of want anywhere in got, and where.
func match(want, got []int16) (offset int, corr float64) {
	const step = 24
	coarse := func(s []int16) []float64 {
		out := make([]float64, len(s)/step)
		for i := range out {
			for _, v := range s[i*step : (i+1)*step] {
				out[i] += float64(v)
			}
		}
		return out
	}
	w, g := coarse(want), coarse(got)
	for off := 0; off+len(w) <= len(g); off++ {
		if c := correlate(w, g[off:off+len(w)]); c > corr {
			corr, offset = c, off*step
		}
	}
	best, at := corr, offset
	for off := max(at-step, 0); off <= at+step && off+len(want) <= len(got); off++ {
		if c := correlate(want, got[off:off+len(want)]); c > best {
			best, offset = c, off
		}
	}
	return offset, best
}

func correlate[T int16 | float64](a, b []T) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab += x * y
		aa += x * x
		bb += y * y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// pieces counts the pieces of want, of 0.2 s each, that are found in got. On a
// machine that stalls a real-time stream skips here and there, but what comes is
// still the right sound: another voice's pieces correlate below 0.75.
func pieces(want, got []int16) (found, of int) {
	const piece = 9600
	for ; (of+1)*piece <= len(want); of++ {
		if _, corr := match(want[of*piece:(of+1)*piece], got); corr > 0.78 {
			found++
		}
	}
	return found, of
}

// heard waits until most of want is found in what get returns.
func heard(t *testing.T, who string, want []int16, get func() []int16) {
	t.Helper()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(patience)
	for {
		got := get()
		found, of := pieces(want, got)
		if found > of/2 {
			return
		}
		if time.Now().After(end) {
			_, corr := match(want, got)
			t.Errorf("%s: %d of %d pieces found in %d samples (correlation of the whole %.2f)", who, found, of, len(got), corr)
			return
		}
		<-tick.C
	}
}

// heardBy checks what a phone heard from a sample on.
func heardBy(t *testing.T, c *phone.Call, want []int16, from int) {
	t.Helper()
	heard(t, "phone talking to "+c.Number(), want, func() []int16 {
		got, _ := c.Heard()
		return got[min(from, len(got)):]
	})
}

// mark is where what a phone hears from now on begins.
func mark(c *phone.Call) int {
	got, _ := c.Heard()
	return len(got)
}

func rms(s []int16) float64 {
	var e float64
	for _, v := range s {
		e += float64(v) * float64(v)
	}
	return math.Sqrt(e / max(float64(len(s)), 1))
}

func runPhone(t *testing.T, ph *phone.Phone) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { ph.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	wait(t, ph.Started(), "start")
}
