package audiotest

import (
	"math"
	"math/bits"
	"math/cmplx"
	"sync"
)

// fft transforms x, whose length is a power of two, in place; inverse without
// the division by its length.
func fft(x []complex128, inverse bool) {
	n := len(x)
	shift := 64 - bits.TrailingZeros(uint(n))
	if n < 2 {
		return
	}
	for i := range x {
		if j := int(bits.Reverse64(uint64(i)) >> shift); j > i {
			x[i], x[j] = x[j], x[i]
		}
	}
	w := roots(n)
	for size := 2; size <= n; size *= 2 {
		half, step := size/2, n/size
		for from := 0; from < n; from += size {
			a, b := x[from:from+half], x[from+half:from+size]
			for k := range a {
				r := w[k*step]
				if inverse {
					r = cmplx.Conj(r)
				}
				t := r * b[k]
				a[k], b[k] = a[k]+t, a[k]-t
			}
		}
	}
}

var rootsOf sync.Map // of int to []complex128

// roots are the first n/2 powers of the n-th root of one.
func roots(n int) []complex128 {
	if w, ok := rootsOf.Load(n); ok {
		return w.([]complex128)
	}
	w := make([]complex128, n/2)
	for k := range w {
		w[k] = cmplx.Rect(1, -2*math.Pi*float64(k)/float64(n))
	}
	rootsOf.Store(n, w)
	return w
}

func powerOfTwo(n int) int { return 1 << bits.Len(uint(max(n-1, 1))) }

// correlation is the sum over n of b[n+lag]·a[n], for lag from -reach to reach
// (index 0 is -reach).
func correlation(a, b []float64, reach int) []float64 {
	n := powerOfTwo(len(a) + len(b) + reach + 1)
	x, y := make([]complex128, n), make([]complex128, n)
	for i, v := range a {
		x[i] = complex(v, 0)
	}
	for i, v := range b {
		y[i] = complex(v, 0)
	}
	fft(x, false)
	fft(y, false)
	for i := range x {
		y[i] *= cmplx.Conj(x[i])
	}
	fft(y, true)
	out := make([]float64, 2*reach+1)
	for i := range out {
		out[i] = real(y[(i-reach+n)%n]) / float64(n)
	}
	return out
}
