package jitter

import (
	"math/rand/v2"
	"testing"
	"time"

	"deskset/audio/codec"
)

// Each network, with bounds for what may be concealed and how much delay the
// buffer may add: half the time, and at worst.
func TestNetworks(t *testing.T) {
	for _, tc := range []struct {
		network
		conceal  float64 // share of ticks
		p50, max time.Duration
	}{
		{network{name: "clean", delay: steady(30 * ms)}, 0, 30 * ms, 60 * ms},
		{network{name: "clean PCMU", delay: steady(30 * ms), codec: codec.PCMU}, 0, 30 * ms, 60 * ms},
		{network{name: "5 % loss", delay: steady(30 * ms), loss: .05}, .03, 50 * ms, 80 * ms},
		{network{name: "10 % loss", delay: steady(30 * ms), loss: .10}, .06, 50 * ms, 100 * ms},
		{network{name: "5 % loss in fours", delay: steady(30 * ms), loss: .05, burst: 4}, .05, 50 * ms, 130 * ms},
		{network{name: "jitter 10 ms", delay: tail(30*ms, 10*ms)}, .02, 60 * ms, 90 * ms},
		{network{name: "jitter 10 ms, in order", delay: tail(30*ms, 10*ms), fifo: true}, .015, 70 * ms, 100 * ms},
		{network{name: "jitter 10 ms, PCMU", delay: tail(30*ms, 10*ms), codec: codec.PCMU}, .02, 60 * ms, 90 * ms},
		{network{name: "jitter 10 ms, 5 % loss", delay: tail(30*ms, 10*ms), loss: .05}, .04, 80 * ms, 110 * ms},
		{network{name: "jitter 30 ms, in order", delay: tail(30*ms, 30*ms), fifo: true}, .03, 180 * ms, 290 * ms},
		{network{name: "+200 ppm", delay: steady(30 * ms), ppm: 200, seconds: 120}, .0005, 40 * ms, 60 * ms},
		{network{name: "-200 ppm", delay: steady(30 * ms), ppm: -200, seconds: 120}, .0005, 40 * ms, 60 * ms},
		{network{name: "way gets 80 ms longer", delay: func(at time.Duration, r *rand.Rand) time.Duration {
			d := 30*ms + time.Duration(r.IntN(5))*ms
			if at > 10*time.Second {
				d += 80 * ms
			}
			return d
		}}, .01, 110 * ms, 130 * ms},
		{network{name: "way gets 80 ms shorter", seconds: 30, delay: func(at time.Duration, r *rand.Rand) time.Duration {
			d := 110*ms + time.Duration(r.IntN(5))*ms
			if at > 10*time.Second {
				d -= 80 * ms
			}
			return d
		}}, 0, 130 * ms, 150 * ms},
		{network{name: "200 ms stalls", seconds: 30, fifo: true, delay: func(at time.Duration, _ *rand.Rand) time.Duration {
			// Every 5 s the path stands still, then all comes at once.
			return 30*ms + max(0, 200*ms-at%(5*time.Second))
		}}, .02, 180 * ms, 250 * ms},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := run(t, tc.network)
			t.Logf("concealed %.1f %% (fixed 40 ms: %.1f %%, 100 ms: %.1f %%), FEC %d of %d, late %d; delay %v, %v, %v; shortened %v, lengthened %v",
				100*o.concealed(), 100*o.fixed(40*ms), 100*o.fixed(100*ms), o.FEC, o.rescued, o.Late,
				o.percentile(.5), o.percentile(.95), o.percentile(1), o.Shortened, o.Lengthened)
			if o.concealed() > tc.conceal {
				t.Errorf("concealed %.2f %%", 100*o.concealed())
			}
			if d := o.percentile(.5); d > tc.p50 {
				t.Errorf("delay %v half the time", d)
			}
			if d := o.percentile(1); d > tc.max {
				t.Errorf("delay %v at worst", d)
			}
			// At the end some are still on their way.
			lost := o.sent - len(o.needs)
			if n := len(o.needs) - int(o.Received); n < 0 || n > 10 || max(lost-int(o.Lost), int(o.Lost)-lost) > 6 {
				t.Errorf("%d received and %d lost, of %d sent and %d arrived", o.Received, o.Lost, o.sent, len(o.needs))
			}
			if o.Discarded != 0 || o.Duplicates != 0 || o.Jumps != 0 {
				t.Errorf("%+v", o.Stats)
			}
		})
	}
}

// Ours must be worth it: less delay than a fixed buffer that conceals as
// little, less concealment than one of the same delay.
func TestBetterThanFixed(t *testing.T) {
	o := run(t, network{delay: func(at time.Duration, r *rand.Rand) time.Duration {
		mean := 2 * ms // a network with good and bad times
		if at%(50*time.Second) > 40*time.Second {
			mean = 20 * ms
		}
		return 30*ms + time.Duration(r.ExpFloat64()*float64(mean))
	}, fifo: true, seconds: 150})
	var sum time.Duration
	for _, d := range o.delay {
		sum += d
	}
	mean := sum / time.Duration(len(o.delay))
	same := o.fixed(mean)
	t.Logf("concealed %.2f %%, mean delay %v; fixed at that delay %.2f %%, at 100 ms %.2f %%", 100*o.concealed(), mean, 100*same, 100*o.fixed(100*ms))
	if o.concealed() > same/2 {
		t.Errorf("concealed %.2f %%; a fixed buffer %.2f %%", 100*o.concealed(), 100*same)
	}
	depth := 5 * ms
	for o.fixed(depth) > o.concealed() {
		depth += 5 * ms
	}
	if mean > depth*3/4 {
		t.Errorf("mean delay %v; a fixed buffer conceals as little at %v", mean, depth)
	}
}

func TestFECIsUsed(t *testing.T) {
	o := run(t, network{delay: steady(30 * ms), loss: .1, seconds: 60})
	if o.rescued < 100 || int(o.FEC) < o.rescued*8/10 {
		t.Errorf("%d of %d packets rebuilt", o.FEC, o.rescued)
	}
}

// RFC 3550 section 6.4.1: for delays that alternate by D, the estimate goes to D.
func TestJitterFigure(t *testing.T) {
	n := 0
	o := run(t, network{delay: func(time.Duration, *rand.Rand) time.Duration {
		n++
		return 30*ms + time.Duration(n%2)*8*ms
	}})
	if o.JitterMs < 7.5 || o.JitterMs > 8.5 {
		t.Errorf("jitter %.2f ms", o.JitterMs)
	}
	if o.BufferMs < 5 || o.BufferMs > 60 {
		t.Errorf("buffer %.1f ms", o.BufferMs)
	}
}
