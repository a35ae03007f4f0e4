// Package tone makes the sounds a seat tells its agent things by. They are mixed
// into the ear only and never reach the customer's leg or a recording.
//
// Each tone is a cadence of notes, raised-cosine at both ends so that none of
// them clicks. Ring-back and busy are China's (GB/T 3380; listed in ITU-T E.180
// supplement 2, "Various tones used in national networks"): 450 Hz; ring-back
// 1 s on, 4 s off; busy 0.35 s on, 0.35 s off. The others are ours: low and short for a hint, high and repeated
// for what must be acted upon, so that they are told apart without training.
package tone

import (
	"math"

	"deskset/audio/pcm"
)

// Kind names a tone.
type Kind int

const (
	None      Kind = iota // silence, done at once
	Ring                  // a call is offered; until stopped
	HoldCue               // the customer has been on hold for 15 s: tell him (R22)
	HoldAlarm             // 30 s: take him back (R22)
	MuteCue               // still muted after 10 s, or unmuted again (R23)
	RecFailed             // the recording has failed; until stopped
	RecPause              // the recording is paused or goes on
	RingBack              // the far end rings; until stopped
	Busy                  // the far end is busy or gone; until stopped
	Confirm               // a key was taken
	kinds
)

func (k Kind) String() string {
	names := [...]string{"none", "ring", "hold-cue", "hold-alarm", "mute-cue", "rec-failed", "rec-pause", "ring-back", "busy", "confirm"}
	if k < 0 || int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}

// note is one sound of a cadence and the silence after it.
type note struct {
	hz1, hz2 float64 // the second 0: a pure tone
	on, off  int     // ms
	level    float64 // peak, dBFS
}

// score is a cadence, played once or for ever.
type score struct {
	notes []note
	loop  bool
}

var scores = [kinds]score{
	None:      {},
	Ring:      {[]note{{660, 880, 400, 200, -15}, {660, 880, 400, 2000, -15}}, true},
	HoldCue:   {[]note{{620, 0, 120, 80, -20}, {620, 0, 120, 0, -20}}, false},
	HoldAlarm: {[]note{{1150, 0, 150, 70, -15}, {920, 0, 150, 70, -15}, {1150, 0, 150, 70, -15}, {920, 0, 150, 0, -15}}, false},
	MuteCue:   {[]note{{480, 0, 90, 60, -22}, {380, 0, 120, 0, -22}}, false},
	RecFailed: {[]note{{1400, 0, 100, 80, -14}, {1400, 0, 100, 80, -14}, {1400, 0, 300, 2340, -14}}, true},
	RecPause:  {[]note{{700, 0, 100, 50, -20}, {500, 0, 100, 0, -20}}, false},
	RingBack:  {[]note{{450, 0, 1000, 4000, -20}}, true},
	Busy:      {[]note{{450, 0, 350, 350, -20}}, true},
	Confirm:   {[]note{{1000, 0, 60, 0, -22}}, false},
}

// envelope is the length of the rise and of the fall: 8 ms.
const envelope = pcm.Rate * 8 / 1000

var rise = func() (t [envelope]float32) {
	for i := range t {
		t[i] = float32(0.5 - 0.5*math.Cos(math.Pi*(float64(i)+0.5)/envelope))
	}
	return t
}()

// Tone is one tone being played. It belongs to one goroutine.
type Tone struct {
	s        score
	i        int // note
	at       int // samples into it
	o1, o2   oscillator
	stopping int // samples of the final fall still to come; 0 is not stopping
	gain     float32
	done     bool
}

// New starts a tone; an unknown kind is silence.
func New(k Kind) *Tone {
	if k < 0 || k >= kinds {
		k = None
	}
	t := &Tone{s: scores[k], done: len(scores[k].notes) == 0}
	t.begin()
	return t
}

// Stop ends the tone within 8 ms of sound instead of a click; Mix must be called
// once more for it.
func (t *Tone) Stop() {
	if !t.done && t.stopping == 0 {
		t.stopping = envelope
	}
}

// Mix adds the next samples of the tone onto frame, clamped, and returns true
// when the tone is over. It does not allocate.
func (t *Tone) Mix(frame []int16) (done bool) {
	for i := range frame {
		if t.done {
			return true
		}
		if v := t.next(); v != 0 {
			frame[i] = pcm.Clamp32(float32(frame[i]) + v)
		}
	}
	return t.done
}

func (t *Tone) begin() {
	if t.done {
		return
	}
	n := t.s.notes[t.i]
	amp := pcm.FromDB(n.level) * math.MaxInt16
	t.o1, t.o2 = newOscillator(n.hz1), oscillator{}
	if n.hz2 != 0 {
		amp /= 2
		t.o2 = newOscillator(n.hz2)
	}
	t.gain = float32(amp)
}

func (t *Tone) next() float32 {
	n := t.s.notes[t.i]
	on, all := n.on*pcm.Rate/1000, (n.on+n.off)*pcm.Rate/1000
	var v float32
	if t.at < on {
		v = t.gain * (t.o1.next() + t.o2.next())
		if t.at < envelope {
			v *= rise[t.at]
		}
		if left := on - 1 - t.at; left < envelope {
			v *= rise[left]
		}
	}
	if t.stopping > 0 {
		t.stopping--
		v *= rise[t.stopping]
		t.done = t.stopping == 0
	}
	if t.at++; t.at >= all {
		t.at = 0
		if t.i++; t.i == len(t.s.notes) {
			t.i = 0
			t.done = t.done || !t.s.loop
		}
		t.begin()
	}
	return v
}

// oscillator makes a sine by the recurrence s[n] = 2 cos(w) s[n-1] - s[n-2]:
// one multiplication a sample, exact enough over a note of seconds.
type oscillator struct{ c, s1, s2 float64 }

func newOscillator(hz float64) oscillator {
	w := 2 * math.Pi * hz / pcm.Rate
	return oscillator{c: 2 * math.Cos(w), s1: -math.Sin(w), s2: -math.Sin(2 * w)}
}

func (o *oscillator) next() float32 {
	s := o.c*o.s1 - o.s2
	o.s2, o.s1 = o.s1, s
	return float32(s)
}
