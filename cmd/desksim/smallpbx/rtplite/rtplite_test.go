package rtplite

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskset/audio/codec"

	"github.com/pion/rtp"
)

var addr = netip.MustParseAddrPort("127.0.0.1:4000")

func TestSDP(t *testing.T) {
	var o Origin
	offer := Offer(addr, []codec.Codec{codec.Opus, codec.PCMU, codec.PCMA}, SendRecv)
	d, err := ParseSDP(offer.SDP(&o))
	if err != nil {
		t.Fatal(err)
	}
	if d.Addr != addr || len(d.Formats) != 3 || len(d.Events) != 2 || d.Dir != SendRecv {
		t.Errorf("%+v", d)
	}
	second := string(offer.SDP(&o))
	first := string(offer.SDP(new(Origin)))
	if !strings.Contains(second, " 2 IN IP4") || !strings.Contains(first, " 1 IN IP4") {
		t.Errorf("o= versions:\n%s\n%s", first, second)
	}
	for _, c := range []struct {
		ours  []codec.Codec
		codec codec.Codec
		clock uint32
	}{
		{[]codec.Codec{codec.PCMU, codec.Opus}, codec.PCMU, 8000},
		{[]codec.Codec{codec.Opus, codec.PCMU}, codec.Opus, 48000},
	} {
		a, ok := d.AnswerTo(addr, c.ours, SendOnly)
		if !ok || len(a.Formats) != 1 || a.Formats[0].Codec != c.codec || a.Events[0].Clock != c.clock || a.Dir != SendOnly {
			t.Errorf("%+v", a)
		}
	}
	if _, ok := d.AnswerTo(addr, nil, SendRecv); ok {
		t.Error("answered with nothing in common")
	}
}

