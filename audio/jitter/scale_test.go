package jitter

import (
	"math"
	"slices"
	"testing"

	"deskset/audio/pcm"
)

func tone(n int, hz float64) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(math.Round(8000 * math.Sin(2*math.Pi*hz*float64(i)/rate)))
	}
	return s
}

func steepest(s []int16) (d int) {
	for i := 1; i < len(s); i++ {
		d = max(d, int(s[i])-int(s[i-1]), int(s[i-1])-int(s[i]))
	}
	return d
}

// Of a steady tone whole periods go or come: it stays that tone.
func TestScaleTone(t *testing.T) {
	for _, hz := range []float64{90, 120, 200, 333, 1000} {
		for _, n := range []int{960, 1500, 2400} {
			in := tone(n, hz)
			s := slices.Clone(in)
			m := shorten(s, maxLag, alike)
			if hz < 100 && n == 960 {
				continue // one period is more than half of it
			}
			if m >= n || n-m > maxLag {
				t.Errorf("%v Hz, %d samples: shortened to %d", hz, n, m)
				continue
			}
			check := func(what string, got []int16) {
				t.Helper()
				if d, most := steepest(got), steepest(in); d > most*11/10+2 {
					t.Errorf("%v Hz, %d samples %s: a step of %d, the tone's own are %d", hz, n, what, d, most)
				}
				if r := pcm.RMS(got) - pcm.RMS(in); math.Abs(r) > 0.5 {
					t.Errorf("%v Hz, %d samples %s: level %+.2f dB", hz, n, what, r)
				}
			}
			check("shortened", s[:m])
			if got := shorten(slices.Clone(in), 200, alike); n-got > 200 {
				t.Errorf("%v Hz: cut %d, more than 200", hz, n-got)
			}
			long := lengthen(append(make([]int16, 0, n+maxLag), in...), alike)
			if len(long) <= n || len(long) > n+maxLag {
				t.Errorf("%v Hz, %d samples: lengthened to %d", hz, n, len(long))
			}
			check("lengthened", long)
		}
	}
}

func TestScaleLeavesNoise(t *testing.T) {
	s := make([]int16, 1500)
	(&noise{}).fill(s, 30)
	if n := shorten(slices.Clone(s), maxLag, alike); n != len(s) {
		t.Errorf("noise shortened to %d", n)
	}
	if n := shorten(make([]int16, 1500), maxLag, alike); n >= 1500 {
		t.Error("silence not shortened")
	}
	if n := shorten(make([]int16, 200), maxLag, alike); n != 200 {
		t.Error("too little to cut, and cut")
	}
}

func TestNoiseLevel(t *testing.T) {
	s := make([]int16, rate)
	for _, level := range []uint8{20, 50, 70} {
		(&noise{}).fill(s, level)
		if got := pcm.RMS(s); math.Abs(got+float64(level)) > 1.5 {
			t.Errorf("level %d: %.1f dBFS", level, got)
		}
	}
}
