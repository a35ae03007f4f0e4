package panel

import (
	"testing"
	"time"
)

const ms = time.Millisecond

var blinks = []Blink{Steady, Slow, Hz1, Hz2, Short, Double}
var colours = []Colour{Off, On, White, Green, Blue, Red, RedAmber, Amber, Yellow, Purple, Cyan}

// One row a rhythm: when it is lit within a cycle, in milliseconds.
func TestRhythms(t *testing.T) {
	for blink, spans := range map[Blink][][2]int{
		Steady:   {{0, 2000}},
		Slow:     {{0, 1000}},
		Hz1:      {{0, 500}, {1000, 1500}},
		Hz2:      {{0, 250}, {500, 750}, {1000, 1250}, {1500, 1750}},
		Short:    {{0, 100}, {500, 600}, {1000, 1100}, {1500, 1600}},
		Double:   {{0, 250}, {500, 750}},
		"no one": {{0, 2000}},
	} {
		for at := range 6000 {
			want := false
			for _, s := range spans {
				want = want || at%2000 >= s[0] && at%2000 < s[1]
			}
			colour, on := Lit(Light{Green, blink}, time.Duration(at)*ms)
			if on != want || on != (colour == Green) || !on && colour != Off {
				t.Fatalf("%s at %d ms: %s, %v; want lit %v", blink, at, colour, on, want)
			}
		}
	}
}

func TestRedAmberAlternates(t *testing.T) {
	for _, c := range []struct {
		blink Blink
		at    time.Duration
		want  Colour
	}{
		{Hz1, 0, Red}, {Hz1, 499 * ms, Red}, {Hz1, 500 * ms, Amber}, {Hz1, 1000 * ms, Red},
		{Hz2, 249 * ms, Red}, {Hz2, 250 * ms, Amber}, {Hz2, 500 * ms, Red},
		{Steady, 0, Red}, {Steady, 500 * ms, Amber},
	} {
		if got, on := Lit(Light{RedAmber, c.blink}, c.at); got != c.want || !on {
			t.Errorf("red-amber %s at %v: %s, %v; want %s", c.blink, c.at, got, on, c.want)
		}
	}
}

func TestDarkAndEarly(t *testing.T) {
	for _, blink := range blinks {
		for _, c := range []Colour{Off, ""} {
			if got, on := Lit(Light{c, blink}, 0); on || got != Off {
				t.Errorf("%q %s: %s, %v", c, blink, got, on)
			}
			if n := Next(Light{c, blink}, 0); n != 0 {
				t.Errorf("%q %s changes after %v", c, blink, n)
			}
		}
		if _, on := Lit(Light{On, blink}, -time.Hour); !on {
			t.Errorf("%s before its start is dark", blink)
		}
	}
}

// Nothing on a panel flashes faster than twice a second, and Next never lies.
func TestNoFasterThanTwoHertz(t *testing.T) {
	for _, c := range colours {
		for _, b := range blinks {
			l := Light{c, b}
			var last time.Duration = -time.Hour
			prev, _ := Lit(l, Cycle-ms)
			for at := time.Duration(0); at < 5*Cycle; {
				now, _ := Lit(l, at)
				if now != Off && now != prev && now != Amber {
					if at-last < 500*ms {
						t.Fatalf("%v: flashes at %v and %v", l, last, at)
					}
					last = at
				}
				n := Next(l, at)
				if n == 0 {
					break
				}
				if before, _ := Lit(l, at+n-1); before != now {
					t.Fatalf("%v: Next says %v at %v, but it changed before", l, n, at)
				}
				prev, at = now, at+n
			}
		}
	}
}

func TestViewsLampsAndKeys(t *testing.T) {
	seen := map[Key]bool{}
	for _, k := range append(append([]Key{}, Keys...), Inputs...) {
		if seen[k] {
			t.Errorf("%s is there twice", k)
		}
		seen[k] = true
	}
	if len(Keys) != 9 || len(Inputs) != 2 || len(Lamps) != 8 {
		t.Errorf("%d keys, %d inputs, %d lamps", len(Keys), len(Inputs), len(Lamps))
	}
	if n := testing.AllocsPerRun(100, func() { Lit(Light{Red, Double}, 700*ms) }); n > 0 {
		t.Logf("Lit allocates %v times", n)
	}
}
