package audiotest

import (
	"math"
	"time"
)

const (
	blockLen = 2 * rate / 5   // 400 ms
	blockHop = rate / 5       // 200 ms
	blockLag = 6 * rate / 100 // searched to each side: 60 ms
)

// block is a stretch of what was said, and where it was found.
type block struct {
	at    int     // in want
	lag   int     // got index less want index
	alike float64 // normalised correlation there, 0..1
}

// overall is the lag at which got as a whole is most like want, to a sample or
// two; it is looked for at half the rate.
func overall(want, got []float64) int {
	w, g := halved(want), halved(got)
	reach := max(len(w), len(g))
	best, lag := 0.0, 0
	for i, c := range correlation(w, g, reach) {
		if c > best {
			best, lag = c, 2*(i-reach)
		}
	}
	return lag
}

func halved(s []float64) []float64 {
	out := make([]float64, len(s)/2)
	for i := range out {
		out[i] = s[2*i] + s[2*i+1]
	}
	return out
}

// blocks looks for every stretch of speech on its own, near the overall lag.
func blocks(want, got []float64, active []bool, lag int) []block {
	var out []block
	for from := 0; from+blockLen <= len(want); from += blockHop {
		n := 0
		for _, a := range active[from/frame : min((from+blockLen)/frame, len(active))] {
			if a {
				n++
			}
		}
		if n < blockLen/frame/2 {
			continue
		}
		l, alike := near(want[from:from+blockLen], got, from+lag)
		out = append(out, block{at: from, lag: l + lag, alike: alike})
	}
	return out
}

// near finds w in got around from: the difference to from, and the likeness.
//
//go:norace
func near(w, got []float64, from int) (lag int, alike float64) {
	g := at(got, from-blockLag, len(w)+2*blockLag)
	e := 0.0
	for _, v := range g[:len(w)] {
		e += v * v
	}
	norm := rms(w) * math.Sqrt(float64(len(w)))
	for i, c := range correlation(w, g, 2*blockLag)[2*blockLag:] {
		if i > 0 {
			a, b := g[i-1], g[i-1+len(w)]
			e += b*b - a*a
		}
		if e < 1 || norm == 0 {
			continue
		}
		if c /= norm * math.Sqrt(e); c > alike {
			lag, alike = i-blockLag, c
		}
	}
	return lag, min(alike, 1)
}

// stretch is one without any speech found, or with speech where none was.
type stretch struct{ from, to int }

func (s stretch) length() time.Duration { return lagTime(s.to - s.from) }

// longest is the longest run of frames for which bad holds, where frames that
// do not count neither lengthen nor end a run.
func longest(n int, counts, bad func(i int) bool) (s stretch) {
	from, to := -1, 0
	for i := range n {
		if !counts(i) {
			continue
		}
		if !bad(i) {
			from = -1
			continue
		}
		if from < 0 {
			from = i
		}
		to = i + 1
		if (to-from)*frame > s.to-s.from {
			s = stretch{from * frame, to * frame}
		}
	}
	return s
}
