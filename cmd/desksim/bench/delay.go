package bench

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"deskset/audio/codec"
	"deskset/audio/pcm"
)

// sound is a stretch of sound with the time of its first sample.
type sound struct {
	pcm   []int16 // 48 kHz mono
	start time.Time
	// later is by how much each second of it came later than start says: a
	// sender whose clock stood still once is late from then on.
	later []time.Duration
}

// at is how much later than start says sample i was there.
func (s sound) at(i int) time.Duration {
	if k := i / pcm.Rate; k >= 0 && k < len(s.later) {
		return s.later[k]
	}
	return 0
}

// earliest takes into began that sample i came at a moment: the best of each
// second stands.
func earliest(began []time.Time, i int, came time.Time) []time.Time {
	k := i / pcm.Rate
	for len(began) <= k {
		began = append(began, time.Time{})
	}
	t := came.Add(-time.Duration(i) * time.Second / pcm.Rate)
	if began[k].IsZero() || t.Before(began[k]) {
		began[k] = t
	}
	return began
}

// place gives s its time.
func (s *sound) place(began []time.Time) {
	for _, b := range began {
		if s.start.IsZero() || !b.IsZero() && b.Before(s.start) {
			s.start = b
		}
	}
	for _, b := range began {
		s.later = append(s.later, max(b.Sub(s.start), 0))
	}
}

// onWire decodes the Opus of RTP packets and gives it the time of a listener who
// plays each packet from the moment it passes, without a buffer: as early as
// any packet of the same second allows.
func onWire(packets []seen) (sound, error) {
	dec, err := codec.NewOpusDecoder()
	if err != nil || len(packets) == 0 {
		return sound{}, err
	}
	var s sound
	buf := make([]int16, codec.MaxSamples)
	var began []time.Time // by the best packet of each second
	first := binary.BigEndian.Uint32(packets[0].b[4:])
	ssrc := binary.BigEndian.Uint32(packets[0].b[8:])
	for _, p := range packets {
		if binary.BigEndian.Uint32(p.b[8:]) != ssrc {
			continue
		}
		at := int(int32(binary.BigEndian.Uint32(p.b[4:]) - first))
		payload := p.b[12+4*int(p.b[0]&15):]
		if at < len(s.pcm) || len(payload) == 0 {
			continue // late or double
		}
		n, err := dec.Decode(buf, payload)
		if err != nil {
			continue
		}
		s.pcm = append(s.pcm, make([]int16, at-len(s.pcm))...)
		s.pcm = append(s.pcm, buf[:n]...)
		began = earliest(began, at, p.at)
	}
	s.place(began)
	return s, nil
}

const (
	delayRate = 8000                   // of the comparison: 1/8 ms
	look      = 400 * time.Millisecond // of speech that is looked for at a time
	mostDelay = 500 * time.Millisecond
	alike     = 0.6 // normalised correlation from which on it is the same speech
)

// delays finds how much later than in said each stretch of speech is in heard, in
// ms. Stretches that are not found are left out.
func delays(said, heard sound, from, to time.Time) (ms []float64) {
	a, b := slow(said.pcm), slow(heard.pcm)
	n, span := int(look.Seconds()*delayRate), int(mostDelay.Seconds()*delayRate)
	ahead := int(math.Round(said.start.Sub(heard.start).Seconds() * delayRate))
	frac := said.start.Sub(heard.start).Seconds()*delayRate - float64(ahead)
	begin := max(0, int(from.Sub(said.start).Seconds()*delayRate))
	end := min(len(a), int(to.Sub(said.start).Seconds()*delayRate))
	for at := begin; at+n <= end; at += n {
		lo := at + ahead
		if lo < 0 || lo+span+n > len(b) {
			continue
		}
		if lag, c := match(a[at:at+n], b[lo:lo+span+n]); c >= alike {
			const step = pcm.Rate / delayRate
			moved := heard.at((lo+lag)*step) - said.at(at*step)
			ms = append(ms, (float64(lag)-frac)*1000/delayRate+moved.Seconds()*1000)
		}
	}
	return ms
}

// match finds x in y.
func match(x, y []float64) (lag int, corr float64) {
	ex := 0.0
	for _, v := range x {
		ex += v * v
	}
	if ex/float64(len(x)) < 100*100 { // a pause
		return 0, 0
	}
	ey := 0.0
	for _, v := range y[:len(x)] {
		ey += v * v
	}
	for d := 0; d+len(x) <= len(y); d++ {
		dot := 0.0
		for i, v := range x {
			dot += v * y[d+i]
		}
		if c := dot / math.Sqrt(ex*ey+1); c > corr {
			lag, corr = d, c
		}
		if d+len(x) < len(y) {
			ey += y[d+len(x)]*y[d+len(x)] - y[d]*y[d]
		}
	}
	return lag, corr
}

// slow is s at delayRate, by the mean of each six samples.
func slow(s []int16) []float64 {
	const step = pcm.Rate / delayRate
	out := make([]float64, len(s)/step)
	for i := range out {
		for _, v := range s[i*step : (i+1)*step] {
			out[i] += float64(v) / step
		}
	}
	return out
}

// spread tells median, the best and the worst of figures.
func spread(x []float64) (mid, least, most float64) {
	if len(x) == 0 {
		return 0, 0, 0
	}
	return median(x), slices.Min(x), slices.Max(x)
}
