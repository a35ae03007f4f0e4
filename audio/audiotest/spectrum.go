package audiotest

import (
	"math"
)

const (
	window = 256 // 32 ms
	bands  = 16
)

// hann is the window of all short spectra.
var hann = func() (w [window]float64) {
	for i := range w {
		w[i] = 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/window)
	}
	return w
}()

// loudness is the spectrum around s[from], in dB of bands evenly spaced on the
// mel scale.
//
//go:norace
func loudness(s []float64, from int) (out [bands]float64) {
	var x [window]complex128
	for i, v := range at(s, from, window) {
		x[i] = complex(v*hann[i], 0)
	}
	fft(x[:], false)
	mel := func(hz float64) float64 { return math.Log(1 + hz/700) }
	lo, span := mel(low), mel(high)-mel(low)
	for k := 1; k < window/2; k++ {
		b := int(math.Floor((mel(float64(k)*rate/window) - lo) / span * bands))
		if b >= 0 && b < bands {
			out[b] += real(x[k])*real(x[k]) + imag(x[k])*imag(x[k])
		}
	}
	for b, e := range out {
		out[b] = 10 * math.Log10(e+1)
	}
	return out
}

// spectralDistance is the root mean square difference of the short spectra of
// want and of got, lag later, in dB over the active frames. A difference of
// level over all is left out, and what is 40 dB below the loudest is level.
func spectralDistance(want, got []float64, active []bool, lag int) float64 {
	type pair struct{ w, g [bands]float64 }
	var pairs []pair
	top, shift, n := 0.0, 0.0, 0.0
	for i, a := range active {
		if !a {
			continue
		}
		p := pair{loudness(want, i*frame), loudness(got, i*frame+lag)}
		pairs = append(pairs, p)
		for _, v := range p.w {
			top = max(top, v)
		}
	}
	floor := top - 40
	for _, p := range pairs {
		for b, w := range p.w {
			if w > floor+10 {
				shift += p.g[b] - w
				n++
			}
		}
	}
	if n == 0 {
		return math.Inf(1)
	}
	shift /= n
	sum := 0.0
	for _, p := range pairs {
		e := 0.0
		for b, w := range p.w {
			d := max(w, floor) - max(p.g[b]-shift, floor)
			e += d * d
		}
		sum += math.Sqrt(e / bands)
	}
	return sum / float64(len(pairs))
}
