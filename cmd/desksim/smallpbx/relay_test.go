package smallpbx

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"deskset/audio/codec"
	"deskset/cmd/desksim/smallpbx/rtplite"

	"github.com/pion/rtp"
)

// sink is media that keeps what is written to it.
type sink struct {
	agr agreement
	got []rtp.Packet
}

func (s *sink) offer(context.Context) ([]byte, error)          { return nil, nil }
func (s *sink) answer(context.Context, []byte) ([]byte, error) { return nil, nil }
func (s *sink) accept(context.Context, []byte) error           { return nil }
func (s *sink) agreed() (agreement, bool)                      { return s.agr, true }
func (s *sink) close()                                         {}
func (s *sink) write(h *rtp.Header, p []byte) error {
	s.got = append(s.got, rtp.Packet{Header: *h, Payload: append([]byte(nil), p...)})
	return nil
}

func sinkFor(c codec.Codec, events bool) (*sink, *sender) {
	k := &sink{agr: agreement{send: rtplite.Format{Codec: c, PT: 96}, hasEv: events,
		event: rtplite.Event{PT: 101, Clock: c.ClockRate()}, peer: rtplite.SendRecv}}
	if !events {
		k.agr.event = rtplite.Event{}
	}
	s := newSender(k, true)
	s.renegotiated()
	return k, s
}

// pcmu makes one frame of a leg that speaks PCMU.
func pcmu(seq uint16, ts uint32) inPacket {
	return inPacket{ssrc: 1, seq: seq, ts: ts, codec: codec.PCMU, payload: make([]byte, 160)}
}

// TestPassThrough: what comes goes out with the same payload, losses and order
// kept, one SSRC, and without a seam when the source changes.
func TestPassThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, s := sinkFor(codec.PCMU, true)
		l := &link{to: s}
		seq, ts := uint16(65533), uint32(0xffffff80)
		for i := range 10 {
			if i != 4 { // lost on the way here
				l.deliver(pcmu(seq, ts))
			}
			seq, ts = seq+1, ts+160
			time.Sleep(20 * time.Millisecond)
		}
		if len(k.got) != 9 {
			t.Fatalf("%d packets", len(k.got))
		}
		for i, p := range k.got {
			n := i
			if i >= 4 {
				n++
			}
			if p.SequenceNumber != k.got[0].SequenceNumber+uint16(n) || p.Timestamp != k.got[0].Timestamp+uint32(160*n) ||
				p.Marker != (i == 0) || p.PayloadType != 96 || p.SSRC != k.got[0].SSRC {
				t.Errorf("packet %d: %+v", i, p.Header)
			}
		}
		// Another source after a pause of 100 ms: next number, time that has passed.
		time.Sleep(100 * time.Millisecond)
		last := k.got[8]
		other := &link{to: s}
		other.deliver(inPacket{ssrc: 9, seq: 4000, ts: 77, codec: codec.PCMU, payload: make([]byte, 160)})
		n := k.got[9]
		if n.SequenceNumber != last.SequenceNumber+1 || n.Timestamp != last.Timestamp+960 || !n.Marker || n.SSRC != last.SSRC {
			t.Errorf("after the change: %+v, before %+v", n.Header, last.Header)
		}
		// The same source with its clock set anew (more than 10 s): no jump here.
		other.deliver(inPacket{ssrc: 9, seq: 4001, ts: 77 + 8000*3600, codec: codec.PCMU, payload: make([]byte, 160)})
		if m := k.got[10]; m.Timestamp-n.Timestamp != 160 || m.SequenceNumber != n.SequenceNumber+1 {
			t.Errorf("after the jump: %+v", m.Header)
		}
	})
}

// TestEventRelay: keys pass with their time at the other clock; without a way to
// send them they leave no gap.
func TestEventRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, events := range []bool{true, false} {
			k, s := sinkFor(codec.PCMU, events)
			l := &link{to: s}
			l.deliver(pcmu(1, 0))
			e := rtplite.EventPayload{Event: 5, Volume: 10, Duration: 480}
			l.deliver(inPacket{ssrc: 1, seq: 2, ts: 160, marker: true, clock: 48000, payload: e.Bytes()})
			l.deliver(pcmu(3, 320))
			if !events {
				if len(k.got) != 2 || k.got[1].SequenceNumber != k.got[0].SequenceNumber+1 {
					t.Errorf("%+v", k.got)
				}
				continue
			}
			got, err := rtplite.ParseEvent(k.got[1].Payload)
			if err != nil || got.Duration != 80 || got.Event != 5 || k.got[1].PayloadType != 101 ||
				k.got[1].Timestamp != k.got[0].Timestamp+160 {
				t.Errorf("%+v %+v", got, k.got[1].Header)
			}
		}
	})
}

