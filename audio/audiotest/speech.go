// Package audiotest is for tests of sound: speech to send, and a strict
// comparison of what was sent with what came out at the far end of codecs,
// networks and recordings.
package audiotest

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"deskset/audio/pcm"
	"deskset/audio/resample"
)

// voices are where packages of Debian keep real speech:
// asterisk-core-sounds-en-wav, and alsa-utils.
var voices = []string{
	"/usr/share/asterisk/sounds/en_US_f_Allison",
	"/usr/share/asterisk/sounds/en",
	"/usr/share/sounds/alsa",
}

const (
	speechRMS = -23.0                  // dBFS, pauses left out
	pause     = 350 * time.Millisecond // between sentences

	// Bytes of a recording: shorter ones are single words or beeps.
	shortest, longestFile = 20_000, 1 << 20
)

// Speech is d of someone speaking, 48 kHz mono, the same for the same speaker
// every time: recorded speech where this machine has some, else Synthetic. No
// two speakers from 0 to 3 say the same.
func Speech(speaker int, d time.Duration) []int16 {
	if s, ok := Recorded(speaker, d); ok {
		return s
	}
	return Synthetic(speaker, d)
}

// Recorded is Speech from recorded sentences; ok is false when none are
// installed.
func Recorded(speaker int, d time.Duration) (s []int16, ok bool) {
	want := samples(d)
	for _, dir := range voices {
		s := sentences(dir, speaker, want)
		if len(s) >= want {
			return s[:want], true
		}
		if len(s) > pcm.Rate { // few, as in alsa-utils: again from the start
			out := make([]int16, 0, want+len(s))
			for len(out) < want {
				out = append(out, s...)
			}
			return out[:want], true
		}
	}
	return nil, false
}

func samples(d time.Duration) int { return int(d * pcm.Rate / time.Second) }

// sentences joins the recordings of a folder that fall to a speaker.
func sentences(dir string, speaker, want int) []int16 {
	names, _ := filepath.Glob(filepath.Join(dir, "*.wav"))
	slices.Sort(names)
	var out []int16
	n := 0
	for _, name := range names {
		if len(out) >= want {
			break
		}
		if strings.Contains(name, "Noise") {
			continue
		}
		if info, err := os.Stat(name); err != nil || info.Size() < shortest || info.Size() > longestFile {
			continue
		}
		if n++; n%4 != speaker&3 {
			continue
		}
		if s, ok := sentence(name); ok {
			out = append(out, s...)
			out = append(out, make([]int16, samples(pause))...)
		}
	}
	return out
}

// sentence is one recording of speech, levelled.
func sentence(name string) ([]int16, bool) {
	f, err := os.Open(name)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	w, err := pcm.ReadWAV(f)
	if err != nil {
		return nil, false
	}
	s, err := resample.Whole(w.Mono(), w.Rate, pcm.Rate)
	if err != nil {
		return nil, false
	}
	if pcm.RMS(s) < -60 {
		return nil, false
	}
	level(s)
	return s, true
}

// level brings speech to speechRMS.
func level(s []int16) {
	f := floats(s)
	if r := activeRMS(f, activity(f, pcm.Frame), pcm.Frame); r > 0 {
		pcm.Gain(s, pcm.FromDB(speechRMS)*math.MaxInt16/r)
	}
}

// Synthetic is d of what has the properties of speech that codecs and Compare
// rely on, without words: syllables of a wandering pitch through wandering
// formants, hisses, pauses. It needs nothing installed.
func Synthetic(speaker int, d time.Duration) []int16 {
	r := rand.New(rand.NewPCG(uint64(speaker), 1876))
	want := samples(d)
	out := make([]float64, 0, want+pcm.Rate)
	v := voice{r: r, pitch: 95 + 35*float64(speaker&3) + 10*r.Float64()}
	for len(out) < want {
		for range 4 + r.IntN(8) { // a phrase
			out = v.syllable(out)
		}
		out = append(out, make([]float64, samples(time.Duration(250+r.IntN(350))*time.Millisecond))...)
	}
	s := make([]int16, want)
	peak := 0.0
	for _, x := range out[:want] {
		peak = max(peak, math.Abs(x))
	}
	for i := range s {
		s[i] = pcm.Clamp32(float32(out[i] / peak * 28000))
	}
	level(s)
	return s
}

type voice struct {
	r     *rand.Rand
	pitch float64
	phase float64
	y     [3][2]float64
}

// syllable adds one: a hiss at times, then a vowel gliding between two.
func (v *voice) syllable(out []float64) []float64 {
	if v.r.IntN(3) == 0 {
		n := samples(time.Duration(40+v.r.IntN(60)) * time.Millisecond)
		y, last := 0.0, 0.0
		for i := range n {
			x := v.r.NormFloat64()
			y = x - 0.6*last
			last = x
			out = append(out, 0.02*y*math.Sin(math.Pi*float64(i)/float64(n)))
		}
	}
	n := samples(time.Duration(120+v.r.IntN(160)) * time.Millisecond)
	var from, to [3]float64
	for i, span := range [3][2]float64{{280, 520}, {800, 1400}, {2200, 900}} {
		from[i] = span[0] + span[1]*v.r.Float64()
		to[i] = span[0] + span[1]*v.r.Float64()
	}
	p0 := v.pitch * (0.85 + 0.4*v.r.Float64())
	p1 := v.pitch * (0.85 + 0.4*v.r.Float64())
	loud := 0.5 + v.r.Float64()
	for i := range n {
		t := float64(i) / float64(n)
		x := 0.003 * v.r.NormFloat64()
		if v.phase += (p0 + (p1-p0)*t) / pcm.Rate; v.phase >= 1 {
			v.phase--
			x += 1
		}
		sum := 0.0
		for k := range from {
			w := 2 * math.Pi * (from[k] + (to[k]-from[k])*t) / pcm.Rate
			rad := [3]float64{0.994, 0.991, 0.985}[k]
			y := (1-rad)*x + 2*rad*math.Cos(w)*v.y[k][0] - rad*rad*v.y[k][1]
			v.y[k][1], v.y[k][0] = v.y[k][0], y
			sum += y * [3]float64{1, 0.7, 0.5}[k]
		}
		out = append(out, loud*sum*math.Pow(math.Sin(math.Pi*t), 0.4))
	}
	return out
}
