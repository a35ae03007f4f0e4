package meter

import (
	"math"
	"testing"

	"deskset/audio/pcm"
)

func frame(amp float64) []int16 {
	s := make([]int16, pcm.Frame)
	for i := range s {
		s[i] = int16(amp * math.Sin(2*math.Pi*500*float64(i)/pcm.Rate))
	}
	return s
}

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if math.Abs(got-want) > tol {
		t.Errorf("%s %.2f dBFS, want %.2f", what, got, want)
	}
}

func TestMeter(t *testing.T) {
	m := New()
	if m.Peak() != pcm.Floor || m.RMS() != pcm.Floor {
		t.Fatalf("new: peak %v, RMS %v", m.Peak(), m.RMS())
	}
	loud, quiet := frame(16384), frame(0)
	m.Add(loud)
	near(t, "peak at once", m.Peak(), -6.02, 0.05)
	for range 100 {
		m.Add(loud)
	}
	near(t, "RMS after 2 s", m.RMS(), -9.03, 0.1)
	for range 85 { // 1.7 s
		m.Add(quiet)
	}
	near(t, "peak 1.7 s later", m.Peak(), -26.02, 0.1)
	for range 2000 {
		m.Add(quiet)
	}
	near(t, "peak in silence", m.Peak(), pcm.Floor, 0)
	near(t, "RMS in silence", m.RMS(), pcm.Floor, 0)
	if m.Clipped() != 0 {
		t.Error("clipped")
	}
	m.Add(frame(40000)[:0])
	top := frame(0)
	top[7] = math.MinInt16
	m.Add(top)
	if m.Clipped() != 1 {
		t.Errorf("clipped %d", m.Clipped())
	}
	if n := testing.AllocsPerRun(100, func() { m.Add(loud) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
