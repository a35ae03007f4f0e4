// Package limiter keeps what the ear gets below a fixed peak: the guard against
// acoustic shock before the headset.
//
// What it can promise and what not: it bounds the digital peak in dBFS. The
// limits people are protected by are sound pressures: ACIF G616 (acoustic
// safety of headsets: 102 dB SPL at the eardrum reference point), ITU-T P.360
// (118 dBA peak at the ear reference point), and the daily dose of directive
// 2003/10/EC (85 dB(A) over 8 h). Which dBFS reaches them is a property of the
// headset, its amplifier and its volume; without the measured sensitivity of
// the headset no software knows dB SPL. The ceiling is therefore a setting from
// the headset's calibration, and a headset with its own limiter still needs it.
package limiter

import (
	"math"

	"deskset/audio/pcm"
)

const (
	// Ahead is how far the limiter looks, in samples (2 ms); Delay is what it
	// costs.
	Ahead = pcm.Rate * 2 / 1000
	Delay = Ahead - 1
	// release is the time in which a reduction of gain falls to 1/e: 60 ms.
	release = 0.060
)

// Limiter is a look-ahead peak limiter for one mono stream: the gain comes down
// over the 2 ms before a peak so that the peak meets the ceiling, and creeps
// back after it. Sound below the ceiling passes unchanged, bit by bit, but for
// the delay. It belongs to one goroutine.
//
// For each sample the gain it needs is min(1, ceiling/|x|). The least of the
// last Ahead of them is followed at once downwards and slowly upwards, and the
// mean of that over Ahead samples is applied Delay samples later: each value in
// that mean has seen the sample it is applied to, so none is greater than the
// gain the sample needs.
type Limiter struct {
	ceiling float32 // amplitude
	most    int16   // the same in whole samples: the promise
	back    float32 // share of the way back to 1 taken a sample
	n       uint64

	line [Ahead]int16 // the delayed sound
	// Gains below 1 among the last Ahead samples, least first, oldest first.
	queue []want
	held  float32        // the least, released slowly
	box   [Ahead]float32 // the last held values
	below int            // how many of them are below 1
	sum   float64        // of all of them
}

type want struct {
	n    uint64
	gain float32
}

// New makes a limiter whose output never exceeds ceiling, in dBFS (0 and above:
// full scale).
func New(ceiling float64) *Limiter {
	l := &Limiter{
		ceiling: float32(min(pcm.FromDB(ceiling)*-math.MinInt16, math.MaxInt16)),
		back:    float32(1 - math.Exp(-1/(release*pcm.Rate))),
		queue:   make([]want, 0, 2*Ahead),
		held:    1,
		sum:     Ahead,
	}
	l.most = int16(l.ceiling)
	for i := range l.box {
		l.box[i] = 1
	}
	return l
}

// Process limits frame in place. The result lags by Delay samples; it does not
// allocate.
func (l *Limiter) Process(frame []int16) {
	for i, x := range frame {
		frame[i] = l.next(x)
	}
}

// Reducing tells whether the gain is below 1 now.
func (l *Limiter) Reducing() bool { return l.below > 0 }

func (l *Limiter) next(x int16) int16 {
	if a := float32(math.Abs(float64(x))); a > l.ceiling {
		l.want(l.ceiling / a)
	} else if l.held == 1 && l.below == 0 && len(l.queue) == 0 {
		return l.swap(x) // the box is full of ones and stays so
	}
	if len(l.queue) > 0 && l.n-l.queue[0].n >= Ahead {
		l.queue = l.queue[:copy(l.queue, l.queue[1:])]
	}
	if l.held < 1 {
		if l.held += l.back * (1 - l.held); l.held > 0.9999 {
			l.held = 1
		}
	}
	if len(l.queue) > 0 {
		l.held = min(l.held, l.queue[0].gain)
	}
	gain := l.mean()
	y := l.swap(x)
	if gain >= 1 {
		return y
	}
	v := int16(float64(y) * gain) // towards 0: rounding cannot pass the ceiling
	return min(max(v, -l.most), l.most)
}

// swap puts x into the delay line and returns the sample of Delay samples ago.
func (l *Limiter) swap(x int16) int16 {
	l.line[l.n%Ahead] = x
	l.n++
	return l.line[l.n%Ahead]
}

// want notes the gain that the newest sample needs; greater ones before it are
// of no more interest.
func (l *Limiter) want(gain float32) {
	k := len(l.queue)
	for k > 0 && l.queue[k-1].gain >= gain {
		k--
	}
	l.queue = append(l.queue[:k], want{l.n, gain})
}

// mean puts held into the box and returns the mean of the box.
func (l *Limiter) mean() float64 {
	old := &l.box[l.n%Ahead]
	if *old < 1 {
		l.below--
	}
	if l.held < 1 {
		l.below++
	}
	l.sum += float64(l.held) - float64(*old)
	*old = l.held
	if l.below == 0 {
		l.sum = Ahead // rounding does not gather
	}
	return l.sum / Ahead
}
