package jitter

import "math"

// Time-scaling by overlap and add (WSOLA): a stretch of sound is left out or
// repeated whose length is that at which the sound is most like itself, for
// voice a pitch period or a few, so that neither pitch nor timbre changes.

const (
	minLag   = 120 // samples: 2.5 ms, 400 Hz
	maxLag   = 720 // 15 ms, 67 Hz
	coarse   = 6   // the search runs at 8 kHz first
	quiet    = 100 // RMS below which anything may be cut
	alike    = 0.8 // least normalised correlation
	urgent   = 0.5 // ... when much is to be made up
	window10 = 480 // samples compared: 10 ms, where there are as many
)

// shorten takes one lag of at most most samples out of s in place and gives the
// new length: len(s) if nothing suitable was found.
func shorten(s []int16, most int, least float64) int {
	lag := findLag(s, most, least)
	if lag == 0 {
		return len(s)
	}
	for i := range lag { // s fades into s one lag later
		s[i] = cross(s[i], s[i+lag], i, lag)
	}
	return lag + copy(s[lag:], s[2*lag:])
}

// lengthen puts one lag in. s must have room for maxLag more in its capacity.
func lengthen(s []int16, least float64) []int16 {
	lag := findLag(s, maxLag, least)
	if lag == 0 {
		return s
	}
	n := len(s)
	s = s[:n+lag]
	copy(s[2*lag:], s[lag:n])
	// What follows the first lag fades into the first lag, which then leads on
	// to what had followed it.
	for i := range lag {
		s[lag+i] = cross(s[2*lag+i], s[i], i, lag)
	}
	return s
}

// cross is the i-th of n samples on the way from a to b.
func cross(a, b int16, i, n int) int16 {
	return int16((int(a)*(n-i) + int(b)*i) / n)
}

// findLag finds the lag, most at most, at which the beginning of s, which is at least twice
// as long, goes on most like itself; 0 if it does so less than least.
func findLag(s []int16, most int, least float64) int {
	top := min(most, maxLag, len(s)/2)
	if top < minLag {
		return 0
	}
	var low [2 * maxLag / coarse]float32
	n := 2 * top / coarse
	energy := 0.0
	for i := range n {
		sum := 0
		for _, v := range s[i*coarse : (i+1)*coarse] {
			sum += int(v)
			energy += float64(v) * float64(v)
		}
		low[i] = float32(sum)
	}
	if math.Sqrt(energy/float64(n*coarse)) < quiet {
		return top
	}
	span := min(window10, len(s)-top) / coarse * coarse
	w := span / coarse
	best, at := -1.0, 0
	for lag := minLag / coarse; lag <= top/coarse && lag+w <= n; lag++ {
		if c := alikeness(low[:w], low[lag:lag+w]); c > best {
			best, at = c, lag
		}
	}
	from, to := max(minLag, (at-1)*coarse), min(top, (at+1)*coarse)
	best, lag := -1.0, 0
	for l := from; l <= to; l++ {
		if c := alikenessPCM(s[:span], s[l:l+span]); c > best {
			best, lag = c, l
		}
	}
	if best < least {
		return 0
	}
	return lag
}

func alikeness(a, b []float32) float64 {
	var xy, xx, yy float32
	b = b[:len(a)]
	for i, x := range a {
		y := b[i]
		xy += x * y
		xx += x * x
		yy += y * y
	}
	if xx == 0 || yy == 0 {
		return 0
	}
	return float64(xy) / math.Sqrt(float64(xx)*float64(yy))
}

func alikenessPCM(a, b []int16) float64 {
	var xy, xx, yy int64
	b = b[:len(a)]
	for i, v := range a {
		x, y := int64(v), int64(b[i])
		xy += x * y
		xx += x * x
		yy += y * y
	}
	if xx == 0 || yy == 0 {
		return 0
	}
	return float64(xy) / math.Sqrt(float64(xx)*float64(yy))
}
