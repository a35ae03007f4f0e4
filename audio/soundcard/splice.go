package soundcard

import "math"

const (
	// overlap is the length of the cross-fade: 5 ms.
	overlap = 240
	// minLag and maxLag bound a splice: 2.5 to 10 ms, one period of voices
	// between 400 and 100 Hz.
	minLag = 120
	maxLag = 480
)

// lag returns by how many samples, between minLag and most, x best repeats
// itself at position at: the place where a splice is heard least. In near
// silence any place will do and the longest is taken.
func lag(x []int16, at, most int) int {
	most = min(most, maxLag, len(x)-at-overlap)
	if most <= minLag {
		return max(most, 0)
	}
	const step = 2 // every second sample tells enough below 12 kHz
	var own float64
	for i := 0; i < overlap; i += step {
		v := float64(x[at+i])
		own += v * v
	}
	if own < overlap/step*30*30 { // below about -60 dBFS
		return most
	}
	best, bestScore := most, math.Inf(-1)
	for d := minLag; d <= most; d += step {
		var dot, other float64
		for i := 0; i < overlap; i += step {
			a, b := float64(x[at+i]), float64(x[at+d+i])
			dot += a * b
			other += b * b
		}
		if score := dot / math.Sqrt(other+1); score > bestScore {
			best, bestScore = d, score
		}
	}
	return best
}

// shrink writes x without d of its samples to dst and returns the length: it
// fades from x[at:] over to x[at+d:].
func shrink(dst, x []int16, at, d int) int {
	n := copy(dst, x[:at])
	n += crossfade(dst[n:], x[at:], x[at+d:])
	return n + copy(dst[n:], x[at+d+overlap:])
}

// stretch writes x with d samples played twice to dst and returns the length:
// at at+d it fades back to x[at:].
func stretch(dst, x []int16, at, d int) int {
	n := copy(dst, x[:at+d])
	n += crossfade(dst[n:], x[at+d:], x[at:])
	return n + copy(dst[n:], x[at+overlap:])
}

func crossfade(dst, from, to []int16) int {
	for i := range overlap {
		f, t := int32(from[i]), int32(to[i])
		dst[i] = int16((f*int32(overlap-i) + t*int32(i)) / overlap)
	}
	return overlap
}
