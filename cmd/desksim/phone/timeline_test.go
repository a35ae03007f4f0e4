package phone

import (
	"net/netip"
	"testing"
	"time"

	"deskset/audio/codec"
	"deskset/cmd/desksim/smallpbx/rtplite"

	"github.com/pion/rtp"
)

// stream feeds a timeline with PCMU packets at their times.
type stream struct {
	t     *timeline
	enc   codec.Encoder
	start time.Time
	n     int // frames since start
	seq   uint16
	ts    uint32
	ssrc  uint32
}

func newStream(t *testing.T) *stream {
	t.Helper()
	tl := &timeline{}
	start := time.Unix(100, 0)
	tl.begin(start)
	tl.formats(rtplite.Offer(netip.MustParseAddrPort("127.0.0.1:1"), []codec.Codec{codec.PCMU}, rtplite.SendRecv), []codec.Codec{codec.PCMU})
	return &stream{t: tl, enc: codec.NewPCMUEncoder(), start: start, seq: 65530, ts: 0xffffff00, ssrc: 1}
}

// frame makes the next 20 ms; arrives puts it in that much late.
func (s *stream) frame(pcm []int16, late time.Duration, arrives bool) {
	b := make([]byte, 160)
	s.enc.Encode(b, pcm)
	if arrives {
		s.t.put(&rtp.Packet{Header: rtp.Header{SSRC: s.ssrc, SequenceNumber: s.seq, Timestamp: s.ts}, Payload: b},
			s.start.Add(time.Duration(s.n)*20*time.Millisecond+late))
	}
	s.n++
	s.seq++
	s.ts += 160
}

func TestTimeline(t *testing.T) {
	v := voice(9, 4)
	at := func(i int) []int16 { return v[i*960 : (i+1)*960] }
	whole := func(t *testing.T, s *stream, from, frames, where int) {
		t.Helper()
		got, _ := s.t.render()
		want := v[from*960 : (from+frames)*960]
		off, corr := match(want, got)
		if corr < 0.9 || off < where*960-200 || off > where*960+200 {
			t.Errorf("frames %d to %d: correlation %.2f at frame %.2f, want %d", from, from+frames, corr, float64(off)/960, where)
		}
	}
	t.Run("late and out of order", func(t *testing.T) {
		s := newStream(t)
		for i := range 100 {
			s.frame(at(i), time.Duration(i%5)*15*time.Millisecond, true)
		}
		whole(t, s, 0, 99, 0)
	})
	t.Run("lost", func(t *testing.T) {
		s := newStream(t)
		for i := range 100 {
			s.frame(at(i), 0, i < 40 || i >= 50)
		}
		whole(t, s, 50, 49, 50)
		got, _ := s.t.render()
		hole := got[44*960 : 50*960]
		for i, x := range hole {
			if x != 0 {
				t.Fatalf("sound in the hole at %d", i)
			}
		}
	})
	t.Run("pause", func(t *testing.T) {
		s := newStream(t)
		for i := range 150 {
			if i >= 50 && i < 100 { // silence that was not sent: no sequence numbers
				s.n++
				s.ts += 160
				continue
			}
			s.frame(at(i), 0, true)
		}
		whole(t, s, 100, 49, 100)
	})
	t.Run("timestamp jump", func(t *testing.T) {
		s := newStream(t)
		for i := range 100 {
			if i == 50 {
				s.ts += 8000 * 60
			}
			s.frame(at(i), 0, true)
		}
		whole(t, s, 50, 49, 50)
		if st := s.t.stats(); st.Reanchored != 1 || st.SSRCs != 1 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("timestamp jump back", func(t *testing.T) {
		s := newStream(t)
		for i := range 100 {
			if i == 50 {
				s.ts -= 8000 * 60
			}
			s.frame(at(i), 0, true)
		}
		whole(t, s, 50, 49, 50)
	})
	t.Run("new SSRC", func(t *testing.T) {
		s := newStream(t)
		for i := range 100 {
			if i == 50 {
				s.ssrc, s.seq, s.ts = 2, 17, 99
			}
			s.frame(at(i), 0, true)
		}
		whole(t, s, 50, 49, 50)
		if st := s.t.stats(); st.SSRCs != 2 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("a burst after a stall", func(t *testing.T) {
		s := newStream(t)
		for i := range 150 {
			late := time.Duration(0)
			if i >= 50 && i < 100 { // a second's packets come at once
				late = time.Duration(100-i) * 20 * time.Millisecond
			}
			s.frame(at(i), late, true)
		}
		whole(t, s, 0, 149, 0)
		if st := s.t.stats(); st.Reanchored != 0 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("unknown payload type", func(t *testing.T) {
		s := newStream(t)
		s.t.put(&rtp.Packet{Header: rtp.Header{PayloadType: 99}, Payload: []byte{1}}, s.start)
		if st := s.t.stats(); st.Unknown != 1 || st.Packets != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestSipfrag(t *testing.T) {
	for body, want := range map[string]int{
		"SIP/2.0 200 OK\r\n": 200, "SIP/2.0 100": 100, "SIP/2.0 99\r\n": 0, "": 0, "SIP/2.0 xyz": 0, "HTTP/1.1 200 OK": 0,
	} {
		code, ok := sipfrag([]byte(body))
		if ok != (want != 0) || (ok && code != want) {
			t.Errorf("%q: %d %v", body, code, ok)
		}
	}
	if got := unescape("a%40b%3Bto-tag%3D1%"); got != "a@b;to-tag=1%" {
		t.Error(got)
	}
}

func FuzzSipfrag(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if code, ok := sipfrag(b); ok && (code < 100 || code > 699) {
			t.Fatal(code)
		}
		unescape(string(b))
	})
}

// FuzzTimeline feeds any packets: the time line must stay in order and finite.
func FuzzTimeline(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newStream(&testing.T{})
		now := s.start
		for len(b) >= 8 {
			now = now.Add(time.Duration(b[0]) * time.Millisecond)
			s.t.put(&rtp.Packet{Header: rtp.Header{PayloadType: b[1] % 2, SSRC: uint32(b[2] % 2),
				SequenceNumber: uint16(b[3]) << 8 * uint16(b[3]%2), Timestamp: uint32(b[4])<<24 | uint32(b[5])}, Payload: b[6:8]}, now)
			b = b[8:]
		}
		for _, p := range s.t.packets {
			if p.at < 0 {
				t.Fatal(p.at)
			}
			if p.at > int64(now.Sub(s.start)/time.Second+3600*24)*codec.Rate {
				t.Skip("a day of silence") // as its timestamps say; render would be right, and large
			}
		}
	})
}
