package soundcard

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"deskset/audio/pcm"
)

// bench is a card whose devices are played by the test.
func bench(t testing.TB, channels int) (*Card, *stream) {
	t.Helper()
	c, err := New(Config{Backend: Virtual, EarChannels: channels, PeriodMs: 10}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	s := newStream(nil, channels, false)
	c.cur.Store(s)
	return c, s
}

// steps returns the greatest second difference of s, which a click would raise.
func steps(s []int16) (worst float64, at int) {
	for i := 2; i < len(s); i++ {
		if d := math.Abs(float64(s[i]) - 2*float64(s[i-1]) + float64(s[i-2])); d > worst {
			worst, at = d, i
		}
	}
	return worst, at
}

func TestUnderrunIsSoft(t *testing.T) {
	c, s := bench(t, 1)
	tone := sine(48000, 440, 48000)
	var ear []int16
	period := make([]int16, 480)
	for i := range 40 {
		if i != 20 && i != 21 && i != 22 { // the consumer is held up for 60 ms
			c.WriteEar(tone[i*960 : (i+1)*960])
		}
		for range 2 {
			s.playback(period)
			ear = append(ear, period...)
		}
	}
	if n := c.Stats().EarUnderruns; n != 1 {
		t.Errorf("%d underruns", n)
	}
	// A ramp adds a corner of the sine's slope, A*w; a cut would be up to A.
	limit := 16000*2*math.Pi*440/48000 + 16000.0/ramp*2
	if d, at := steps(ear); d > limit {
		t.Errorf("a step of %.0f at %d, a corner makes %.0f", d, at, limit)
	}
	if !slices.Contains(ear, 15990) && pcm.Peak(ear) < -7 {
		t.Errorf("ear at %.1f dBFS", pcm.Peak(ear))
	}
}

func TestMicGapIsSoft(t *testing.T) {
	c, s := bench(t, 1)
	tone := sine(48000, 440, 48000)
	frame := make([]int16, pcm.Frame)
	var wire []int16
	var misses int
	for i := range 40 {
		if i != 20 && i != 21 {
			s.capture(tone[i*960 : i*960+480])
			s.capture(tone[i*960+480 : (i+1)*960])
		}
		if !c.ReadMic(frame) {
			misses++
		}
		wire = append(wire, frame...)
	}
	if misses != 2 {
		t.Errorf("%d frames missed", misses)
	}
	limit := 16000*2*math.Pi*440/48000 + 16000.0/ramp*2
	if d, at := steps(wire); d > limit {
		t.Errorf("a step of %.0f at %d, a corner makes %.0f", d, at, limit)
	}
	if st := c.Stats(); st.MicMissed != 2 || st.Slips != 0 {
		t.Errorf("%+v", st)
	}
}

func TestStereoTrimAndDead(t *testing.T) {
	s := newStream(nil, 2, true)
	if n := s.capture(make([]int16, 960)); n != 0 || s.mic.Len() != 0 {
		t.Error("the first period of ALSA was taken for sound")
	}
	if n := s.capture(make([]int16, 2400)); n != 2 {
		t.Errorf("2400 samples are %d frames", n)
	}
	if n := s.capture(make([]int16, 480)); n != 1 {
		t.Errorf("480 more are %d frames", n)
	}
	s.ear.Write(sine(2000, 440, 48000))
	s.primed.Store(1)
	out := make([]int16, 960)
	s.playback(out)
	for i := 0; i < len(out); i += 2 {
		if out[i] != out[i+1] {
			t.Fatalf("left %d, right %d", out[i], out[i+1])
		}
	}
	if pcm.Peak(out) < -10 {
		t.Errorf("ear at %.1f dBFS", pcm.Peak(out))
	}
	s.dead.Store(1)
	had, calls := s.mic.Len(), s.earCalls.Load()
	s.playback(out)
	if s.capture(make([]int16, 960)) != 0 || s.mic.Len() != had || s.earCalls.Load() != calls || pcm.Peak(out) != pcm.Floor {
		t.Error("a stream that was given up lives on")
	}
	s.capture(nil)
	s.playback(nil)
}

func TestOverrunsAreCounted(t *testing.T) {
	c, s := bench(t, 1)
	for range 20 { // nobody listens: the clock goes on, the ring is full
		if s.capture(make([]int16, 960)) != 1 {
			t.Fatal("no tick")
		}
		c.WriteEar(make([]int16, 960))
	}
	st := c.Stats()
	if st.MicOverruns != 20*960-ringSize || st.EarOverruns == 0 || st.CaptureCallbacks != 20 {
		t.Errorf("%+v", st)
	}
	// A fresh consumer gets the newest sound, not what the ring kept.
	frame := make([]int16, pcm.Frame)
	c.ReadMic(frame)
	if s.mic.Len() != 0 {
		t.Errorf("%d samples of old sound", s.mic.Len())
	}
}

func TestStreamMemoryIsFreed(t *testing.T) {
	c, _ := bench(t, 1)
	freed := make(chan struct{})
	s := newStream(nil, 1, false)
	runtime.AddCleanup(s, func(ch chan struct{}) { close(ch) }, freed)
	c.cur.Store(s)
	c.WriteEar(make([]int16, 960))
	c.cur.Store(newStream(nil, 1, false))
	c.WriteEar(make([]int16, 960))
	s = nil
	for range 10 {
		runtime.GC()
		select {
		case <-freed:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Error("a closed stream is kept")
}

func TestNoAllocs(t *testing.T) {
	c, s := bench(t, 1)
	frame, period := sine(960, 300, 48000), make([]int16, 480)
	n := testing.AllocsPerRun(200, func() {
		s.capture(period)
		s.capture(period)
		c.ReadMic(frame)
		c.WriteEar(frame)
		s.playback(period)
		s.playback(period)
		c.Present()
	})
	if n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func TestWaitOnEventfd(t *testing.T) {
	cfg := Config{Backend: Pulse, Capture: "mic", Playback: "ear"}
	c, err := New(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 25 {
		if err := c.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(began) - 500*time.Millisecond; d.Abs() > 100*time.Millisecond {
		t.Errorf("25 frames without a device took %v", d+500*time.Millisecond)
	}
	// With a device, its frames wake Wait.
	s := newStream(c.clock.(*fdClock), 1, false)
	c.cur.Store(s)
	s.playback(make([]int16, 480))
	go func() {
		time.Sleep(5 * time.Millisecond)
		s.capture(make([]int16, 960))
	}()
	if err := c.Wait(t.Context()); err != nil || s.mic.Len() != 960 {
		t.Errorf("woken with %d samples: %v", s.mic.Len(), err)
	}
	// After the clock is closed the pace goes on.
	c.cur.Store(nil)
	c.clock.close()
	began = time.Now()
	for range 5 {
		if err := c.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(began); d < 70*time.Millisecond || d > 200*time.Millisecond {
		t.Errorf("5 frames after the end took %v", d)
	}
	if n := testing.AllocsPerRun(3, func() { _ = c.Wait(t.Context()) }); n > 0 {
		t.Errorf("%v allocations a wait", n)
	}
}
