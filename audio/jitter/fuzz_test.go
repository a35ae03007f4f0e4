package jitter

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"deskset/audio/codec"
	"deskset/audio/pcm"
)

// FuzzPlayout feeds any packets at any times. It must not panic, must hold no
// more than its bounds, must give sound for each tick, and must never go back
// in the sender's time.
func FuzzPlayout(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, script []byte) {
		c := codec.PCMU
		if len(script) > 0 && script[0]&1 != 0 && codec.OpusVersion() != "" {
			c = codec.Opus
		}
		p, err := NewPlayout(c, Config{})
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]int16, pcm.Frame)
		var now time.Duration
		var seq uint16
		var ts, ssrc uint32
		played, most := p.buf.played, int64(math.MinInt64)
		for steps := 0; len(script) >= 6 && steps < 2000; steps++ {
			op, a, b := script[0], binary.LittleEndian.Uint16(script[1:]), script[3:6]
			script = script[6:]
			switch op % 8 {
			case 0, 1, 2:
				seq, ts = seq+1, ts+c.FrameTicks()
			case 3: // loss, reordering
				seq, ts = seq+uint16(int8(b[0])), ts+uint32(int32(int8(b[0])))*c.FrameTicks()
			case 4:
				seq += a
			case 5:
				ts += uint32(a) << (b[0] % 17)
			case 6:
				ssrc = uint32(b[0] % 3)
			case 7:
				now += time.Duration(a) * time.Millisecond
			}
			pay := []byte{b[1], b[2], byte(a)}
			if c == codec.PCMU {
				pay = make([]byte, 1+int(b[1])*4)
			}
			p.Put(Packet{SSRC: ssrc, Seq: seq, TS: ts, Payload: pay, Comfort: b[2]%16 == 15, Arrival: now})
			if len(p.buf.q) > slots {
				t.Fatalf("%d packets held", len(p.buf.q))
			}
			for range b[0] % 3 {
				now += tick
				p.Tick(dst, now)
				if len(p.held) > codec.MaxSamples+pcm.Frame {
					t.Fatalf("%d samples held", len(p.held))
				}
				if !p.buf.placed {
					continue
				}
				if p.buf.played < played || p.buf.next < most {
					t.Fatalf("time went back: %d after %d, %d after %d", p.buf.played, played, p.buf.next, most)
				}
				played, most = p.buf.played, p.buf.next
			}
		}
		s := p.Stats()
		if s.Received+s.Duplicates > 4000 || s.BufferMs < 0 || s.JitterMs < 0 {
			t.Fatalf("%+v", s)
		}
	})
}
