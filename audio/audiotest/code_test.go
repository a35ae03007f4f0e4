package audiotest

import (
	"slices"
	"testing"
	"time"

	"deskset/audio/codec"
)

func TestCode(t *testing.T) {
	in := Code(27 * time.Second) // more than once round
	few := in[:samples(6*time.Second)]
	for name, got := range map[string][]int16{
		"as it was": in,
		"Opus":      through(t, codec.Opus, few, 0),
		"PCMU":      through(t, codec.PCMU, few, 0),
	} {
		heard := ReadCode(got)
		if want := len(got) / codeSlot; len(heard) != want {
			t.Errorf("%s: %d slots of %d", name, len(heard), want)
			continue
		}
		for i, h := range heard {
			late := h.At - time.Duration(i)*CodeSlot
			if h.Slot != i%256 || late < -25*time.Millisecond || late > 40*time.Millisecond {
				t.Errorf("%s: slot %d is %+v", name, i, h)
			}
		}
	}
}

func TestCodeShowsGaps(t *testing.T) {
	in := Code(3 * time.Second)
	slots := func(s []int16) (out []int) {
		for _, h := range ReadCode(through(t, codec.Opus, s, 0)) {
			out = append(out, h.Slot)
		}
		return out
	}
	at := func(ms int) int { return samples(time.Duration(ms) * time.Millisecond) }
	if got := slots(slices.Concat(in[:at(500)], in[at(800):at(1200)])); !slices.Equal(got, []int{0, 1, 2, 3, 4, 8, 9, 10, 11}) {
		t.Errorf("left out: %v", got)
	}
	if got := slots(slices.Concat(in[:at(500)], in[at(300):at(800)])); !slices.Equal(got, []int{0, 1, 2, 3, 4, 3, 4, 5, 6, 7}) {
		t.Errorf("repeated: %v", got)
	}
	if got := slots(gap(in[:at(1000)], 300*time.Millisecond, 200*time.Millisecond)); !slices.Equal(got, []int{0, 1, 2, -1, 5, 6, 7, 8, 9}) {
		t.Errorf("silent: %v", got)
	}
	heard := 0
	for _, h := range ReadCode(Synthetic(0, 3*time.Second)) {
		if h.Slot >= 0 && h.For > CodeSlot/2 {
			heard++
		}
	}
	if heard > 1 {
		t.Errorf("%d slots heard in speech", heard)
	}
}
