// Package meter follows the level of a sound for the bars on a panel: a peak
// that falls slowly enough to be read, and a mean level.
package meter

import (
	"math"
	"sync/atomic"

	"deskset/audio/pcm"
)

const (
	// Fall is how fast a peak sinks: 20 dB in 1.7 s, as peak programme meters
	// of IEC 60268-10 type I do.
	Fall = 20.0 / 1.7
	// mean is the share of the newest frame in the mean power: a time constant of
	// 300 ms.
	mean = 1 - 0.9355 // exp(-20/300)
)

// Meter takes frames of 20 ms from one goroutine and may be read by any.
type Meter struct {
	peak  float64 // writer's
	power float64 // writer's, of full scale

	shownPeak, shownRMS atomic.Uint64 // math.Float64bits
	clipped             atomic.Uint64
}

// New makes a meter at pcm.Floor.
func New() *Meter {
	m := &Meter{peak: pcm.Floor}
	m.show()
	return m
}

// Add measures one frame. It does not allocate.
func (m *Meter) Add(frame []int16) {
	m.peak = max(pcm.Peak(frame), m.peak-Fall*pcm.FrameMs/1000, pcm.Floor)
	rms := pcm.FromDB(pcm.RMS(frame))
	m.power += mean * (rms*rms - m.power)
	for _, v := range frame {
		if v == math.MaxInt16 || v == math.MinInt16 {
			m.clipped.Add(1)
			break
		}
	}
	m.show()
}

func (m *Meter) show() {
	m.shownPeak.Store(math.Float64bits(m.peak))
	m.shownRMS.Store(math.Float64bits(pcm.ToDB(math.Sqrt(m.power))))
}

// Peak returns the peak in dBFS, at least pcm.Floor.
func (m *Meter) Peak() float64 { return math.Float64frombits(m.shownPeak.Load()) }

// RMS returns the mean level over the last 0.3 s or so, in dBFS.
func (m *Meter) RMS() float64 { return math.Float64frombits(m.shownRMS.Load()) }

// Clipped counts frames that touched full scale.
func (m *Meter) Clipped() uint64 { return m.clipped.Load() }
