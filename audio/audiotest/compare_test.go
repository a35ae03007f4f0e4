package audiotest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"deskset/audio/codec"
	"deskset/audio/pcm"
	"deskset/audio/resample"
)

// through sends sound through a codec, losing some packets in a hundred.
func through(t testing.TB, c codec.Codec, in []int16, loss int) []int16 {
	t.Helper()
	if c == codec.Opus && codec.OpusVersion() == "" {
		t.Skip(codec.ErrNoOpus)
	}
	e, err := c.NewEncoder(0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	pkt, dst := make([]byte, codec.MaxPayload), make([]int16, codec.MaxSamples)
	out := make([]int16, 0, len(in))
	for at := 0; at+pcm.Frame <= len(in); at += pcm.Frame {
		n, err := e.Encode(pkt, in[at:at+pcm.Frame])
		if err != nil {
			t.Fatal(err)
		}
		if r.IntN(100) < loss {
			err = d.Conceal(dst[:pcm.Frame])
		} else {
			_, err = d.Decode(dst, pkt[:n])
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, dst[:pcm.Frame]...)
	}
	return out
}

const length = 5 * time.Second

// speakers are four of them, real if there are any and synthetic.
var speakers = sync.OnceValue(func() (out [2][4][]int16) {
	for i := range 4 {
		out[0][i], out[1][i] = Synthetic(i, length), Speech(i, length)
	}
	return out
})

func silence(d time.Duration) []int16 { return make([]int16, samples(d)) }

func gained(s []int16, db float64) []int16 {
	s = slices.Clone(s)
	pcm.Gain(s, pcm.FromDB(db))
	return s
}

func mixed(s, other []int16, db float64, delay time.Duration) []int16 {
	s = slices.Clone(s)
	o := gained(other, db)
	pcm.Mix(s[samples(delay):], o[:len(o)-samples(delay)])
	return s
}

func delayed(s []int16, d time.Duration) []int16 {
	return slices.Concat(silence(d), s)[:len(s)]
}

// without takes out the sound, or the time too, of a stretch.
func gap(s []int16, from, d time.Duration) []int16 {
	s = slices.Clone(s)
	clear(s[samples(from):samples(from+d)])
	return s
}

func spliced(s []int16, from, d time.Duration) []int16 {
	return slices.Concat(s[:samples(from)], s[samples(from+d):], silence(d))
}

func band(t testing.TB, s []int16, rate int) []int16 {
	low, err := resample.Whole(s, pcm.Rate, rate)
	if err != nil {
		t.Fatal(err)
	}
	out, err := resample.Whole(low, rate, pcm.Rate)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The table of what CompareLegs lets pass, and what it must not; why is a word
// of the reason, empty where it must pass.
func TestCompareLegs(t *testing.T) {
	type legs struct{ a, c []int16 }
	_, recorded := Recorded(0, length)
	// Where there is recorded speech, the synthetic goes through these only.
	essential := []string{
		"as it was", "Opus", "swapped", "agent twice", "customer twice", "customer silent", "end of agent cut",
		"a silent second", "another recording", "leak of -38 dB", "out of step",
	}
	const second = time.Second
	for i, s := range speakers() {
		kind := []string{"synthetic", "recorded"}[i]
		if !recorded && i == 1 {
			t.Log("no recorded speech installed (Debian: asterisk-core-sounds-en-wav)")
			continue
		}
		said := legs{s[0], s[1]}
		opus := legs{through(t, codec.Opus, s[0], 0), through(t, codec.Opus, s[1], 0)}
		pcmu := legs{through(t, codec.PCMU, s[0], 0), through(t, codec.PCMU, s[1], 0)}
		for _, tc := range []struct {
			name string
			got  legs
			why  string
		}{
			{"as it was", said, ""},
			{"Opus", opus, ""},
			{"PCMU", pcmu, ""},
			{"PCMU, then Opus, losing 3 %", legs{
				through(t, codec.Opus, through(t, codec.PCMU, s[0], 0), 3), through(t, codec.Opus, through(t, codec.PCMU, s[1], 3), 3)}, ""},
			{"quieter and louder", legs{gained(opus.a, -14), gained(opus.c, 5)}, ""},
			{"telephone band", legs{band(t, s[0], 8000), band(t, s[1], 8000)}, ""},
			{"60 ms late", legs{delayed(opus.a, 60*time.Millisecond), delayed(opus.c, 60*time.Millisecond)}, ""},
			{"leak of -48 dB", legs{through(t, codec.Opus, mixed(s[0], s[1], -48, 80*time.Millisecond), 0), opus.c}, ""},

			{"swapped", legs{opus.c, opus.a}, "agent: only"},
			{"agent twice", legs{opus.a, opus.a}, "customer: only"},
			{"customer twice", legs{opus.c, opus.c}, "agent: only"},
			{"both in both", legs{mixed(s[0], s[1], 0, 0), mixed(s[0], s[1], 0, 0)}, "agent: the other speaker is heard at"},
			{"agent silent", legs{silence(length), opus.c}, "agent: silent"},
			{"customer silent", legs{opus.a, silence(length)}, "customer: silent"},
			{"both silent", legs{silence(length), silence(length)}, "customer: silent"},
			{"nothing", legs{nil, nil}, "agent: silent"},
			{"end of agent cut", legs{opus.a[:samples(length-second)], opus.c}, "agent: lasts -1000 ms"},
			{"end of customer silent", legs{opus.a, gap(opus.c, length-second, second)}, "customer: "},
			{"start of agent cut", legs{opus.a[samples(second):], opus.c}, "agent: lasts -1000 ms"},
			{"a silent second", legs{opus.a, gap(opus.c, 3*second, second)}, "customer: "},
			{"a second left out", legs{spliced(opus.a, 3*second, second), opus.c}, "agent: "},
			{"a second twice", legs{opus.a, slices.Concat(opus.c[:samples(4*second)], opus.c[samples(3*second):samples(length-second)])}, "customer: "},
			{"a second of another", legs{opus.a, slices.Concat(opus.c[:samples(3*second)], s[3][samples(3*second):samples(4*second)], opus.c[samples(4*second):])}, "customer: "},
			{"another recording", legs{s[2], opus.c}, "agent: only"},
			{"300 ms late", legs{opus.a, delayed(opus.c, 300*time.Millisecond)}, "customer: +3"},
			{"out of step", legs{delayed(s[0], 80*time.Millisecond), opus.c[samples(80*time.Millisecond):]}, "out of step"},
			{"leak of -38 dB", legs{through(t, codec.Opus, mixed(s[0], s[1], -38, 80*time.Millisecond), 0), opus.c}, "agent: the other speaker is heard at"},
			{"echo of -20 dB", legs{opus.a, through(t, codec.Opus, mixed(s[1], s[0], -20, 250*time.Millisecond), 0)}, "customer: the other speaker is heard at"},
			{"half of all packets lost", legs{through(t, codec.Opus, s[0], 50), opus.c}, "agent: "},
			{"slower by 3 %", legs{slow(t, s[0]), opus.c}, "agent: "},
		} {
			if i == 0 && recorded && !slices.Contains(essential, tc.name) {
				continue
			}
			t.Run(kind+"/"+tc.name, func(t *testing.T) {
				t.Parallel()
				r := CompareLegs(said.a, said.c, tc.got.a, tc.got.c)
				all := strings.Join(r.Why, "; ")
				t.Logf("%s | %+v | %+v", all, figures(r.Agent), figures(r.Customer))
				switch {
				case tc.why == "" && !r.OK:
					t.Errorf("failed: %s", all)
				case tc.why != "" && r.OK:
					t.Error("passed")
				case !strings.Contains(all, tc.why):
					t.Errorf("failed, but for %q", all)
				}
				if r.OK != (len(r.Why) == 0) {
					t.Error("OK and Why disagree")
				}
			})
		}
	}
}

func figures(r Report) Report {
	r.want, r.got, r.Why = nil, nil, nil
	return r
}

func slow(t testing.TB, s []int16) []int16 {
	out, err := resample.Whole(s, 33000, 34000)
	if err != nil {
		t.Fatal(err)
	}
	return out[:len(s)]
}

func TestAnywhere(t *testing.T) {
	want := Synthetic(0, 6*time.Second)
	got := slices.Concat(silence(3*time.Second), through(t, codec.Opus, want, 0), Synthetic(2, time.Second))
	if r := Compare(want, got, Options{}); r.OK {
		t.Error("passed though it begins 3 s late")
	}
	if r := Compare(want, got, Options{Anywhere: true}); !r.OK || r.OffsetMs < 3000 || r.OffsetMs > 3010 {
		t.Errorf("%s", r)
	}
	if r := Compare(want, got[:samples(8*time.Second)], Options{Anywhere: true}); r.OK {
		t.Error("passed though its last second is not there")
	}
	if r := Compare(silence(6*time.Second), got, Options{}); r.OK {
		t.Error("silence compared")
	}
}
