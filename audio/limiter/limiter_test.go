package limiter

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"deskset/audio/pcm"
)

// run limits s in frames of odd sizes and returns the output without the delay.
func run(l *Limiter, s []int16) []int16 {
	out := append([]int16(nil), s...)
	out = append(out, make([]int16, Delay)...)
	for rest := out; len(rest) > 0; {
		n := min(len(rest), 333)
		l.Process(rest[:n])
		rest = rest[n:]
	}
	return out[Delay:]
}

func ceiling(db float64) int32 { return int32(math.Pow(10, db/20) * 32768) }

func check(t *testing.T, db float64, out []int16) {
	t.Helper()
	for i, v := range out {
		if int32(max(int(v), -int(v))) > ceiling(db) {
			t.Fatalf("sample %d is %d, ceiling %d", i, v, ceiling(db))
		}
	}
}

func TestNeverAbove(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = pcm.Rate
	sources := map[string]func(i int) int16{
		"noise":       func(int) int16 { return int16(r.Uint32()) },
		"square":      func(i int) int16 { return [2]int16{math.MinInt16, math.MaxInt16}[i/55%2] },
		"lowest":      func(int) int16 { return math.MinInt16 },
		"clicks":      func(i int) int16 { return map[bool]int16{true: math.MinInt16}[i%997 == 0] },
		"shock":       func(i int) int16 { return int16(32767 * math.Sin(float64(i)*0.36) * float64(i/4800%2)) },
		"alternating": func(i int) int16 { return [2]int16{math.MaxInt16, math.MinInt16}[i%2] },
	}
	for name, f := range sources {
		t.Run(name, func(t *testing.T) {
			s := make([]int16, n)
			for i := range s {
				s[i] = f(i)
			}
			for _, db := range []float64{0, -0.1, -3, -9, -20, -40} {
				check(t, db, run(New(db), s))
			}
		})
	}
}

func TestTransparentBelow(t *testing.T) {
	s := make([]int16, pcm.Rate)
	top := float64(ceiling(-9))
	for i := range s {
		s[i] = int16(top * math.Sin(float64(i)*0.11))
	}
	l := New(-9)
	for i, v := range run(l, s) {
		if v != s[i] {
			t.Fatalf("sample %d: %d became %d", i, s[i], v)
		}
	}
	if l.Reducing() {
		t.Error("reducing")
	}
}

func TestTransparentAgainAfterPeak(t *testing.T) {
	s := make([]int16, 2*pcm.Rate)
	for i := range s {
		s[i] = int16(5000 * math.Sin(float64(i)*0.05))
	}
	s[1000] = math.MaxInt16
	l := New(-12)
	out := run(l, s)
	check(t, -12, out)
	for i := pcm.Rate; i < len(s); i++ {
		if out[i] != s[i] {
			t.Fatalf("a second after the peak, sample %d: %d became %d", i, s[i], out[i])
		}
	}
}

func TestGainMovesSmoothly(t *testing.T) {
	// A loud sine after a soft one: no step greater than the sine itself makes.
	s := make([]int16, pcm.Rate)
	for i := range s {
		a := 4000.0
		if i > 20000 {
			a = 30000
		}
		s[i] = int16(a * math.Sin(float64(i)*2*math.Pi*300/pcm.Rate))
	}
	out := run(New(-12), s)
	check(t, -12, out)
	limit := 32768 * 0.2512 * 2 * math.Pi * 300 / pcm.Rate * 2
	for i := 1; i < len(out); i++ {
		if d := math.Abs(float64(out[i]) - float64(out[i-1])); d > limit {
			t.Fatalf("step of %.0f at %d", d, i)
		}
	}
	if l := pcm.Peak(out[30000:]); l < -12.5 {
		t.Errorf("limited to %.2f dBFS, ceiling -12", l)
	}
}

func TestNoAllocs(t *testing.T) {
	l := New(-9)
	frame := make([]int16, pcm.Frame)
	r := rand.New(rand.NewPCG(3, 4))
	if n := testing.AllocsPerRun(200, func() {
		for i := range frame {
			frame[i] = int16(r.Uint32())
		}
		l.Process(frame)
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func FuzzNeverAbove(f *testing.F) {
	f.Add([]byte{0xff, 0x7f, 0, 0x80, 0, 0}, -9.0)
	f.Add([]byte{0, 0x80, 0, 0x80}, 0.0)
	f.Fuzz(func(t *testing.T, b []byte, db float64) {
		if math.IsNaN(db) || db < -80 || db > 0 {
			return
		}
		s := make([]int16, len(b)/2)
		for i := range s {
			s[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
		}
		out := run(New(db), s)
		check(t, db, out)
		for i, v := range out { // the sign is never turned, the size never raised
			if int64(v)*int64(s[i]) < 0 || math.Abs(float64(v)) > math.Abs(float64(s[i])) {
				t.Fatalf("sample %d: %d became %d", i, s[i], v)
			}
		}
	})
}

func BenchmarkQuiet(b *testing.B) { bench(b, 1000) }
func BenchmarkLoud(b *testing.B)  { bench(b, 32767) }

func bench(b *testing.B, amp float64) {
	l, s, frame := New(-9), make([]int16, pcm.Frame), make([]int16, pcm.Frame)
	for i := range s {
		s[i] = int16(amp * math.Sin(float64(i)*0.05))
	}
	for b.Loop() {
		copy(frame, s)
		l.Process(frame)
	}
}
