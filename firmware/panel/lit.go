package panel

import "time"

// half is half a period of the fastest rhythm, 2 Hz.
const half = 250 * time.Millisecond

// Cycle is a time in which every rhythm comes round a whole number of times.
const Cycle = 2 * time.Second

// flash is the lit part of Short.
const flash = 100 * time.Millisecond

// Lit tells whether a lamp is lit, and in what colour, at a time after its
// Light was given. Every rhythm begins lit, so a key answers the finger at
// once, and repeats within Cycle, so lamps that share a start stay in phase.
// RedAmber is never dark: red where another lamp is lit, amber where it is
// not. A negative time counts as 0; a light of an unknown rhythm is steady.
func Lit(l Light, elapsed time.Duration) (Colour, bool) {
	on, _ := phase(l, elapsed)
	switch {
	case l.Colour == Off || l.Colour == "":
		return Off, false
	case l.Colour == RedAmber && on:
		return Red, true
	case l.Colour == RedAmber:
		return Amber, true
	case on:
		return l.Colour, true
	}
	return Off, false
}

// Next is how long the lamp stays as Lit says at that time: the driver sleeps
// so long. 0 means it never changes by itself.
func Next(l Light, elapsed time.Duration) time.Duration {
	if l.Colour == Off || l.Colour == "" {
		return 0
	}
	_, left := phase(l, elapsed)
	return left
}

// phase gives the lit part of a rhythm and how long it lasts from here.
func phase(l Light, elapsed time.Duration) (on bool, left time.Duration) {
	spans := rhythm(l)
	if len(spans) == 0 {
		return true, 0
	}
	t := max(elapsed, 0) % Cycle
	for i := 0; ; i = (i + 1) % len(spans) {
		if t < spans[i] {
			return i%2 == 0, spans[i] - t
		}
		t -= spans[i]
	}
}

// rhythm is lit, dark, lit, dark ... and divides Cycle. Nothing is steady.
func rhythm(l Light) []time.Duration {
	switch l.Blink {
	case Slow:
		return []time.Duration{4 * half, 4 * half}
	case Hz1:
		return []time.Duration{2 * half, 2 * half}
	case Hz2:
		return []time.Duration{half, half}
	case Short:
		return []time.Duration{flash, 2*half - flash}
	case Double: // starts half a second apart: 2 Hz while it lasts
		return []time.Duration{half, half, half, 5 * half}
	}
	if l.Colour == RedAmber { // alternates by name
		return []time.Duration{2 * half, 2 * half}
	}
	return nil
}
