package resample

import (
	"math"
	"testing"
)

func sine(n, rate int, hz float64) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(math.Round(16000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return s
}

func rms(s []int16) float64 {
	e := 0.0
	for _, v := range s {
		e += float64(v) * float64(v)
	}
	return math.Sqrt(e / float64(len(s)))
}

// A tone inside the pass band comes out as that tone, in time; one above the
// new Nyquist frequency does not come out.
func TestTones(t *testing.T) {
	for _, tc := range []struct{ from, to int }{
		{8000, 48000}, {48000, 8000}, {16000, 48000}, {48000, 16000}, {44100, 48000}, {48000, 44100}, {22050, 48000}, {11025, 8000}, {8000, 8000},
	} {
		nyquist := float64(min(tc.from, tc.to)) / 2
		for _, f := range []float64{0.05, 0.3, 0.7} {
			hz := f * nyquist
			out, err := Whole(sine(tc.from, tc.from, hz), tc.from, tc.to)
			if err != nil {
				t.Fatal(err)
			}
			if len(out) != tc.to {
				t.Fatalf("%d to %d: %d samples", tc.from, tc.to, len(out))
			}
			want := sine(tc.to, tc.to, hz)
			edge := tc.to / 20
			e := 0.0
			for i := edge; i < tc.to-edge; i++ {
				d := float64(out[i]) - float64(want[i])
				e += d * d
			}
			snr := 20 * math.Log10(rms(want)/math.Sqrt(e/float64(tc.to-2*edge)))
			// Whole rounds the delay to one sample, so ratios whose delay is not
			// whole are held to level only.
			r, _ := New(tc.from, tc.to)
			if d := r.Delay(); d == math.Trunc(d) && snr < 60 {
				t.Errorf("%d to %d at %.0f Hz: SNR %.1f dB", tc.from, tc.to, hz, snr)
			}
			if db := 20 * math.Log10(rms(out[edge:tc.to-edge])/rms(want)); math.Abs(db) > 0.1 {
				t.Errorf("%d to %d at %.0f Hz: level %.2f dB", tc.from, tc.to, hz, db)
			}
		}
		if tc.to < tc.from {
			out, _ := Whole(sine(tc.from, tc.from, nyquist*1.08), tc.from, tc.to)
			if db := 20 * math.Log10(rms(out[tc.to/20:tc.to*19/20])/11314); db > -70 {
				t.Errorf("%d to %d: alias at %.1f dB", tc.from, tc.to, db)
			}
		}
	}
}

// However a stream is cut into pieces, the output is the same.
func TestPieces(t *testing.T) {
	in := sine(4410, 44100, 777)
	whole, _ := New(44100, 48000)
	want := make([]int16, whole.MaxOut(len(in)))
	want = want[:whole.Process(want, in)]
	if len(want) != 4800 {
		t.Fatalf("%d samples", len(want))
	}
	for _, piece := range []int{1, 7, 441, 1000} {
		r, _ := New(44100, 48000)
		var got []int16
		for at := 0; at < len(in); at += piece {
			src := in[at:min(at+piece, len(in))]
			buf := make([]int16, r.MaxOut(len(src)))
			got = append(got, buf[:r.Process(buf, src)]...)
		}
		if len(got) != len(want) {
			t.Fatalf("pieces of %d: %d samples", piece, len(got))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("pieces of %d differ at %d", piece, i)
			}
		}
	}
}

func TestClipsNotWraps(t *testing.T) {
	in := make([]int16, 800)
	for i := range in {
		in[i] = math.MaxInt16
		if i/20%2 == 1 {
			in[i] = math.MinInt16
		}
	}
	out, _ := Whole(in, 8000, 48000)
	for i := 600; i < 4200; i++ { // inside a half wave the sign must hold
		if at := i % 240; at > 20 && at < 100 && out[i] < 0 {
			t.Fatalf("sample %d is %d: wrapped", i, out[i])
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, tc := range [][2]int{{0, 8000}, {8000, -1}, {47999, 48000}, {1 << 30, 8000}} {
		if _, err := New(tc[0], tc[1]); err == nil {
			t.Errorf("%v accepted", tc)
		}
	}
}

func TestNoAllocs(t *testing.T) {
	r, _ := New(48000, 8000)
	in, out := make([]int16, 960), make([]int16, r.MaxOut(960))
	if a := testing.AllocsPerRun(100, func() { r.Process(out, in) }); a != 0 {
		t.Errorf("%v allocations", a)
	}
	r.Reset()
}

func BenchmarkDown(b *testing.B) {
	r, _ := New(48000, 8000)
	in, out := make([]int16, 960), make([]int16, r.MaxOut(960))
	for b.Loop() {
		r.Process(out, in)
	}
}