func TestSDPOfOthers(t *testing.T) {
	const head = "v=0\r\no=x 1 1 IN IP4 10.0.0.1\r\ns=-\r\n"
	for _, c := range []struct {
		name, sdp string
		dir       Direction
		codec     codec.Codec
		bad       bool
	}{
		{"static types only", head + "c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 7 RTP/AVP 18 8 0\r\n", SendRecv, codec.PCMA, false},
		{"session direction", head + "c=IN IP4 10.0.0.1\r\nt=0 0\r\na=inactive\r\nm=audio 7 RTP/AVP 0\r\n", Inactive, codec.PCMU, false},
		{"old hold", head + "c=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 7 RTP/AVP 0\r\n", SendOnly, codec.PCMU, false},
		{"second stream", head + "c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=video 6 RTP/AVP 31\r\nm=audio 0 RTP/AVP 0\r\nm=audio 8 RTP/AVP 96\r\na=rtpmap:96 OPUS/48000/2\r\n", SendRecv, codec.Opus, false},
		{"no codec of ours", head + "c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 7 RTP/AVP 18\r\n", "", 0, true},
		{"no address", head + "t=0 0\r\nm=audio 7 RTP/AVP 0\r\n", "", 0, true},
		{"a name as address", head + "c=IN IP4 pbx.example\r\nt=0 0\r\nm=audio 7 RTP/AVP 0\r\n", "", 0, true},
		{"refused stream", head + "c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n", "", 0, true},
		{"no SDP", "hello", "", 0, true},
		{"empty", "", "", 0, true},
	} {
		d, err := ParseSDP([]byte(c.sdp))
		if (err != nil) != c.bad {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err == nil && (d.Dir != c.dir || d.Formats[0].Codec != c.codec) {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

func TestEvents(t *testing.T) {
	var k Keys
	var got []byte
	for i, key := range []byte("19*#D") {
		ev, err := EventOf(key)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 7 { // each packet of an event has the event's timestamp
			p := EventPayload{Event: ev, End: n > 3, Volume: 10, Duration: uint16(n * 160)}
			if q, err := ParseEvent(p.Bytes()); err != nil || q != p {
				t.Fatalf("%+v %v", q, err)
			}
			if b, ok := k.Packet(uint32(i*8000), p.Bytes()); ok {
				got = append(got, b)
			}
		}
	}
	if string(got) != "19*#D" {
		t.Errorf("%q", got)
	}
	if _, ok := k.Packet(1, []byte{1, 2}); ok {
		t.Error("took a short payload")
	}
	if _, err := EventOf('x'); err == nil {
		t.Error("x is no key")
	}
}

func TestImpair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var i Impairer
		i.Set(Impairment{DropEvery: 4, Jitter: 10 * time.Millisecond, JumpAfter: 200 * time.Millisecond, JumpTicks: -5000,
			NewSSRCAfter: 400 * time.Millisecond})
		var mu sync.Mutex
		got := map[uint16]rtp.Header{}
		ssrcs := map[uint32]int{}
		for n := range uint16(40) {
			i.Send(rtp.Header{SSRC: 7, SequenceNumber: n, Timestamp: uint32(n) * 960}, []byte{byte(n)}, func(h *rtp.Header, p []byte) error {
				mu.Lock()
				defer mu.Unlock()
				got[uint16(p[0])] = *h
				ssrcs[h.SSRC]++
				return nil
			})
			time.Sleep(20 * time.Millisecond)
		}
		synctest.Wait()
		if len(got) != 30 {
			t.Errorf("%d of 40 packets, want 30", len(got))
		}
		if h := got[8]; h.Timestamp != 8*960 || h.SSRC != 7 || h.SequenceNumber != 8 {
			t.Errorf("before the jump: %+v", h)
		}
		if h := got[14]; h.Timestamp != 14*960-5000 || h.SSRC != 7 {
			t.Errorf("after the jump: %+v", h)
		}
		if len(ssrcs) != 2 || got[22].SequenceNumber == 22 || got[22].Timestamp-got[21].Timestamp != 960 {
			t.Errorf("after the new SSRC: %v %+v", ssrcs, got[22])
		}
	})
}

func TestSocketLatches(t *testing.T) {
	a, err := Listen(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Listen(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	toB := make(chan string, 8)
	wg.Go(func() { b.Run(ctx, func(p *rtp.Packet) { toB <- string(p.Payload) }) })
	toA := make(chan string, 8)
	a.Latch = true
	a.SetPeer(netip.MustParseAddrPort("127.0.0.1:9")) // what its SDP said
	b.SetPeer(a.Addr())
	wg.Go(func() { a.Run(ctx, func(p *rtp.Packet) { toA <- string(p.Payload) }) })
	b.conn.WriteToUDPAddrPort([]byte("short"), a.Addr())
	b.conn.WriteToUDPAddrPort(append([]byte{0x80, 200}, make([]byte, 26)...), a.Addr()) // RTCP
	b.Write(&rtp.Header{Version: 2}, []byte("hello"))
	if got := <-toA; got != "hello" {
		t.Error(got)
	}
	a.Write(&rtp.Header{Version: 2}, []byte("back"))
	if got := <-toB; got != "back" {
		t.Error(got)
	}
}

func FuzzSDP(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := ParseSDP(body)
		if err != nil {
			return
		}
		if len(d.Formats) == 0 || !d.Addr.IsValid() || d.Addr.Port() == 0 {
			t.Fatalf("%+v", d)
		}
		a, ok := d.AnswerTo(addr, []codec.Codec{codec.Opus, codec.PCMU, codec.PCMA}, d.Dir.Answer())
		if !ok {
			t.Fatal("nothing to answer with")
		}
		if _, err := ParseSDP(a.SDP(new(Origin))); err != nil {
			t.Fatalf("own answer: %v\n%s", err, a.SDP(new(Origin)))
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Fuzz(func(t *testing.T, ts uint32, b []byte) {
		var k Keys
		k.Packet(ts, b)
		if e, err := ParseEvent(b); err == nil {
			if again, err := ParseEvent(e.Bytes()); err != nil || again != e {
				t.Fatalf("%+v %+v %v", e, again, err)
			}
		}
	})
}
