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
// itself at position at: the place where a splice is heard least. Of
// places as good (a voice repeats at each multiple of its pitch) the nearest is
// taken, which corrects gently, or the farthest if there is much to correct. In
// near silence any place will do.
func lag(x []int16, at, most int, far bool) int {
	most = min(most, maxLag, len(x)-at-overlap)
	if most <= minLag {
		return max(most, 0)
	}
	const step = 2                                           // every second sample tells enough below 12 kHz
	if energy(x[at:at+overlap], step) < overlap/step*30*30 { // below about -60 dBFS
		return most
	}
	var scores [(maxLag-minLag)/step + 1]float64
	n := (most-minLag)/step + 1
	best := math.Inf(-1)
	for k := range n {
		d := minLag + k*step
		var dot float64
		for i := at; i < at+overlap; i += step {
			dot += float64(x[i]) * float64(x[i+d])
		}
		scores[k] = dot / math.Sqrt(energy(x[at+d:at+d+overlap], step)+1)
		best = max(best, scores[k])
	}
	// The first peak, from the wanted end, that is about as good as the best.
	good := best - 0.03*math.Abs(best)
	k, dir := 0, 1
	if far {
		k, dir = n-1, -1
	}
	for ; k+dir >= 0 && k+dir < n; k += dir {
		if scores[k] >= good && scores[k] >= scores[k+dir] {
			break
		}
	}
	return minLag + k*step
}

func energy(x []int16, step int) (sum float64) {
	for i := 0; i < len(x); i += step {
		v := float64(x[i])
		sum += v * v
	}
	return sum
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
