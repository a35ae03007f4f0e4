package audiotest

import (
	"math"
	"slices"
	"time"

	"deskset/audio/pcm"
	"deskset/audio/resample"
)

// All comparing is done at 8 kHz, between 250 and 3500 Hz: what any telephone
// codec must leave alone.
const (
	rate  = 8000
	frame = rate / 50 // 20 ms
	low   = 250.0     // Hz
	high  = 3500.0
)

func floats(s []int16) []float64 {
	out := make([]float64, len(s))
	for i, v := range s {
		out[i] = float64(v)
	}
	return out
}

// narrow brings 48 kHz sound into that form.
//
//go:norace
func narrow(s []int16) []float64 {
	d, err := resample.Whole(s, pcm.Rate, rate)
	if err != nil {
		return nil // both rates are constants that resample knows
	}
	n := powerOfTwo(len(d) + rate/10)
	x := make([]complex128, n)
	for i, v := range d {
		x[i] = complex(float64(v), 0)
	}
	fft(x, false)
	for i := range x {
		hz := float64(min(i, n-i)) * rate / float64(n)
		// Edges of 100 Hz, so that the filter does not ring.
		x[i] *= complex(edge((hz-low)/100+0.5)*edge((high-hz)/100+0.5)/float64(n), 0)
	}
	fft(x, true)
	out := make([]float64, len(d))
	for i := range out {
		out[i] = real(x[i])
	}
	return out
}

func edge(t float64) float64 {
	t = min(max(t, 0), 1)
	return t * t * (3 - 2*t)
}

//go:norace
func rms(s []float64) float64 {
	if len(s) == 0 {
		return 0
	}
	e := 0.0
	for _, v := range s {
		e += v * v
	}
	return math.Sqrt(e / float64(len(s)))
}

// activity says for each frame whether there is speech in it: louder than the
// loud parts less 30 dB, and than almost nothing.
func activity(s []float64, frame int) []bool {
	n := len(s) / frame
	levels := make([]float64, n)
	for i := range levels {
		levels[i] = rms(s[i*frame : (i+1)*frame])
	}
	active := make([]bool, n)
	if n == 0 {
		return active
	}
	sorted := slices.Sorted(slices.Values(levels))
	floor := max(sorted[min(n*95/100, n-1)]*pcm.FromDB(-30), 4)
	for i, l := range levels {
		active[i] = l > floor
	}
	return active
}

// activeRMS is the level of the active frames.
func activeRMS(s []float64, active []bool, frame int) float64 {
	e, n := 0.0, 0
	for i, a := range active {
		if a && (i+1)*frame <= len(s) {
			r := rms(s[i*frame : (i+1)*frame])
			e += r * r
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return math.Sqrt(e / float64(n))
}

func db(ratio float64) float64 { return 20 * math.Log10(max(ratio, 1e-6)) }

func lagTime(lag int) time.Duration { return time.Duration(lag) * time.Second / rate }

// at is s[from:from+n], with zeros where s has nothing.
func at(s []float64, from, n int) []float64 {
	if from >= 0 && from+n <= len(s) {
		return s[from : from+n]
	}
	out := make([]float64, n)
	for i := range out {
		if k := from + i; k >= 0 && k < len(s) {
			out[i] = s[k]
		}
	}
	return out
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(v))[len(v)/2]
}
