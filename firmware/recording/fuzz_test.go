package recording

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"deskset/audio/codec"
	"deskset/audio/oggopus"
)

// FuzzCustomer throws any packets at any times at a recorder: the outcome must
// be a recording that a strict reader takes, and the agent's leg unharmed.
//
// A packet is: ticks to wait, codec, SSRC, sequence (2), time stamp (4), length,
// payload.
func FuzzCustomer(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &shelf{}
		g := newRig(s)
		tick := 0
		agent := func(n int) {
			for range n {
				g.agent(tick)
				tick++
			}
		}
		agent(1)
		for len(b) >= 10 && tick < 3000 {
			n := min(int(b[9]), len(b)-10)
			agent(int(b[0]) % 80)
			if b[1]&8 != 0 {
				g.r.Pause("agent", "")
			} else {
				g.r.Resume("agent")
			}
			// Opus only: transcoding is another test's, and slow.
			p := Packet{
				Codec: []codec.Codec{codec.Opus, codec.None}[b[1]&1], SSRC: uint32(b[2]), Seq: binary.BigEndian.Uint16(b[3:]),
				TS: binary.BigEndian.Uint32(b[5:]), Payload: b[10 : 10+n], At: g.base + int64(tick)*960,
			}
			if b[1]&2 != 0 {
				p.Payload = packet('C', tick)
			}
			if transcodeWhy(p.Codec, p.Payload) == "" || p.Codec == codec.None {
				g.r.Customer(p)
			}
			b = b[10+n:]
		}
		last := tick
		agent(10)
		g.r.End()
		r := oggopus.NewReader(bytes.NewReader(s.ogg()))
		for i := 0; ; i++ {
			sl, err := r.Next()
			if err == io.EOF {
				if i < last+9 || i > last+10+oggopus.PageSlots {
					t.Fatalf("%d slots for %d ticks", i, last+10)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if a := heard(sl.Agent); i < last+10 && a != nil && number(a) != i && !bytes.Equal(a, silence) {
				t.Fatalf("agent's packet %d stands in slot %d", number(a), i)
			}
		}
	})
}
