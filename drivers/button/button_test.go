package button

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"deskset/drivers/button/buttontest"

	"periph.io/x/conn/v3/gpio"
)

type told struct {
	name    string
	pressed bool
}

func watch(t *testing.T, activeLow bool, f func(p *buttontest.Pin, next func() told)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := buttontest.New(gpio.Level(activeLow))
		got := make(chan told, 64)
		done := make(chan error, 1)
		go func() {
			done <- Run(ctx, []Key{{Line{Name: "dnd", ActiveLow: activeLow, Pull: gpio.PullUp}, p}}, func(n string, d bool) { got <- told{n, d} })
		}()
		f(p, func() told { return <-got })
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if p.Misuse != 0 {
			t.Errorf("%d waits with a timeout that the hardware gets wrong", p.Misuse)
		}
		if p.Pull != gpio.PullUp {
			t.Errorf("bias %v", p.Pull)
		}
		select {
		case x := <-got:
			t.Errorf("told once too often: %+v", x)
		default:
		}
	})
}

func TestEdges(t *testing.T) {
	for _, low := range []bool{false, true} {
		watch(t, low, func(p *buttontest.Pin, next func() told) {
			synctest.Wait()
			began := time.Now()
			p.Set(gpio.Level(!low))
			if x := next(); x != (told{"dnd", true}) || time.Since(began) != 0 {
				t.Errorf("active low %v: %+v after %v", low, x, time.Since(began))
			}
			p.Set(gpio.Level(low))
			if x := next(); x != (told{"dnd", false}) {
				t.Errorf("active low %v: %+v", low, x)
			}
		})
	}
}

func TestALostEdgeIsFoundByReading(t *testing.T) {
	watch(t, false, func(p *buttontest.Pin, next func() told) {
		synctest.Wait()
		began := time.Now()
		p.Lose(gpio.High)
		if x := next(); !x.pressed || time.Since(began) > poll {
			t.Errorf("%+v after %v", x, time.Since(began))
		}
	})
}

func TestAKeyHeldAtStartIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan told, 1)
		done := make(chan error, 1)
		go func() {
			done <- Run(ctx, []Key{{Line{Name: "help"}, buttontest.New(gpio.High)}}, func(n string, d bool) { got <- told{n, d} })
		}()
		if x := <-got; x != (told{"help", true}) {
			t.Errorf("%+v", x)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAMissingChipSaysWhatThereIs(t *testing.T) {
	_, err := Open([]Line{{Name: "dnd", Chip: "no-such-chip", Offset: 3}})
	if err == nil {
		t.Fatal("found a chip that is not there")
	}
}
