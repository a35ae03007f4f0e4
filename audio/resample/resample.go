// Package resample changes the sample rate of 16-bit mono sound: a polyphase
// windowed-sinc filter, for streams that come in pieces of any size. One
// Resampler is one stream; nothing allocates after New.
package resample

import (
	"fmt"
	"math"
)

const (
	zeros     = 16   // zero crossings of the sinc on each side of its middle
	beta      = 8.0  // Kaiser window: stop band below -80 dB
	passband  = 0.90 // of the lower Nyquist frequency; what lies above fades out
	maxPhases = 1 << 12
)

// Resampler converts one stream.
type Resampler struct {
	up, down int       // output rate : input rate, in lowest terms
	taps     int       // filter length in input samples, a phase
	coef     []float32 // up phases of taps each, oldest sample first
	hist     []float32 // the last taps input samples, twice, so that any window is contiguous
	pos      int       // where in hist the next sample goes
	phase    int       // how far the next output lies behind the newest input, in 1/up input samples
}

// New makes a resampler between two rates in Hz, whose lowest terms must be
// below 4096 (all usual audio rates are).
func New(from, to int) (*Resampler, error) {
	if from <= 0 || to <= 0 || from > 1<<20 || to > 1<<20 {
		return nil, fmt.Errorf("resample %d to %d Hz: no such rates", from, to)
	}
	g := gcd(from, to)
	up, down := to/g, from/g
	if up > maxPhases || down > maxPhases {
		return nil, fmt.Errorf("resample %d to %d Hz: ratio %d/%d is too fine", from, to, up, down)
	}
	r := &Resampler{up: up, down: down}
	if up == down {
		return r, nil
	}
	// The cut-off, as a fraction of the input's Nyquist frequency, follows the
	// lower of the two rates; the filter gets longer as it gets lower.
	cut := passband * min(1, float64(to)/float64(from))
	r.taps = 2 * int(math.Ceil(zeros/min(1, float64(to)/float64(from))))
	r.hist = make([]float32, 2*r.taps)
	r.coef = make([]float32, up*r.taps)
	half := float64(r.taps) / 2
	for p := range up {
		row := r.coef[p*r.taps : (p+1)*r.taps]
		sum := 0.0
		w := make([]float64, r.taps)
		for k := range row {
			// Distance in input samples from the middle of the filter. An output
			// of phase p lies p/up input samples after the newest but half taps.
			x := float64(k) - half + 1 - float64(p)/float64(up)
			w[k] = cut * sinc(cut*x) * kaiser(x/half)
			sum += w[k]
		}
		for k := range row { // each phase passes 0 Hz at exactly one: no hum at the phase rate
			row[k] = float32(w[k] / sum)
		}
	}
	return r, nil
}

// MaxOut is the most samples that n samples of input can give.
func (r *Resampler) MaxOut(n int) int { return (n*r.up+r.down-1)/r.down + 1 }

// Delay is how much later the output is than the input, in output samples.
func (r *Resampler) Delay() float64 {
	return float64(r.taps) / 2 * float64(r.up) / float64(r.down)
}

// Reset forgets the past.
func (r *Resampler) Reset() {
	clear(r.hist)
	r.pos, r.phase = 0, 0
}

// Process takes all of src and returns the number of samples written to dst,
// which must hold MaxOut(len(src)); over time it is exactly len(src)·to/from.
// (Kept from the race detector: a Resampler is one goroutine's, and its inner
// loop would be ten times slower.)
//
//go:norace
func (r *Resampler) Process(dst, src []int16) int {
	if r.up == r.down {
		return copy(dst, src)
	}
	n := 0
	for _, s := range src {
		r.hist[r.pos], r.hist[r.pos+r.taps] = float32(s), float32(s)
		r.pos++
		if r.pos == r.taps {
			r.pos = 0
		}
		window := r.hist[r.pos : r.pos+r.taps]
		for ; r.phase < r.up; r.phase += r.down {
			dst[n] = dot(r.coef[r.phase*r.taps:(r.phase+1)*r.taps], window)
			n++
		}
		r.phase -= r.up
	}
	return n
}

// Whole converts a complete signal, with the filter's delay taken out and the
// length len(src)·to/from, rounded up.
func Whole(src []int16, from, to int) ([]int16, error) {
	r, err := New(from, to)
	if err != nil {
		return nil, err
	}
	want := (len(src)*r.up + r.down - 1) / r.down
	tail := make([]int16, r.taps)
	out := make([]int16, r.MaxOut(len(src))+r.MaxOut(len(tail)))
	n := r.Process(out, src)
	n += r.Process(out[n:], tail)
	skip := min(int(math.Round(r.Delay())), n)
	out = out[skip:n]
	return out[:min(want, len(out))], nil
}

// dot is the sum of products, as a sample.
//
//go:norace
func dot(a, b []float32) int16 {
	b = b[:len(a)]
	var s0, s1 float32
	for len(a) >= 2 { // taps is always even
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		a, b = a[2:], b[2:]
	}
	s := s0 + s1
	if s >= 0 {
		return int16(min(s+0.5, math.MaxInt16))
	}
	return int16(max(s-0.5, math.MinInt16))
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

func kaiser(x float64) float64 {
	if x <= -1 || x >= 1 {
		return 0
	}
	return bessel(beta*math.Sqrt(1-x*x)) / bessel(beta)
}

// bessel is the modified Bessel function of the first kind, order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
