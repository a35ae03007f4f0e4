package soundcard

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"deskset/audio/pcm"
)

func TestSplicesDoNotClick(t *testing.T) {
	for _, hz := range []float64{90, 110, 150, 220, 300, 440, 1000} {
		x := sine(pcm.Frame+maxLag, hz, 48000)
		bend := 16000 * math.Pow(2*math.Pi*hz/48000, 2)
		for _, most := range []int{150, 240, 333, 480} {
			d := lag(x, 0, most, most%2 == 0)
			if d < minLag || d > most {
				t.Fatalf("%.0f Hz: lag %d of at most %d", hz, d, most)
			}
			buf := make([]int16, pcm.Frame+2*maxLag)
			short := buf[:shrink(buf, x, 0, d)]
			if len(short) != len(x)-d {
				t.Fatalf("%d samples shortened by %d are %d", len(x), d, len(short))
			}
			// A cross-fade of 5 ms between two sines of amplitude A adds at most
			// 2A/overlap at its corners.
			limit := bend*2 + 2*16000.0/overlap + 4
			if b, at := steps(short); b > limit {
				t.Errorf("%.0f Hz shortened by %d: step %.0f at %d (limit %.0f)", hz, d, b, at, limit)
			}
			long := make([]int16, len(x)+maxLag)
			long = long[:stretch(long, x, 0, d)]
			if len(long) != len(x)+d {
				t.Fatalf("%d samples lengthened by %d are %d", len(x), d, len(long))
			}
			if b, at := steps(long); b > limit {
				t.Errorf("%.0f Hz lengthened by %d: step %.0f at %d (limit %.0f)", hz, d, b, at, limit)
			}
			if short[0] != x[0] || short[len(short)-1] != x[len(x)-1] || long[0] != x[0] || long[len(long)-1] != x[len(x)-1] {
				t.Errorf("%.0f Hz: the ends have moved", hz)
			}
		}
	}
}

func TestLagFindsThePeriod(t *testing.T) {
	x := sine(pcm.Frame, 200, 48000) // a period of 240
	if d := lag(x, 0, 480, true); d != 480 {
		t.Errorf("200 Hz repeats at %d at the farthest", d)
	}
	if d := lag(x, 0, 480, false); d != 240 {
		t.Errorf("200 Hz repeats at %d at the nearest", d)
	}
	if d := lag(make([]int16, pcm.Frame), 0, 480, true); d != 480 {
		t.Errorf("silence is cut by %d", d)
	}
	if d := lag(x, 0, 100, true); d != 100 {
		t.Errorf("less than a lag: %d", d)
	}
	if d := lag(x[:200], 0, 480, true); d != 0 {
		t.Errorf("a scrap is cut by %d", d)
	}
}

// TestDrift lets the ear's clock differ from the consumer's for some minutes and
// looks at delay and gaps; the phase between them sweeps all values.
func TestDrift(t *testing.T) {
	for _, ppm := range []float64{-300, -50, 0, 50, 300} {
		t.Run(fmt.Sprint(ppm), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { drift(t, ppm) })
		})
	}
}

const minutes = 5

func drift(t *testing.T, ppm float64) {
	c, s := bench(t, 1)
	frame, period := sine(960, 200, 48000), make([]int16, 480)
	rnd := rand.New(rand.NewPCG(1, 2))
	began := time.Now()
	until := func(at time.Duration) { time.Sleep(time.Until(began.Add(at))) }
	next, most := 5e6, 0
	for i := range minutes * 60 * 50 {
		at := float64(i)*20e6 + rnd.Float64()*4e6 // the consumer jitters by 4 ms
		for next < at {
			until(time.Duration(next))
			s.playback(period)
			next += 10e6 / (1 + ppm*1e-6)
		}
		until(time.Duration(at))
		c.WriteEar(frame)
		if i > 100 {
			most = max(most, s.ear.Len())
		}
	}
	st := c.Stats()
	if st.EarUnderruns > 1 || st.EarOverruns != 0 {
		t.Errorf("%+v", st)
	}
	if most > 960+st.EarTarget+2*480 {
		t.Errorf("up to %d samples in the ring", most)
	}
	// It must not splice more than the drift asks for, by much.
	if want := math.Abs(ppm) * 1e-6 * minutes * 60 * 48000; float64(st.SlippedSamples) > want*1.5+3000 {
		t.Errorf("%d samples spliced, the drift is %.0f", st.SlippedSamples, want)
	}
	t.Logf("at most %d samples, %d underruns, %d splices", most, st.EarUnderruns, st.Slips)
}

// TestStallDrains holds the playing device up and sees the delay come back.
func TestStallDrains(t *testing.T) { synctest.Test(t, stallDrains) }

func stallDrains(t *testing.T) {
	c, s := bench(t, 1)
	frame, period := sine(960, 200, 48000), make([]int16, 480)
	step := func() {
		c.WriteEar(frame)
		for range 2 {
			time.Sleep(10 * time.Millisecond)
			s.playback(period)
		}
	}
	for range 100 {
		step()
	}
	before := s.ear.Len()
	for range 5 { // the device stands still for 100 ms
		c.WriteEar(frame)
	}
	if s.ear.Len() < before+4*960 {
		t.Fatalf("%d samples after the stall, %d before", s.ear.Len(), before)
	}
	frames := 0
	for s.ear.Len() > before+2*deadband {
		step()
		if frames++; frames > 50 {
			t.Fatalf("%d samples a second after the stall, %d before", s.ear.Len(), before)
		}
	}
	t.Logf("back after %d ms", frames*20)
	if st := c.Stats(); st.EarUnderruns != 0 || st.EarOverruns != 0 {
		t.Errorf("%+v", st)
	}
}

// TestMicBacklogDrains gives the microphone's ring 80 ms too much.
func TestMicBacklogDrains(t *testing.T) {
	c, s := bench(t, 1)
	x, frame := sine(960, 200, 48000), make([]int16, pcm.Frame)
	s.capture(x)
	c.ReadMic(frame)
	for range 4 {
		s.capture(x)
	}
	var out []int16
	frames := 0
	for s.mic.Len() > 2*deadband || frames < 20 {
		s.capture(x)
		if !c.ReadMic(frame) {
			t.Fatal("missed")
		}
		out = append(out, frame...)
		if frames++; frames > 50 {
			t.Fatalf("%d samples left", s.mic.Len())
		}
	}
	t.Logf("drained in %d ms", frames*20)
	if b, at := steps(out); b > 16000*math.Pow(2*math.Pi*200/48000, 2)*2+2*16000.0/overlap {
		t.Errorf("step of %.0f at %d", b, at)
	}
}

func TestTargetRisesAndFalls(t *testing.T) {
	f := newFill(480, 480)
	f.next(480, 1)
	if f.target != 480 {
		t.Errorf("one stall raised the target to %d", f.target)
	}
	for u := range uint64(20) {
		for range 50 {
			f.next(480, u+2)
		}
	}
	if f.target != maxTarget {
		t.Errorf("an underrun a second: target %d", f.target)
	}
	for range 50 * 300 {
		f.next(f.target, 21)
	}
	if f.target != 480 {
		t.Errorf("five calm minutes later: target %d", f.target)
	}
}
