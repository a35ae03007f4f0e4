package audiotest

import (
	"math"
	"time"

	"deskset/audio/pcm"
)

// A code is sound that tells its own place: every 100 ms another pair of
// tones, 256 pairs, so that after any telephone codec it can be seen which
// tenths of a second were lost, doubled or out of order.
const (
	// CodeSlot is how long each pair sounds.
	CodeSlot = 100 * time.Millisecond
	codeSlot = pcm.Rate / 10
	codes    = 256
)

func codeTones(slot int) (lo, hi float64) {
	slot %= codes
	return 400 + 50*float64(slot%16), 1500 + 100*float64(slot/16)
}

// Code is coded sound of length d, 48 kHz mono. It repeats after 25.6 s.
func Code(d time.Duration) []int16 {
	out := make([]int16, samples(d))
	for i := range out {
		lo, hi := codeTones(i / codeSlot)
		t := float64(i) / pcm.Rate
		k := i % codeSlot
		// 5 ms ramps: no clicks, which would spread over all the tones.
		fade := min(1, float64(min(k, codeSlot-1-k))/(pcm.Rate/200))
		out[i] = int16(fade * (6000*math.Sin(2*math.Pi*lo*t) + 6000*math.Sin(2*math.Pi*hi*t)))
	}
	return out
}

// Heard is one slot of a Code as it was heard.
type Heard struct {
	Slot int           // 0..255; -1: no code, for at least half a slot
	At   time.Duration // of its start, to about 20 ms
	For  time.Duration
}

// ReadCode reads a Code back. An undisturbed one gives each slot once, in
// order, for about CodeSlot.
func ReadCode(s []int16) []Heard {
	const hop, win = pcm.Rate / 100, pcm.Rate * 3 / 100 // 10 ms, 30 ms
	const step = time.Second / 100
	var out []Heard
	for at := 0; at+win <= len(s); at += hop {
		slot := codeAt(s[at : at+win])
		start := time.Duration(at+win/2-hop/2) * time.Second / pcm.Rate
		if n := len(out); n > 0 && out[n-1].Slot == slot {
			out[n-1].For += step
			continue
		}
		out = append(out, Heard{slot, start, step})
	}
	return tidy(out)
}

// tidy drops what is too short to be a slot: the passage from one to the next.
func tidy(in []Heard) []Heard {
	var out []Heard
	for _, h := range in {
		if h.Slot < 0 && h.For < CodeSlot/2 || h.Slot >= 0 && h.For < 3*CodeSlot/10 {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Slot == h.Slot && h.At-out[n-1].At-out[n-1].For < CodeSlot/2 {
			out[n-1].For = h.At + h.For - out[n-1].At
			continue
		}
		out = append(out, h)
	}
	return out
}

// codeAt is the slot that sounds in s, -1 if none clearly does.
func codeAt(s []int16) int {
	total := 0.0
	for _, v := range s {
		total += float64(v) * float64(v)
	}
	if total/float64(len(s)) < 100*100 {
		return -1
	}
	var lo, hi [16]float64
	bestLo, bestHi := 0, 0
	for i := range 16 {
		lo[i] = goertzel(s, 400+50*float64(i))
		hi[i] = goertzel(s, 1500+100*float64(i))
		if lo[i] > lo[bestLo] {
			bestLo = i
		}
		if hi[i] > hi[bestHi] {
			bestHi = i
		}
	}
	// Both tones together hold most of the energy.
	if part := 2 * (lo[bestLo] + hi[bestHi]) / (total * float64(len(s))); part < 0.3 {
		return -1
	}
	return bestHi*16 + bestLo
}

// goertzel is the energy of s at a frequency.
//
//go:norace
func goertzel(s []int16, hz float64) float64 {
	c := 2 * math.Cos(2*math.Pi*hz/pcm.Rate)
	var a, b float64
	for _, v := range s {
		a, b = float64(v)+c*a-b, a
	}
	return a*a + b*b - c*a*b
}
