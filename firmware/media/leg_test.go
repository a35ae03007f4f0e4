package media

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"deskset/audio/codec"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

func TestCall(t *testing.T) {
	for _, mime := range []string{webrtc.MimeTypeOpus, webrtc.MimeTypePCMU} {
		for _, offers := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/offers=%v", mime[6:], offers), func(t *testing.T) {
				p := newPeer(t, peerOptions{mime: mime})
				l := newLeg(t, Config{})
				start := time.Now()
				call(t, l, p, offers)
				t.Logf("connected after %v", time.Since(start))
				c := l.Codec()
				if "audio/"+c.Name() != mime && !(c == codec.Opus && mime == webrtc.MimeTypeOpus) {
					t.Fatalf("codec %v", c)
				}
				if l.Direction() != SendRecv {
					t.Fatalf("direction %v", l.Direction())
				}
				payload := bytes.Repeat([]byte{0xf8, 1, 2, 3}, 20)
				var got atomic.Int64
				ticks(t, func() {
					l.Drain(func(p Packet) {
						if !bytes.Equal(p.Payload, payload) || p.Codec != c {
							t.Errorf("got %v %x", p.Codec, p.Payload)
						}
						got.Add(1)
					})
					l.Send(c, payload)
					p.send(payload, c.FrameTicks())
				})
				p.await("20 packets", func(got []rtp.Packet) bool { return len(got) >= 20 })
				pk := p.packets()
				for i := 1; i < len(pk); i++ {
					if pk[i].SequenceNumber != pk[i-1].SequenceNumber+1 || pk[i].Timestamp != pk[i-1].Timestamp+c.FrameTicks() {
						t.Fatalf("packet %d: %v after %v", i, pk[i].Header, pk[i-1].Header)
					}
					if pk[i].Marker {
						t.Fatalf("marker within speech at %d", i)
					}
				}
				if !pk[0].Marker || !bytes.Equal(pk[0].Payload, payload) {
					t.Fatalf("first packet %v", pk[0])
				}
				if got.Load() < 10 {
					t.Fatalf("heard %d packets", got.Load())
				}
				if s := l.Stats(); s.Lost != 0 || s.Sent < 20 || s.Received < 10 {
					t.Fatalf("stats %+v", s)
				}
			})
		}
	}
}
