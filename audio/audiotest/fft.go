package audiotest

import (
	"math"
	"math/bits"
	"math/cmplx"
	"sync"
)

// fft transforms x, whose length is a power of two, in place; inverse without
// the division by its length. (Loops like these, which share nothing, are kept
// from the race detector, as it makes them ten times slower.)
//
//go:norace
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
//
//go:norace
func correlation(a, b []float64, reach int) []float64 {
	// Long enough that what wraps round falls on lags that are not asked for.
	n := powerOfTwo(max(len(a), len(b)) + reach)
	// Both at once, one real, one imaginary; of like size, or the smaller one
	// drowns in the rounding of the other.
	x := make([]complex128, n)
	sa, sb := greatest(a), greatest(b)
	out := make([]float64, 2*reach+1)
	if sa == 0 || sb == 0 {
		return out
	}
	for i, v := range a {
		x[i] = complex(v/sa, 0)
	}
	for i, v := range b {
		x[i] += complex(0, v/sb)
	}
	fft(x, false)
	// The two spectra are the symmetric parts; what is wanted is B·conj(A).
	product := func(p, q complex128) complex128 { // of bin k, given also bin n-k
		q = cmplx.Conj(q)
		return (p - q) * cmplx.Conj(p+q) * complex(0, -0.25)
	}
	for k := 0; k <= n/2; k++ {
		j := (n - k) & (n - 1)
		p, q := x[k], x[j]
		x[k], x[j] = product(p, q), product(q, p)
	}
	fft(x, true)
	for i := range out {
		out[i] = real(x[(i-reach)&(n-1)]) / float64(n) * sa * sb
	}
	return out
}

func greatest(s []float64) (m float64) {
	for _, v := range s {
		m = max(m, math.Abs(v))
	}
	return m
}
