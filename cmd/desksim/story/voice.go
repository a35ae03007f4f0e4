package story

import (
	"math"
	"time"

	"deskset/audio/pcm"
)

// voice is somebody's own tone, so that in whatever is heard, through any
// codec, it can be told who speaks. Frequencies are apart from each other's
// harmonics and from ring, hold and DTMF tones.
type voice float64

const (
	agentVoice     voice = 2950
	customerVoice  voice = 1850
	colleagueVoice voice = 2350
	spareVoice     voice = 3250 // a microphone that must never be used
)

// voiceAmp is the amplitude of a voice, of 32768.
const voiceAmp = 8000

// sing is d of the voice.
func (v voice) sing(d time.Duration) []int16 {
	out := make([]int16, int(d.Seconds()*pcm.Rate))
	for i := range out {
		out[i] = int16(voiceAmp * math.Sin(2*math.Pi*float64(v)*float64(i)/pcm.Rate))
	}
	return out
}

// levels of the voice in s, in dB against what was sung, one a window.
func (v voice) levels(s []int16, window time.Duration) []float64 {
	n := int(window.Seconds() * pcm.Rate)
	var out []float64
	for at := 0; at+n <= len(s); at += n {
		out = append(out, v.level(s[at:at+n]))
	}
	return out
}

// level of the voice in s, Hann window.
func (v voice) level(s []int16) float64 {
	w := 2 * math.Pi * float64(v) / pcm.Rate
	var re, im float64
	for i, x := range s {
		h := float64(x) * (1 - math.Cos(2*math.Pi*float64(i)/float64(len(s))))
		re += h * math.Cos(w*float64(i))
		im += h * math.Sin(w*float64(i))
	}
	amp := 2 * math.Hypot(re, im) / float64(len(s))
	return pcm.ToDB(max(amp, 1e-3) / voiceAmp)
}

const (
	heardFrom = -20.0 // dB: the voice is there
	heardNot  = -40.0 // dB: it is not
	hop       = 20 * time.Millisecond
	longLook  = time.Second // narrow enough to see below music
)

// first is where in s the voice begins and lasts for 60 ms; negative: nowhere.
func (v voice) first(s []int16) time.Duration {
	run := 0
	for i, l := range v.levels(s, hop) {
		if l < heardFrom {
			run = 0
			continue
		}
		if run++; run == 3 {
			return time.Duration(i-2) * hop
		}
	}
	return -1
}

// loudest is the voice's highest level in s.
func (v voice) loudest(s []int16) float64 {
	most := -99.0
	for _, l := range v.levels(s, longLook) {
		most = max(most, l)
	}
	return most
}

// pause is the longest time within s in which the voice is not there.
func (v voice) pause(s []int16) time.Duration {
	var longest, run time.Duration
	for _, l := range v.levels(s, hop) {
		if l < heardFrom {
			run += hop
		} else {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}
