package codec

import (
	"errors"
	"math"
	"testing"
)

func sine(n int, hz float64, amp float64, from int) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(amp * math.Sin(2*math.Pi*hz*float64(i+from)/Rate))
	}
	return s
}

func energy(s []int16) float64 {
	e := 0.0
	for _, v := range s {
		e += float64(v) * float64(v)
	}
	return e
}

// codecs are those that this build has.
func codecs() []Codec {
	if OpusVersion() == "" {
		return []Codec{PCMU, PCMA}
	}
	return []Codec{Opus, PCMU, PCMA}
}

func opusPair(t testing.TB) (*OpusEncoder, *OpusDecoder) {
	t.Helper()
	if OpusVersion() == "" {
		t.Skip(ErrNoOpus)
	}
	e, err := NewOpusEncoder(0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	return e, d
}

// A tone must come out at the same level, after the codec's delay.
func TestRoundTrip(t *testing.T) {
	for _, c := range codecs() {
		t.Run(c.Name(), func(t *testing.T) {
			e, err := c.NewEncoder(0)
			if err != nil {
				t.Fatal(err)
			}
			d, err := c.NewDecoder()
			if err != nil {
				t.Fatal(err)
			}
			pkt := make([]byte, MaxPayload)
			pcm := make([]int16, MaxSamples)
			var in, out float64
			for i := range 50 {
				frame := sine(Frame, 440, 8000, i*Frame)
				n, err := e.Encode(pkt, frame)
				if err != nil {
					t.Fatal(err)
				}
				if s, err := c.Samples(pkt[:n]); err != nil || s != Frame {
					t.Fatalf("Samples = %d, %v", s, err)
				}
				m, err := d.Decode(pcm, pkt[:n])
				if err != nil || m != Frame {
					t.Fatalf("Decode = %d, %v", m, err)
				}
				if i >= 10 {
					in += energy(frame)
					out += energy(pcm[:m])
				}
			}
			if db := 10 * math.Log10(out/in); math.Abs(db) > 1 {
				t.Errorf("level changed by %.2f dB", db)
			}
		})
	}
}

func TestOpusFECBeatsPLC(t *testing.T) {
	e, _ := opusPair(t)
	var pkts [][]byte
	pkt := make([]byte, MaxPayload)
	for i := range 40 {
		// A glide, so that a guess is worse than the redundancy.
		n, err := e.Encode(pkt, sine(Frame, 200+30*float64(i), 8000, i*Frame))
		if err != nil {
			t.Fatal(err)
		}
		pkts = append(pkts, append([]byte(nil), pkt[:n]...))
	}
	if !HasFEC(pkts[30]) {
		t.Fatal("no FEC in the stream")
	}
	run := func(lose int, fec bool) []int16 {
		_, d := opusPair(t)
		var all []int16
		pcm := make([]int16, Frame)
		for i, p := range pkts {
			var err error
			switch {
			case i != lose:
				_, err = d.Decode(pcm, p)
			case fec:
				err = d.FEC(pcm, pkts[i+1])
			default:
				err = d.Conceal(pcm)
			}
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, pcm...)
		}
		return all
	}
	ref, plc, fec := run(-1, false), run(20, false), run(20, true)
	diff := func(a []int16) (e float64) {
		for i := 20 * Frame; i < 22*Frame; i++ {
			x := float64(a[i]) - float64(ref[i])
			e += x * x
		}
		return e
	}
	if diff(fec) > diff(plc)/2 {
		t.Errorf("FEC error %.3g, PLC error %.3g", diff(fec), diff(plc))
	}
}

func TestNoAllocs(t *testing.T) {
	for _, c := range codecs() {
		e, err := c.NewEncoder(0)
		if err != nil {
			t.Fatal(err)
		}
		d, err := c.NewDecoder()
		if err != nil {
			t.Fatal(err)
		}
		frame, pkt, pcm := sine(Frame, 440, 8000, 0), make([]byte, MaxPayload), make([]int16, MaxSamples)
		if a := testing.AllocsPerRun(100, func() {
			n, _ := e.Encode(pkt, frame)
			d.Decode(pcm, pkt[:n])
			d.Conceal(pcm[:Frame])
			d.FEC(pcm[:Frame], pkt[:n])
		}); a != 0 {
			t.Errorf("%s: %v allocations a frame", c, a)
		}
	}
}

func TestWrongLengths(t *testing.T) {
	for _, c := range codecs() {
		e, _ := c.NewEncoder(0)
		d, _ := c.NewDecoder()
		pkt, pcm := make([]byte, MaxPayload), make([]int16, MaxSamples)
		if _, err := e.Encode(pkt, pcm[:Frame-1]); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: odd frame: %v", c, err)
		}
		if _, err := e.Encode(nil, pcm[:Frame]); !errors.Is(err, ErrShort) {
			t.Errorf("%s: no room: %v", c, err)
		}
		n, err := e.Encode(pkt, pcm[:Frame])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Decode(pcm[:Frame-1], pkt[:n]); !errors.Is(err, ErrShort) {
			t.Errorf("%s: short buffer: %v", c, err)
		}
		if _, err := d.Decode(pcm, nil); !errors.Is(err, ErrPacket) {
			t.Errorf("%s: empty packet: %v", c, err)
		}
		for _, n := range []int{0, 100, MaxSamples + quantum} {
			if err := d.Conceal(make([]int16, n)); !errors.Is(err, ErrFrame) {
				t.Errorf("%s: conceal %d: %v", c, n, err)
			}
		}
		if err := d.Reset(); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
}

func TestCodecFacts(t *testing.T) {
	for _, c := range codecs() {
		if got, ok := ByName(c.Name(), c.ClockRate()); !ok || got != c {
			t.Errorf("ByName(%s) = %v, %v", c, got, ok)
		}
		if c.FrameTicks()*50 != c.ClockRate() {
			t.Errorf("%s: %d ticks", c, c.FrameTicks())
		}
	}
	if _, ok := ByName("opus", 8000); ok {
		t.Error("opus/8000 found")
	}
	if _, err := None.NewEncoder(0); err == nil {
		t.Error("an encoder of none")
	}
	if _, err := Codec(99).NewDecoder(); err == nil {
		t.Error("a decoder of none")
	}
	if pt, ok := PCMA.StaticPT(); pt != 8 || !ok {
		t.Error("PCMA is 8")
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, c := range []Codec{Opus, PCMU} {
		b.Run(c.Name(), func(b *testing.B) {
			e, _ := c.NewEncoder(0)
			frame, pkt := sine(Frame, 440, 8000, 0), make([]byte, MaxPayload)
			b.ReportAllocs()
			for b.Loop() {
				e.Encode(pkt, frame)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []Codec{Opus, PCMU} {
		b.Run(c.Name(), func(b *testing.B) {
			e, _ := c.NewEncoder(0)
			d, _ := c.NewDecoder()
			pkt, pcm := make([]byte, MaxPayload), make([]int16, MaxSamples)
			n, _ := e.Encode(pkt, sine(Frame, 440, 8000, 0))
			b.ReportAllocs()
			for b.Loop() {
				d.Decode(pcm, pkt[:n])
			}
		})
	}
}
