package audiotest

import (
	"math"
	"math/cmplx"
)

const (
	leakFrame = 512      // 64 ms
	leakHop   = 256      //
	leakSpan  = 4 * rate // in which a leg's path is taken as constant
	leakReach = rate / 2 // an echo may be as late, or early
)

// leakage looks in got for a speaker who does not belong there: other, whose
// own place in time is at otherLag. It gives the gain of that speaker into got,
// at the delay where it is greatest, and what gain chance alone would show. own
// is who belongs there, at ownLag; ownGain is that speaker's, measured alike: a
// codec does not keep all of a waveform, of neither of the two.
//
// What own's speech explains is first taken away, bin by bin; the rest is
// whitened with other's spectrum, frames in which little is left count for
// more, and is correlated with other's speech.
//
//go:norace
func leakage(got, own []float64, ownLag int, other []float64, otherLag int) (gain, chance, ownGain float64) {
	n := len(got)
	if n < leakSpan/2 {
		n = leakSpan / 2
		got = at(got, 0, n)
	}
	g := spectra(got)
	a := spectra(at(own, -ownLag, n))
	c := spectra(at(other, -otherLag, n))

	white := make([]float64, leakFrame/2)
	top := 0.0
	for k := range white {
		for _, f := range c {
			white[k] += norm2(f[k])
		}
		top = max(top, white[k])
	}
	if top == 0 {
		return 0, 0, 0
	}
	for k := range white {
		hz := float64(k) * rate / leakFrame
		if hz < low+50 || hz > high-100 {
			white[k] = 0
			continue
		}
		white[k] = 1 / math.Sqrt(white[k]+top*1e-5)
	}
	whiten(c, white)
	whiten(a, white)
	whiten(g, white)
	before, _ := energy(g)
	explain(g, a)
	mean, energies := energy(g)
	if all, _ := energy(a); all > 0 {
		ownGain = math.Sqrt(max(0, before-mean) / all)
	}
	if mean <= before*1e-12 {
		return 0, 0, ownGain // own explains everything
	}
	weights := make([]float64, len(g))
	for t, f := range g {
		weights[t] = 1 / (energies[t] + mean*1e-4)
		for k := range f {
			f[k] *= complex(weights[t], 0)
		}
	}
	r, s := together(g, n), together(c, n)

	// Least squares: gain(lag) = sum of w·r·s / sum of w·s².
	reach := 4 * leakReach
	num := correlation(s, r, reach)
	square := make([]float64, n)
	weight := make([]float64, n)
	for i := range square {
		square[i] = s[i] * s[i]
		t, k := i/leakHop, i%leakHop // under the end of frame t and the beginning of the next
		in := sine[k]
		weight[i] = weights[t]*(1-in*in) + weights[min(t+1, len(weights)-1)]*in*in
	}
	den := correlation(square, weight, reach)
	top = 0
	for _, d := range den {
		top = max(top, d)
	}
	for i, v := range num {
		v = math.Abs(v) / max(den[i], top*1e-3)
		lag := i - reach
		switch {
		case lag >= -leakReach && lag <= leakReach:
			gain = max(gain, v)
		case lag < -2*leakReach || lag > 2*leakReach:
			chance = max(chance, v)
		}
	}
	return gain, chance, ownGain
}

// whiten scales the lower half of each spectrum by w.
//
//go:norace
func whiten(frames [][]complex128, w []float64) {
	for _, f := range frames {
		for k, v := range w {
			f[k] *= complex(v, 0)
		}
	}
}

// energy is that of the lower half of each spectrum, and its mean.
//
//go:norace
func energy(frames [][]complex128) (mean float64, each []float64) {
	each = make([]float64, len(frames))
	for t, f := range frames {
		for _, v := range f[:leakFrame/2] {
			each[t] += norm2(v)
		}
		mean += each[t] / float64(len(frames))
	}
	return mean, each
}

//go:norace
func norm2(x complex128) float64 { return real(x)*real(x) + imag(x)*imag(x) }

// spectra are the frames of s, each half over the next, with a sine window on
// the way there and (together) back.
//
//go:norace
func spectra(s []float64) [][]complex128 {
	var out [][]complex128
	for from := -leakHop; from < len(s); from += leakHop {
		x := make([]complex128, leakFrame)
		for i, v := range at(s, from, leakFrame) {
			x[i] = complex(v*sine[i], 0)
		}
		fft(x, false)
		out = append(out, x)
	}
	return out
}

// sine is the window.
var sine = func() (w [leakFrame]float64) {
	for i := range w {
		w[i] = math.Sin(math.Pi * (float64(i) + 0.5) / leakFrame)
	}
	return w
}()

// together is the way back. Only the lower half of each spectrum is looked at.
//
//go:norace
func together(frames [][]complex128, n int) []float64 {
	out := make([]float64, n)
	x := make([]complex128, leakFrame)
	for t, f := range frames {
		copy(x, f)
		x[0], x[leakFrame/2] = 0, 0
		for k := 1; k < leakFrame/2; k++ {
			x[leakFrame-k] = cmplx.Conj(f[k])
		}
		fft(x, true)
		from := (t - 1) * leakHop
		for i, v := range x {
			if k := from + i; k >= 0 && k < n {
				out[k] += real(v) * sine[i] / leakFrame
			}
		}
	}
	return out
}

// explain takes out of g what a explains, by one complex factor a bin and span.
//
//go:norace
func explain(g, a [][]complex128) {
	span := leakSpan / leakHop
	for from := 0; from < len(g); from += span {
		to := min(from+span, len(g))
		for k := range leakFrame / 2 {
			var ga complex128
			aa := 0.0
			for t := from; t < to; t++ {
				ga += g[t][k] * cmplx.Conj(a[t][k])
				aa += norm2(a[t][k])
			}
			if aa == 0 {
				continue
			}
			h := ga / complex(aa, 0)
			for t := from; t < to; t++ {
				g[t][k] -= h * a[t][k]
			}
		}
	}
}
