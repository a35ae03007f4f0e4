package tone

import (
	"math"
	"testing"

	"deskset/audio/pcm"
)

// play returns n samples of a kind, frame by frame, and whether it was over.
func play(k Kind, n int) ([]int16, bool) {
	t := New(k)
	out := make([]int16, n)
	done := false
	for i := 0; i < n; i += pcm.Frame {
		done = t.Mix(out[i:min(i+pcm.Frame, n)])
	}
	return out, done
}

// power returns the amplitude of one frequency in s (Goertzel), in samples.
func power(s []int16, hz float64) float64 {
	w := 2 * math.Pi * hz / pcm.Rate
	var re, im float64
	for i, v := range s {
		re += float64(v) * math.Cos(w*float64(i))
		im += float64(v) * math.Sin(w*float64(i))
	}
	return 2 * math.Hypot(re, im) / float64(len(s))
}

// spans returns where the sound is on, in ms, by 1 ms steps; one silent step
// (a zero crossing) does not end a span.
func spans(s []int16) (out [][2]int) {
	on, quiet := false, 0
	for ms := 0; (ms+1)*48 <= len(s); ms++ {
		loud := pcm.Peak(s[ms*48:(ms+1)*48]) > -70
		switch {
		case loud && !on:
			out, on, quiet = append(out, [2]int{ms, ms + 1}), true, 0
		case loud:
			out[len(out)-1][1], quiet = ms+1, 0
		case on:
			if quiet++; quiet > 3 {
				on = false
			}
		}
	}
	return out
}

func TestChinesePlan(t *testing.T) {
	for _, c := range []struct {
		kind    Kind
		on, gap int
	}{{RingBack, 1000, 5000}, {Busy, 350, 700}} {
		s, done := play(c.kind, 11*pcm.Rate)
		if done {
			t.Errorf("%v ended by itself", c.kind)
		}
		for i, sp := range spans(s) {
			if i*c.gap+c.on > 11000 {
				break
			}
			if d := sp[0] - i*c.gap; d < 0 || d > 2 {
				t.Errorf("%v: burst %d begins at %d ms", c.kind, i, sp[0])
			}
			if d := sp[1] - sp[0] - c.on; d < -3 || d > 1 {
				t.Errorf("%v: burst %d lasts %d ms", c.kind, i, sp[1]-sp[0])
			}
		}
		burst := s[4800 : 4800+9600]
		if a, b := power(burst, 450), power(burst, 425); a < 3000 || b > a/50 {
			t.Errorf("%v: 450 Hz at %.0f, 425 Hz at %.0f", c.kind, a, b)
		}
	}
}

func TestEveryToneIsBoundedAndClickFree(t *testing.T) {
	for k := None; k < kinds; k++ {
		s, done := play(k, 6*pcm.Rate)
		loops := scores[k].loop
		if done == loops {
			t.Errorf("%v: done %v after 6 s, loops %v", k, done, loops)
		}
		if p := pcm.Peak(s); p > -12 || (k != None && p < -24) {
			t.Errorf("%v: peak %.1f dBFS", k, p)
		}
		// Away from its notes' frequencies a click would show as a fast second
		// difference; a sine of amplitude A and 1.4 kHz stays below A*w*w.
		limit := 0.25*32768*math.Pow(2*math.Pi*1400/pcm.Rate, 2) + 8
		for i := 2; i < len(s); i++ {
			if d := math.Abs(float64(s[i]) - 2*float64(s[i-1]) + float64(s[i-2])); d > limit {
				t.Fatalf("%v: step of %.0f at sample %d", k, d, i)
			}
		}
		if pcm.Peak(s[len(s)-10:]) != pcm.Floor && !loops {
			t.Errorf("%v does not end in silence", k)
		}
	}
	if !New(-1).Mix(make([]int16, 1)) || !New(99).Mix(nil) {
		t.Error("an unknown tone is not over")
	}
}

func TestTonesDiffer(t *testing.T) {
	seen := map[string]Kind{}
	for k := Ring; k < kinds; k++ {
		s, _ := play(k, pcm.Rate)
		key := string(pcm.Append(nil, s))
		if other, ok := seen[key]; ok {
			t.Errorf("%v sounds like %v", k, other)
		}
		seen[key] = k
		if k.String() == "unknown" {
			t.Errorf("kind %d has no name", int(k))
		}
	}
}

func TestStopIsSoft(t *testing.T) {
	tn := New(RingBack)
	s := make([]int16, pcm.Rate/2)
	tn.Mix(s)
	tn.Stop()
	end := make([]int16, pcm.Frame)
	if !tn.Mix(end) {
		t.Error("not over one frame after Stop")
	}
	all := append(s, end...)
	for i := 2; i < len(all); i++ {
		if d := math.Abs(float64(all[i]) - 2*float64(all[i-1]) + float64(all[i-2])); d > 40 {
			t.Fatalf("click of %.0f at %d", d, i)
		}
	}
	if pcm.Peak(end[400:]) != pcm.Floor {
		t.Error("sounds on after Stop")
	}
	if !tn.Mix(end) {
		t.Error("rings again")
	}
}

func TestMixAddsAndClamps(t *testing.T) {
	frame := make([]int16, pcm.Frame)
	for i := range frame {
		frame[i] = math.MaxInt16
	}
	New(Ring).Mix(frame)
	var lower bool
	for _, v := range frame {
		if v < 0 {
			t.Fatal("wrapped")
		}
		lower = lower || v < math.MaxInt16
	}
	if !lower {
		t.Error("nothing was mixed")
	}
}

func TestLevelHolds(t *testing.T) {
	// A loop starts its oscillators afresh each note; the longest note is 1 s.
	tn := New(RingBack)
	frame := make([]int16, pcm.Frame)
	var first, late float64
	for i := range 5 * 50 * 12 {
		clear(frame)
		tn.Mix(frame)
		if p := pcm.Peak(frame); i < 250 {
			first = max(first, p)
		} else if i >= 5*50*11 {
			late = max(late, p)
		}
	}
	if math.Abs(first-late) > 0.01 {
		t.Errorf("level went from %.2f to %.2f dBFS", first, late)
	}
}

func TestNoAllocs(t *testing.T) {
	tn := New(Ring)
	frame := make([]int16, pcm.Frame)
	if n := testing.AllocsPerRun(100, func() { tn.Mix(frame) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