// TestTranscode: PCMU frames of 10, 20, 30 and 40 ms become Opus frames of 20 ms on
// the same time line; a lost packet leaves its gap, a pause none.
func TestTranscode(t *testing.T) {
	if _, err := codec.NewOpusEncoder(0); err != nil {
		t.Skip(err)
	}
	for _, ms := range []int{10, 20, 30, 40} {
		synctest.Test(t, func(t *testing.T) {
			k, s := sinkFor(codec.Opus, true)
			l := &link{to: s}
			n := ms * 8
			send := func(seq uint16, ts int) {
				l.deliver(inPacket{ssrc: 1, seq: seq, ts: uint32(ts), codec: codec.PCMU, payload: make([]byte, n)})
				time.Sleep(time.Duration(ms) * time.Millisecond)
			}
			seq := uint16(100)
			for i := range 12 {
				send(seq, i*n)
				seq++
			}
			frames := 12 * ms / 20
			if len(k.got) != frames {
				t.Fatalf("%d ms: %d frames, want %d", ms, len(k.got), frames)
			}
			for i, p := range k.got {
				if p.SequenceNumber != k.got[0].SequenceNumber+uint16(i) || p.Timestamp != k.got[0].Timestamp+uint32(960*i) {
					t.Errorf("%d ms: frame %d: %+v", ms, i, p.Header)
				}
			}
			// 120 ms lost.
			lost := 120 / ms
			seq += uint16(lost)
			at := 12*n + lost*n
			before := len(k.got)
			last := k.got[before-1]
			for i := range 4 {
				send(seq, at+i*n)
				seq++
			}
			p := k.got[before]
			if gap := p.SequenceNumber - last.SequenceNumber; gap != 7 || p.Timestamp-last.Timestamp != 7*960 {
				t.Errorf("%d ms: after a loss of 120 ms: seq +%d, ts +%d", ms, gap, p.Timestamp-last.Timestamp)
			}
			// 2 s that the speaker was silent.
			at += 4*n + 16000
			time.Sleep(2 * time.Second)
			before, last = len(k.got), k.got[len(k.got)-1]
			for i := range 4 {
				send(seq, at+i*n)
				seq++
			}
			p = k.got[before]
			if p.SequenceNumber != last.SequenceNumber+1 || !p.Marker || p.Timestamp-last.Timestamp < 96000 {
				t.Errorf("%d ms: after a pause: seq +%d, ts +%d, marker %v", ms, p.SequenceNumber-last.SequenceNumber,
					p.Timestamp-last.Timestamp, p.Marker)
			}
			// A late copy is not sent again.
			before = len(k.got)
			l.deliver(inPacket{ssrc: 1, seq: seq - 3, ts: uint32(at + n), codec: codec.PCMU, payload: make([]byte, n)})
			if len(k.got) != before {
				t.Errorf("%d ms: a late packet went out", ms)
			}
		})
	}
}

// TestPlayPaces: a made sound keeps to the clock.
func TestPlayPaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, s := sinkFor(codec.PCMU, false)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); play(ctx, s, holdTone) }()
		time.Sleep(10*time.Second + time.Millisecond)
		cancel()
		<-done
		if n := len(k.got); n != 501 {
			t.Errorf("%d frames in 10 s", n)
		}
		if first, last := k.got[0], k.got[len(k.got)-1]; last.Timestamp-first.Timestamp != 80000 || !first.Marker || last.Marker {
			t.Errorf("%+v %+v", first.Header, last.Header)
		}
	})
}

func TestReplaces(t *testing.T) {
	id, to, from := parseReplaces("a@b ; to-tag=1 ;from-tag=2;early-only")
	if id != "a@b" || to != "1" || from != "2" {
		t.Error(id, to, from)
	}
}

func FuzzReplaces(f *testing.F) {
	f.Fuzz(func(t *testing.T, v string) {
		id, to, from := parseReplaces(v)
		if len(id)+len(to)+len(from) > len(v) {
			t.Fatal(id, to, from)
		}
	})
}

// FuzzRelay feeds a link any packets: nothing may panic, nor grow without end.
func FuzzRelay(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		k, s := sinkFor(codec.PCMU, true)
		l := &link{to: s}
		packets := 0
		for len(b) >= 9 {
			n := min(int(b[0]), len(b)-9)
			p := inPacket{ssrc: uint32(b[1] % 2), seq: uint16(b[2])<<8 | uint16(b[3]), ts: uint32(b[4])<<24 | uint32(b[5])<<8,
				marker: b[6]&1 != 0, payload: b[9 : 9+n]}
			switch b[7] % 3 {
			case 0:
				p.codec = codec.PCMU
			case 1:
				p.codec = codec.PCMA
			default:
				p.clock = uint32(b[8]) * 1000
			}
			l.deliver(p)
			packets++
			b = b[9+n:]
		}
		if len(k.got) > 8*packets {
			t.Fatalf("%d packets made of %d", len(k.got), packets)
		}
	})
}
