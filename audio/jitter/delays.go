package jitter

import (
	"slices"
	"time"
)

const (
	longWindow  = 500 // packets: 10 s of 20 ms
	shortWindow = 50  // 1 s: so that a worse network is seen at once
	quantile    = 0.95
	margin      = 5 * time.Millisecond
	fallRate    = 20 * time.Millisecond // a second
	lossMemory  = 5 * time.Second
)

// delays learns the network: it keeps how much later than its time stamp each
// packet came, and sets the delay at which to play.
type delays struct {
	cfg         Config
	long, short window
	target      time.Duration // in terms of arrival minus time stamp
	last        time.Duration // arrival of the packet before
	deeper      time.Duration // arrival until which one more packet is held, for FEC
	frame       time.Duration // one packet
}

func newDelays(cfg Config) delays {
	return delays{cfg: cfg, long: newWindow(longWindow), short: newWindow(shortWindow)}
}

// base is the delay of the fastest packet of late.
func (d *delays) base() time.Duration { return d.long.min() }

// usual is what a packet's delay may be expected to be.
func (d *delays) usual() time.Duration { return d.short.quantile(0.5) }

// wantFEC is told when in-band FEC can help: packets are being lost, and the
// stream carries it. It needs the packet after the lost one in hand.
func (d *delays) wantFEC(arrival, frame time.Duration) {
	d.deeper, d.frame = arrival+lossMemory, frame
}

// add takes the delay of a packet.
func (d *delays) add(delay, arrival time.Duration) {
	first := d.long.n == 0
	d.long.add(delay)
	d.short.add(delay)
	base := d.base()
	if first {
		d.target, d.last = base+d.cfg.Start, arrival
		return
	}
	need := max(d.long.quantile(quantile), d.short.quantile(quantile)) + margin
	need = max(need, base+d.cfg.Min)
	if arrival < d.deeper {
		need += d.frame
	}
	need = min(need, base+d.cfg.Max)
	fall := time.Duration(float64(fallRate) * max(0, arrival-d.last).Seconds())
	d.target = max(need, min(d.target-fall, base+d.cfg.Max))
	d.last = arrival
}

// window is the last values, and the same in order.
type window struct {
	n, at  int
	values []time.Duration
	sorted []time.Duration
}

func newWindow(n int) window {
	return window{values: make([]time.Duration, n), sorted: make([]time.Duration, 0, n)}
}

func (w *window) add(v time.Duration) {
	if w.n == len(w.values) {
		i, _ := slices.BinarySearch(w.sorted, w.values[w.at])
		w.sorted = slices.Delete(w.sorted, i, i+1)
	} else {
		w.n++
	}
	i, _ := slices.BinarySearch(w.sorted, v)
	w.sorted = slices.Insert(w.sorted, i, v)
	w.values[w.at] = v
	if w.at++; w.at == len(w.values) {
		w.at = 0
	}
}

func (w *window) min() time.Duration { return w.quantile(0) }

// quantile of nothing is 0.
func (w *window) quantile(q float64) time.Duration {
	if w.n == 0 {
		return 0
	}
	return w.sorted[min(int(q*float64(w.n)), w.n-1)]
}
