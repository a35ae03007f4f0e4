package audiotest

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestCorrelation(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range [][3]int{{5, 9, 3}, {100, 100, 100}, {64, 10, 70}, {1, 1, 0}, {3, 50, 60}} {
		a, b := make([]float64, n[0]), make([]float64, n[1])
		for i := range a {
			a[i] = r.NormFloat64()
		}
		for i := range b {
			b[i] = r.NormFloat64()
		}
		reach := n[2]
		for i, got := range correlation(a, b, reach) {
			want := 0.0
			for k, v := range a {
				if j := k + i - reach; j >= 0 && j < len(b) {
					want += v * b[j]
				}
			}
			if math.Abs(got-want) > 1e-9 {
				t.Fatalf("%v, lag %d: %g, want %g", n, i-reach, got, want)
			}
		}
	}
}
