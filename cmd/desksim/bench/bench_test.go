package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"deskset/audio/audiotest"
	"deskset/audio/codec"
	"deskset/audio/pcm"
)

func TestRows(t *testing.T) {
	var r Report
	r.add("time", "ms", []float64{30, 10, 20}, "other", []float64{5, 15})
	r.add("alone", "MB", []float64{24.96}, "", nil)
	r.add("nothing", "MB", nil, "", nil)
	got, err := json.Marshal(r.Rows)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"time","ours":20,"peer":10,"peer_name":"other","unit":"ms","ratio":2},` +
		`{"name":"alone","ours":25,"peer":null,"peer_name":"","unit":"MB","ratio":null}]`
	if string(got) != want {
		t.Errorf("rows are\n%s, want\n%s", got, want)
	}
	if len(r.Notes) != 1 {
		t.Errorf("a row without figures is not told: %q", r.Notes)
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "time") {
		t.Errorf("printed %q: %v", out.String(), err)
	}
}

func TestRound(t *testing.T) {
	for in, want := range map[float64]float64{0: 0, 0.012345: 0.0123, 1.236: 1.24, 99.96: 100, 1234.6: 1235, 131059: 131059, math.Inf(1): 0} {
		if got := round(in); got != want {
			t.Errorf("%v is rounded to %v, want %v", in, got, want)
		}
	}
}

func TestUnknown(t *testing.T) {
	if _, err := Run(context.Background(), "nonsense", Options{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
}

func TestMeasure(t *testing.T) {
	a, err := measure(os.Getpid())
	if err != nil {
		t.Skip(err)
	}
	for range 20 {
		time.Sleep(time.Millisecond)
	}
	for began := time.Now(); time.Since(began) < 50*time.Millisecond; {
	}
	b, err := measure(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if b.switches-a.switches < 10 || b.cpu < a.cpu+0.02 || b.rss < 1 || b.top < b.rss || b.threads < 2 {
		t.Errorf("from %+v to %+v", a, b)
	}
}

// stream is speech as RTP packets of Opus, each on the wire when its last sample
// is spoken.
func stream(t *testing.T, speech []int16, start time.Time, stall func(packet int) time.Duration) []seen {
	t.Helper()
	enc, err := codec.NewOpusEncoder(codec.DefaultBitrate)
	if err != nil {
		t.Skip(err)
	}
	var out []seen
	for i := 0; (i+1)*pcm.Frame <= len(speech); i++ {
		b := make([]byte, 12+codec.MaxPayload)
		n, err := enc.Encode(b[12:], speech[i*pcm.Frame:(i+1)*pcm.Frame])
		if err != nil {
			t.Fatal(err)
		}
		b[0], b[1] = 0x80, 107
		binary.BigEndian.PutUint16(b[2:], uint16(i))
		binary.BigEndian.PutUint32(b[4:], uint32(0xffffff00+i*pcm.Frame)) // wraps
		at := start.Add(time.Duration(i+1)*pcm.FrameTime + stall(i))
		out = append(out, seen{at: at, src: 1, dst: 2, b: b[:12+n]})
	}
	return out
}

func TestDelays(t *testing.T) {
	start := time.Unix(1000, 0)
	speech := audiotest.Synthetic(0, 6*time.Second)
	said := sound{pcm: speech, start: start}
	ideal := 26.5 // a frame and the encoder's look-ahead
	for name, c := range map[string]struct {
		stall func(int) time.Duration
		want  float64
	}{
		"on time":             {func(int) time.Duration { return 0 }, ideal},
		"always 13 ms late":   {func(int) time.Duration { return 13 * time.Millisecond }, ideal + 13},
		"every third is late": {func(i int) time.Duration { return time.Duration(i%3) * 9 * time.Millisecond }, ideal},
		"late from the second second on": {func(i int) time.Duration {
			if i < 100 {
				return 0
			}
			return 40 * time.Millisecond
		}, ideal + 40},
	} {
		got, err := onWire(stream(t, speech, start, c.stall))
		if err != nil {
			t.Fatal(err)
		}
		ms := delays(said, got, start.Add(3*time.Second), start.Add(5*time.Second))
		if mid, _, _ := spread(ms); len(ms) < 2 || math.Abs(mid-c.want) > 1.5 {
			t.Errorf("%s: %.1f ms (%d found), want %.1f", name, mid, len(ms), c.want)
		}
	}
	// What was never said is not found.
	other := sound{pcm: audiotest.Synthetic(1, 6*time.Second), start: start}
	if ms := delays(said, other, start, start.Add(2*time.Second)); len(ms) > 1 {
		t.Errorf("found %d stretches in another's speech", len(ms))
	}
}

func TestReadCall(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }
	rtp := append([]byte{0x80, 107}, make([]byte, 60)...)
	rtcp := append([]byte{0x80, 200}, make([]byte, 60)...)
	all := []seen{
		{at(0), 5070, 5060, []byte("INVITE sip:101@x SIP/2.0\r\nCSeq: 2 INVITE\r\n\r\nv=0\r\nm=audio 4000 RTP/AVP 107\r\n")},
		{at(1), 5060, 5070, []byte("SIP/2.0 180 Ringing\r\nCSeq: 2 INVITE\r\n\r\n")},
		{at(500), 5060, 5070, []byte("SIP/2.0 200 OK\r\nCSeq: 2 INVITE\r\n\r\nv=0\r\nm=audio 12000 RTP/AVP 107\r\n")},
		{at(510), 4000, 12000, rtp},
		{at(520), 12000, 4000, rtp},
		{at(521), 12000, 4000, rtcp},
		{at(522), 12000, 9999, rtp}, // somebody else's
		{at(523), 5060, 5070, []byte("SIP/2.0 200 OK\r\nCSeq: 3 BYE\r\n\r\n")},
	}
	c, err := readCall(all, 5070)
	if err != nil {
		t.Fatal(err)
	}
	if c.media != 4000 || !c.answered.Equal(at(500)) || len(c.in) != 1 || len(c.out) != 1 || !c.in[0].at.Equal(at(520)) {
		t.Errorf("%+v", c)
	}
	if _, err := readCall(all, 5071); err == nil {
		t.Error("a call was seen that was not there")
	}
}

func FuzzParseUDP(f *testing.F) {
	f.Add([]byte{})
	f.Add(append([]byte{0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1, 0x13, 0xc4, 0x13, 0xce, 0, 10, 0, 0}, "hi"...))
	f.Add([]byte{0x4f, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := parseUDP(b); ok {
			isRTP(s.b)
			_, _ = readCall([]seen{s}, s.src)
		}
	})
}
