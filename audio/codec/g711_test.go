package codec

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestG711Tables(t *testing.T) {
	// ITU-T G.711 and the reference code of G.191.
	for _, tc := range []struct {
		lin   int16
		mu, a uint8
	}{
		{0, 0xff, 0xd5},
		{-1, 0x7f, 0x55},
		{8, 0xfe, 0xd5},
		{1000, 0xce, 0xfa},
		{-1000, 0x4e, 0x7a},
		{32767, 0x80, 0xaa},
		{-32768, 0x00, 0x2a},
	} {
		if c := muLaw.code(tc.lin); c != tc.mu {
			t.Errorf("mu(%d) = %#x, want %#x", tc.lin, c, tc.mu)
		}
		if c := aLaw.code(tc.lin); c != tc.a {
			t.Errorf("A(%d) = %#x, want %#x", tc.lin, c, tc.a)
		}
	}
	for name, l := range map[string]*law{"mu": muLaw, "A": aLaw} {
		for c := range 256 {
			if got := l.code(l.lin[c]); got != uint8(c) && l.lin[c] != 0 { // mu has two zeros
				t.Errorf("%s: code %#x is %d is %#x", name, c, l.lin[c], got)
			}
		}
		for s := math.MinInt16; s <= math.MaxInt16; s += 7 {
			err := math.Abs(float64(l.lin[l.code(int16(s))]) - float64(s))
			if err > 16+math.Abs(float64(s))/30 && s > -32600 && s < 32600 {
				t.Fatalf("%s: %d off by %.0f", name, s, err)
			}
		}
	}
}

// voice is a pulse train through one resonance: it has a pitch.
func voice(n int, pitch float64) []int16 {
	s := make([]int16, n)
	var y1, y2 float64
	for i := range s {
		x := 0.0
		if math.Mod(float64(i), pitch) < 1 {
			x = 6000
		}
		y := x + 1.6*y1 - 0.81*y2
		y1, y2 = y, y1
		s[i] = int16(y)
	}
	return s
}

func TestPLC(t *testing.T) {
	sig := voice(8000, 74)
	var p plc
	for at := 0; at < 1600; at += g711Frame {
		p.good(append([]int16(nil), sig[at:at+g711Frame]...))
	}
	lost := make([]int16, g711Frame)
	p.lost(lost)
	var e, s float64
	for i, v := range lost[:80] { // before it fades
		d := float64(v) - float64(sig[1600+i])
		e += d * d
		s += float64(sig[1600+i]) * float64(sig[1600+i])
	}
	if db := 10 * math.Log10(s/e); db < 10 {
		t.Errorf("concealment is only %.1f dB above its error", db)
	}
	var last []int16
	for range 4 {
		last = make([]int16, g711Frame)
		p.lost(last)
	}
	if energy(last) != 0 {
		t.Error("sound after 80 ms of loss")
	}
	next := append([]int16(nil), sig[2400:2400+g711Frame]...)
	p.good(next)
	if next[0] != 0 || next[plcRejoin] != sig[2400+plcRejoin] {
		t.Error("good packet not faded in over 4 ms")
	}
}

// No click: at the seams of a loss a steady voice moves no faster than it does anyway.
func TestPLCSeams(t *testing.T) {
	sig := voice(16000, 80)
	steepest := 0
	for i := 1; i < len(sig); i++ {
		steepest = max(steepest, abs(int(sig[i])-int(sig[i-1])))
	}
	r := rand.New(rand.NewPCG(1, 2))
	var p plc
	var out []int16
	for at := 0; at+g711Frame <= len(sig); at += g711Frame {
		f := append([]int16(nil), sig[at:at+g711Frame]...)
		if at > 800 && r.IntN(10) == 0 {
			p.lost(f)
		} else {
			p.good(f)
		}
		out = append(out, f...)
	}
	for i := 1; i < len(out); i++ {
		if d := abs(int(out[i]) - int(out[i-1])); d > steepest*12/10 {
			t.Fatalf("sample %d jumps by %d; the voice itself by at most %d", i, d, steepest)
		}
	}
}

func abs(x int) int { return max(x, -x) }
