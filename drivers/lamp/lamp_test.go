package lamp

import (
	"errors"
	"strings"
	"testing"

	"periph.io/x/conn/v3/gpio"
)

// wire is an output that can only be written, as the type demands.
type wire struct {
	level gpio.Level
	err   error
}

func (w *wire) Out(l gpio.Level) error { w.level = l; return w.err }

func TestColours(t *testing.T) {
	r, g, b, dnd := &wire{}, &wire{}, &wire{}, &wire{}
	p, err := New([]Wire{
		{Line{Lamp: "beacon", Part: "red"}, r}, {Line{Lamp: "beacon", Part: "green"}, g}, {Line{Lamp: "beacon", Part: "blue"}, b},
		{Line{Lamp: "dnd", ActiveLow: true}, dnd},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.level || !dnd.level {
		t.Error("lamps are not dark at the start")
	}
	for colour, want := range map[string]string{"red": "r", "green": "g", "blue": "b", "purple": "rb", "white": "rgb", "cyan": "gb", "off": "", "amber": "rg"} {
		if err := p.Set("beacon", colour); err != nil {
			t.Fatal(err)
		}
		got := ""
		for i, w := range []*wire{r, g, b} {
			if w.level {
				got += string("rgb"[i])
			}
		}
		if got != want {
			t.Errorf("%s lights %q, want %q", colour, got, want)
		}
	}
	if err := p.Set("dnd", "on"); err != nil || dnd.level {
		t.Error("an active-low lamp is lit by low", err)
	}
	if err := p.Set("nowhere", "on"); err != nil {
		t.Error("a lamp that the board lacks is no error:", err)
	}
	if err := p.Set("beacon", "mauve"); err == nil {
		t.Error("an unknown colour is lit")
	}
	dnd.err = errors.New("unplugged")
	if err := p.Set("dnd", "off"); err == nil || !strings.Contains(err.Error(), "dnd") {
		t.Error("a failing line is not reported:", err)
	}
}
