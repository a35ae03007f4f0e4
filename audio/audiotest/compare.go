package audiotest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"deskset/audio/pcm"
)

// Options are the bounds of a comparison; zero members take the defaults.
type Options struct {
	MaxOffset time.Duration // of the whole, either way; default 100 ms
	MaxLength time.Duration // difference of duration; default 100 ms
	MaxGap    time.Duration // of speech with no sound in its place; default 200 ms
	MaxLeak   float64       // dB of the other speaker against the own; default -40
	MaxLSD    float64       // log-spectral distance in dB; default 4
	MinMatch  float64       // share of speech that must be found where it belongs; default 0.9
	// Anywhere lets got begin earlier and end later than want: only that want
	// is wholly in it, evenly, is judged.
	Anywhere bool
}

func (o Options) defaults() Options {
	if o.MaxOffset == 0 {
		o.MaxOffset = 100 * time.Millisecond
	}
	if o.MaxLength == 0 {
		o.MaxLength = 100 * time.Millisecond
	}
	if o.MaxGap == 0 {
		o.MaxGap = 200 * time.Millisecond
	}
	if o.MaxLeak == 0 {
		o.MaxLeak = -40
	}
	if o.MaxLSD == 0 {
		o.MaxLSD = 4
	}
	if o.MinMatch == 0 {
		o.MinMatch = 0.9
	}
	return o
}

// Report is what was found. OK is true exactly when Why is empty.
type Report struct {
	OK        bool     `json:"ok"`
	Why       []string `json:"why,omitempty"`
	OffsetMs  float64  `json:"offset_ms"`  // got is this much later than want
	LengthMs  float64  `json:"length_ms"`  // got lasts this much longer than want
	StretchMs float64  `json:"stretch_ms"` // last speech is this much further from the first
	SpeechMs  float64  `json:"speech_ms"`  // how much there was to compare
	Match     float64  `json:"match"`      // share of speech found where it belongs, 0..1
	Likeness  float64  `json:"likeness"`   // median normalised correlation of it, 0..1
	GapMs     float64  `json:"gap_ms"`     // longest speech with no sound in its place
	ExtraMs   float64  `json:"extra_ms"`   // longest sound where nothing was said
	LevelDB   float64  `json:"level_db"`   // gain on the way
	LSD       float64  `json:"lsd_db"`     // log-spectral distance
	LeakDB    float64  `json:"leak_db"`    // other speaker against the own; floorDB where not judged

	lag  int
	want []float64
	got  []float64
}

const (
	floorDB    = -99.0
	alikeBlock = 0.6                    // other speech, or other words, hardly come to 0.4
	minSpeech  = 2 * time.Second        // less cannot be judged
	maxExtra   = 400 * time.Millisecond // an echo's tail or concealment is shorter
	silentRMS  = 30.0                   // of 32768: -61 dBFS
)

func (r *Report) fail(format string, args ...any) {
	r.Why = append(r.Why, fmt.Sprintf(format, args...))
}

func (r *Report) done() Report {
	r.OK = len(r.Why) == 0
	return *r
}

// Compare judges whether got is the speech want, both 48 kHz mono, after any
// telephone codec, a change of level, and a few lost packets; in the same time,
// whole, and nothing else.
func Compare(want, got []int16, opt Options) Report {
	o := opt.defaults()
	r := compare(want, got, o)
	return r.done()
}

func ms(lag int) float64 { return math.Round(float64(lag)*1e4/rate) / 10 }

