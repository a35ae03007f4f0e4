package pcm

import (
	"math"
	"slices"
	"testing"
)

func TestLevels(t *testing.T) {
	sine := make([]int16, Rate)
	for i := range sine {
		sine[i] = int16(math.Round(32767 * math.Sin(2*math.Pi*1000*float64(i)/Rate)))
	}
	square := slices.Repeat([]int16{math.MinInt16, math.MaxInt16}, 100)
	for _, c := range []struct {
		what      string
		s         []int16
		peak, rms float64
	}{
		{"silence", make([]int16, 10), Floor, Floor},
		{"nothing", nil, Floor, Floor},
		{"sine", sine, 0, -3.01},
		{"square", square, 0, 0},
		{"one", []int16{1}, -90.31, -90.31},
		{"lowest", []int16{math.MinInt16}, 0, 0},
	} {
		if p := Peak(c.s); math.Abs(p-c.peak) > 0.01 {
			t.Errorf("%s: peak %.2f, want %.2f", c.what, p, c.peak)
		}
		if r := RMS(c.s); math.Abs(r-c.rms) > 0.01 {
			t.Errorf("%s: RMS %.2f, want %.2f", c.what, r, c.rms)
		}
	}
	if d := ToDB(FromDB(-17.5)); math.Abs(d+17.5) > 1e-9 {
		t.Errorf("-17.5 dB and back: %v", d)
	}
	if ToDB(math.NaN()) != Floor || ToDB(-1) != Floor {
		t.Error("no floor")
	}
}

func TestGainAndMix(t *testing.T) {
	s := []int16{100, -100, 30000, -30000, 3}
	Gain(s, 2)
	if want := []int16{200, -200, 32767, -32768, 6}; !slices.Equal(s, want) {
		t.Errorf("doubled: %v", s)
	}
	Gain(s, 0.5)
	if want := []int16{100, -100, 16384, -16384, 3}; !slices.Equal(s, want) {
		t.Errorf("halved: %v", s)
	}
	d := []int16{30000, -30000, 5}
	Mix(d, []int16{30000, -30000})
	if want := []int16{32767, -32768, 5}; !slices.Equal(d, want) {
		t.Errorf("mixed: %v", d)
	}
	if Clamp32(float32(math.NaN())) != 0 || Clamp32(1e9) != 32767 || Clamp32(-1e9) != -32768 {
		t.Error("clamp")
	}
}

func TestBytes(t *testing.T) {
	s := []int16{0, 1, -1, math.MaxInt16, math.MinInt16}
	b := Append(nil, s)
	if want := []byte{0, 0, 1, 0, 0xff, 0xff, 0xff, 0x7f, 0, 0x80}; !slices.Equal(b, want) {
		t.Fatalf("% x", b)
	}
	got := make([]int16, 9)
	if n := Decode(got, append(b, 7)); n != 5 || !slices.Equal(got[:5], s) {
		t.Errorf("decoded %d: %v", n, got)
	}
	out := make([]byte, 7)
	if n := Encode(out, s); n != 3 || !slices.Equal(out[:6], b[:6]) {
		t.Errorf("encoded %d: % x", n, out)
	}
	if n := testing.AllocsPerRun(100, func() { Decode(got, b); Encode(b, s); Peak(s); Gain(s, 1.01) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
