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
// is who belongs there, at ownLag.
//
// What own's speech explains is first taken away, bin by bin; the rest is
// whitened with other's spectrum, frames in which little is left count for
// more, and is correlated with other's speech.
func leakage(got, own []float64, ownLag int, other []float64, otherLag int) (gain, chance float64) {
	n := len(got)
	if n < leakSpan/2 {
		n = leakSpan / 2
		got = at(got, 0, n)
	}
	g := spectra(got)
	a := spectra(at(own, -ownLag, n))
	c := spectra(at(other, -otherLag, n))
	explain(g, a)

	white := make([]float64, leakFrame/2)
	top := 0.0
	for k := range white {
		for _, f := range c {
			white[k] += norm2(f[k])
		}
		top = max(top, white[k])
	}
	if top == 0 {
		return 0, 0
	}
	for k := range white {
		hz := float64(k) * rate / leakFrame
		if hz < low+50 || hz > high-100 {
			white[k] = 0
			continue
		}
		white[k] = 1 / math.Sqrt(white[k]+top*1e-5)
	}
	weights := make([]float64, len(g))
	energies := make([]float64, len(g))
	mean := 0.0
	for t, f := range g {
		for k, w := range white {
			f[k] *= complex(w, 0)
			c[t][k] *= complex(w, 0)
			energies[t] += norm2(f[k])
		}
		mean += energies[t]
	}
	if mean == 0 {
		return 0, 0 // own explains everything
	}
	mean /= float64(len(g))
	for t := range g {
		weights[t] = 1 / (energies[t] + mean*1e-4)
		for k := range white {
			g[t][k] *= complex(weights[t], 0)
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
		in := sine(k)
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
	return gain, chance
}

func norm2(x complex128) float64 { return real(x)*real(x) + imag(x)*imag(x) }

// spectra are the frames of s, each half over the next, with a sine window on
// the way there and (together) back.
func spectra(s []float64) [][]complex128 {
	var out [][]complex128
	for from := -leakHop; from < len(s); from += leakHop {
		x := make([]complex128, leakFrame)
		for i, v := range at(s, from, leakFrame) {
			x[i] = complex(v*sine(i), 0)
		}
		fft(x, false)
		out = append(out, x)
	}
	return out
}

func sine(i int) float64 { return math.Sin(math.Pi * (float64(i) + 0.5) / leakFrame) }

// together is the way back. Only the lower half of each spectrum is looked at.
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
				out[k] += real(v) * sine(i) / leakFrame
			}
		}
	}
	return out
}

// explain takes out of g what a explains, by one complex factor a bin and span.
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
