package story

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"deskset/audio/audiotest"
	"deskset/audio/codec"
	"deskset/audio/pcm"
)

var voices = []voice{agentVoice, customerVoice, colleagueVoice, spareVoice}

// through is s after a codec.
func through(t *testing.T, c codec.Codec, s []int16) []int16 {
	t.Helper()
	enc, err := c.NewEncoder(0)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := c.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	var out []int16
	pkt, frame := make([]byte, codec.MaxPayload), make([]int16, codec.MaxSamples)
	for at := 0; at+pcm.Frame <= len(s); at += pcm.Frame {
		n, err := enc.Encode(pkt, s[at:at+pcm.Frame])
		if err != nil {
			t.Fatal(err)
		}
		m, err := dec.Decode(frame, pkt[:n])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, frame[:m]...)
	}
	return out
}

// Every voice is heard through every codec and taken for no other one.
func TestVoicesAreToldApart(t *testing.T) {
	for _, c := range []codec.Codec{codec.Opus, codec.PCMU, codec.PCMA} {
		for _, v := range voices {
			got := through(t, c, v.sing(2*time.Second))
			if at := v.first(got); at < 0 || at > 60*time.Millisecond {
				t.Errorf("%s: the %s is heard at %v", c.Name(), v.name(), at)
			}
			for _, o := range voices {
				if l := o.loudest(got); o != v && (l > heardNot || o.first(got) >= 0) {
					t.Errorf("%s: the %s sounds like the %s at %.0f dB", c.Name(), v.name(), o.name(), l)
				}
			}
		}
	}
}

// A long look finds nobody's voice in speech, and one 30 dB down below it.
func TestVoiceBelowSpeech(t *testing.T) {
	speech := audiotest.Synthetic(1, 4*time.Second)
	for _, v := range voices {
		if l := v.loudest(speech); l > heardNot {
			t.Errorf("speech sounds like the %s at %.0f dB", v.name(), l)
		}
		faint := v.sing(4 * time.Second)
		pcm.Gain(faint, pcm.FromDB(-30))
		pcm.Mix(faint, speech)
		if l := v.loudest(faint); l < -33 {
			t.Errorf("the %s at -30 dB below speech is found at %.0f dB", v.name(), l)
		}
	}
}

func TestPause(t *testing.T) {
	s := agentVoice.sing(2 * time.Second)
	if p := agentVoice.pause(s); p != 0 {
		t.Errorf("pause of %v in none", p)
	}
	clear(s[pcm.Rate : pcm.Rate+pcm.Rate*3/10])
	if p := agentVoice.pause(s); p < 260*time.Millisecond || p > 320*time.Millisecond {
		t.Errorf("pause of %v, want 300 ms", p)
	}
}

func TestFirst(t *testing.T) {
	s := append(make([]int16, pcm.Rate/2), customerVoice.sing(time.Second)...)
	if at := customerVoice.first(s); at < 480*time.Millisecond || at > 520*time.Millisecond {
		t.Errorf("heard at %v, want 500 ms", at)
	}
	click := make([]int16, pcm.Rate)
	copy(click[1000:], customerVoice.sing(40*time.Millisecond))
	if at := customerVoice.first(click); at >= 0 {
		t.Errorf("a click is taken for a voice at %v", at)
	}
}

func TestSounding(t *testing.T) {
	s := make([]int16, pcm.Rate)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range s[:pcm.Rate/2] {
		s[i] = int16(r.NormFloat64() * 1000)
	}
	if share, rms := sounding(s); math.Abs(share-0.5) > 0.05 || math.Abs(rms+33.3) > 1 {
		t.Errorf("sound in %.2f of the time, %.1f dBFS", share, rms)
	}
	if share, _ := sounding(nil); share != 0 {
		t.Errorf("sound in nothing")
	}
}
