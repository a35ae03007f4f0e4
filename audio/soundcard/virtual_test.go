package soundcard

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"deskset/audio/pcm"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// sine makes n samples at about -6 dBFS.
func sine(n int, hz float64, rate int) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(16000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return s
}

func writeWAV(t *testing.T, rate int, s []int16) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "mic.wav")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := pcm.WriteWAV(f, pcm.WAV{Rate: rate, Channels: 1, Samples: s}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func readWAV(t *testing.T, name string) []int16 {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pcm.ReadWAV(f)
	if err != nil {
		t.Fatal(err)
	}
	return w.Mono()
}

// start runs a card until the returned function is called.
func start(t *testing.T, cfg Config) (*Card, func()) {
	t.Helper()
	c, err := New(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return c, run(t, c)
}

func run(t *testing.T, c *Card) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func expect(t *testing.T, c *Card, want Kind) Event {
	t.Helper()
	select {
	case ev := <-c.Events():
		if ev.Kind != want {
			t.Fatalf("event %v (%s), want %v", ev.Kind, ev.Reason, want)
		}
		return ev
	case <-time.After(10 * time.Second):
		t.Fatalf("no event, want %v", want)
	}
	return Event{}
}

// loop sends the microphone to the ear for n frames, and returns how many frames
// the microphone had.
func loop(t *testing.T, c *Card, n int) (heard int) {
	t.Helper()
	frame := make([]int16, pcm.Frame)
	for range n {
		if err := c.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c.ReadMic(frame) {
			heard++
		}
		c.WriteEar(frame)
	}
	return heard
}

func TestVirtualLoop(t *testing.T) {
	mic := writeWAV(t, 48000, sine(48000, 440, 48000))
	ear := filepath.Join(t.TempDir(), "ear.wav")
	synctest.Test(t, func(t *testing.T) {
		c, stop := start(t, Config{Backend: Virtual, MicFile: mic, EarFile: ear})
		expect(t, c, Back)
		began := time.Now()
		heard := loop(t, c, 500)
		if took := time.Since(began); took < 9900*time.Millisecond || took > 10100*time.Millisecond {
			t.Errorf("500 frames took %v of virtual time", took)
		}
		if heard < 498 {
			t.Errorf("microphone brought %d of 500 frames", heard)
		}
		st := c.Stats()
		if st.EarUnderruns != 0 || st.MicOverruns+st.EarOverruns != 0 || st.MicMissed > 2 {
			t.Errorf("stats %+v", st)
		}
		stop()
	})
	s := readWAV(t, ear)
	if len(s) < 9*48000 {
		t.Fatalf("ear got %d samples", len(s))
	}
	if l := pcm.RMS(s[48000 : 9*48000]); math.Abs(l-pcm.RMS(sine(48000, 440, 48000))) > 0.1 {
		t.Errorf("ear at %.1f dBFS", l)
	}
}

func TestVirtualPeriods(t *testing.T) {
	mic := writeWAV(t, 48000, sine(48000, 440, 48000))
	for _, ms := range []int{5, 7, 10, 20, 33, 40} {
		for _, ch := range []int{1, 2} {
			synctest.Test(t, func(t *testing.T) {
				c, stop := start(t, Config{Backend: Virtual, MicFile: mic, PeriodMs: ms, EarChannels: ch})
				defer stop()
				expect(t, c, Back)
				loop(t, c, 50)
				before := c.Stats()
				heard := loop(t, c, 1000)
				st := c.Stats()
				if heard != 1000 || st.EarUnderruns != before.EarUnderruns || st.Slips-before.Slips > 5 {
					t.Errorf("%d ms, %d channels: %d frames, %+v", ms, ch, heard, st)
				}
			})
		}
	}
}

func TestVirtualOnceThenSilence(t *testing.T) {
	mic := writeWAV(t, 8000, sine(4000, 300, 8000)) // half a second at 8 kHz
	synctest.Test(t, func(t *testing.T) {
		c, stop := start(t, Config{Backend: Virtual, MicFile: mic, MicOnce: true})
		defer stop()
		loop(t, c, 50)
		frame := make([]int16, pcm.Frame)
		for range 20 {
			_ = c.Wait(t.Context())
			if !c.ReadMic(frame) || pcm.Peak(frame) != pcm.Floor {
				t.Fatalf("after the end: %.1f dBFS", pcm.Peak(frame))
			}
		}
	})
}

func TestUnplugInCall(t *testing.T) {
	mic := writeWAV(t, 48000, sine(48000, 440, 48000))
	synctest.Test(t, func(t *testing.T) {
		c, stop := start(t, Config{Backend: Virtual, MicFile: mic})
		defer stop()
		expect(t, c, Back)
		for range 5 {
			loop(t, c, 100)
			if err := c.Unplug(); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			n := loop(t, c, 150) // the call goes on: three seconds
			if took := time.Since(began); took < 2950*time.Millisecond || took > 3050*time.Millisecond {
				t.Errorf("150 frames without headset took %v", took)
			}
			if n > 3 {
				t.Errorf("%d frames from an unplugged microphone", n)
			}
			if c.Present() {
				t.Error("unplugged, but present")
			}
			if ev := expect(t, c, Lost); ev.Reason == "" {
				t.Error("no reason given")
			}
			began = time.Now()
			_ = c.Plug()
			frame := make([]int16, pcm.Frame)
			for {
				_ = c.Wait(t.Context())
				if c.ReadMic(frame) {
					break
				}
			}
			if took := time.Since(began); took > 300*time.Millisecond {
				t.Errorf("sound %v after the plug", took)
			}
			expect(t, c, Back)
		}
		if st := c.Stats(); st.Opened != 6 || st.Abandoned != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestNeverThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Backend: Virtual}, quiet)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Unplug()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		expect(t, c, Lost)
		time.Sleep(10 * time.Minute)
		began := time.Now()
		if loop(t, c, 3000) != 0 {
			t.Error("sound from nowhere")
		}
		if d := time.Since(began) - time.Minute; d.Abs() > 40*time.Millisecond {
			t.Errorf("a minute's pace is off by %v", d)
		}
		cancel()
		<-done
		if err := c.Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait after the end: %v", err)
		}
	})
}