func bound(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func round(v float64) float64 { return math.Round(v*100) / 100 }

func compare(want48, got48 []int16, o Options) *Report {
	r := &Report{LeakDB: floorDB, LSD: -floorDB, want: narrow(want48), got: narrow(got48)}
	want, got := r.want, r.got
	r.LengthMs = math.Round(float64(len(got48)-len(want48))*1e4/pcm.Rate) / 10
	active := activity(want, frame)
	spoken := 0
	for _, a := range active {
		if a {
			spoken++
		}
	}
	r.SpeechMs = float64(spoken * 20)
	if r.SpeechMs < bound(minSpeech) {
		r.fail("only %.0f ms of speech to compare with", r.SpeechMs)
		return r
	}
	if activeRMS(got, activity(got, frame), frame) < silentRMS {
		r.fail("silent")
		return r
	}
	if !o.Anywhere && math.Abs(r.LengthMs) > bound(o.MaxLength) {
		r.fail("lasts %+.0f ms", r.LengthMs)
	}

	r.lag = overall(want, got)
	r.judgeBlocks(blocks(want, got, active, r.lag), o)
	r.judgeGaps(active, o)
	r.LSD = round(min(spectralDistance(want, got, active, r.lag), -floorDB))
	if r.LSD > o.MaxLSD {
		r.fail("log-spectral distance %.1f dB", r.LSD)
	}
	return r
}

// judgeBlocks looks at where each stretch of speech was found.
func (r *Report) judgeBlocks(all []block, o Options) {
	var found []block
	var lags, alikes []float64
	lostFrom, lost := -1, stretch{}
	for _, b := range all {
		alikes = append(alikes, b.alike)
		if b.alike >= alikeBlock {
			found = append(found, b)
			lags = append(lags, float64(b.lag))
			lostFrom = -1
			continue
		}
		if lostFrom < 0 {
			lostFrom = b.at
		}
		if to := b.at + blockLen; to-lostFrom > lost.to-lost.from {
			lost = stretch{lostFrom, to}
		}
	}
	if len(all) == 0 {
		r.fail("no speech long enough to compare with")
		return
	}
	r.Match = round(float64(len(found)) / float64(len(all)))
	r.Likeness = round(median(alikes))
	if len(found) > 0 {
		r.lag = int(median(lags))
		third := max(1, min(3, len(lags)))
		r.StretchMs = ms(int(median(lags[len(lags)-third:]) - median(lags[:third])))
	}
	r.OffsetMs = ms(r.lag)
	if r.Match < o.MinMatch {
		r.fail("only %.0f %% of the speech is there", 100*r.Match)
	} else if lost.length() >= time.Second {
		r.fail("other speech for %.0f ms at %.1f s", ms(lost.to-lost.from), float64(lost.from)/rate)
	}
	if r.Match < 0.3 {
		return // where chance found it says nothing
	}
	if !o.Anywhere && math.Abs(r.OffsetMs) > bound(o.MaxOffset) {
		r.fail("%+.0f ms late", r.OffsetMs)
	}
	if math.Abs(r.StretchMs) > bound(o.MaxLength) {
		r.fail("stretched by %+.0f ms", r.StretchMs)
	}
}

// judgeGaps looks frame by frame at what is missing and what is too much.
func (r *Report) judgeGaps(active []bool, o Options) {
	n := len(active)
	level := activeRMS(r.want, active, frame)
	var gains []float64
	g := make([]float64, n)
	w := make([]float64, n)
	for i := range n {
		w[i] = rms(r.want[i*frame : (i+1)*frame])
		g[i] = rms(at(r.got, i*frame+r.lag, frame))
		if active[i] && w[i] > level/2 {
			gains = append(gains, g[i]/w[i])
		}
	}
	gain := median(gains)
	r.LevelDB = round(db(gain))
	if gain == 0 {
		gain = activeRMS(r.got, activity(r.got, frame), frame) / level
	}
	// What is 25 dB too weak is not there, if it was not weak anyway.
	gap := longest(n, func(i int) bool { return active[i] && w[i] > level/10 },
		func(i int) bool { return g[i] < w[i]*gain*pcm.FromDB(-25) })
	r.GapMs = ms(gap.to - gap.from)
	if r.GapMs > bound(o.MaxGap) {
		r.fail("no sound for %.0f ms of speech at %.1f s", r.GapMs, float64(gap.from)/rate)
	}
	quiet := make([]bool, n) // nothing said for 100 ms around
	for i := range n {
		quiet[i] = true
		for k := max(0, i-5); k <= min(n-1, i+5); k++ {
			quiet[i] = quiet[i] && !active[k]
		}
	}
	all := func(int) bool { return true }
	extra := longest(n, all, func(i int) bool { return quiet[i] && g[i] > level*gain*pcm.FromDB(-25) })
	r.ExtraMs = ms(extra.to - extra.from)
	if r.ExtraMs > bound(maxExtra) {
		r.fail("sound for %.0f ms at %.1f s where nothing was said", r.ExtraMs, float64(extra.from)/rate)
	}
}

// String is the figures in one line, or what is wrong.
func (r Report) String() string {
	if !r.OK {
		return strings.Join(r.Why, "; ")
	}
	return fmt.Sprintf("%.0f %% found, likeness %.2f, offset %+.0f ms, length %+.0f ms, log-spectral distance %.1f dB, level %+.1f dB, other speaker %.0f dB",
		100*r.Match, r.Likeness, r.OffsetMs, r.LengthMs, r.LSD, r.LevelDB, r.LeakDB)
}
