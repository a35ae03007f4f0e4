package media

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"deskset/audio/codec"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// hum sends frames both ways until the test ends.
func hum(t *testing.T, l *Leg, p *peer, c codec.Codec) {
	payload := bytes.Repeat([]byte{0xf8, 5}, 40)
	ticks(t, func() {
		l.Drain(func(Packet) {})
		l.Send(c, payload)
		if p != nil {
			p.send(payload, c.FrameTicks())
		}
	})
}

func TestDTMF(t *testing.T) {
	for _, mime := range []string{webrtc.MimeTypeOpus, webrtc.MimeTypePCMU} {
		t.Run(mime[6:], func(t *testing.T) {
			p := newPeer(t, peerOptions{mime: mime, eventPT: 119})
			l := newLeg(t, Config{})
			call(t, l, p, false)
			hum(t, l, p, l.Codec())
			p.await("sound", func(got []rtp.Packet) bool { return len(got) > 5 })
			check(t, l.SendDTMF("1#d"))
			ends := func(got []rtp.Packet) (n int) {
				for _, k := range got {
					if k.PayloadType == 119 && k.Payload[1]&0x80 != 0 {
						n++
					}
				}
				return n
			}
			p.await("three digits", func(got []rtp.Packet) bool { return ends(got) == 9 })
			p.await("sound after them", func(got []rtp.Packet) bool { return len(got) > 0 && got[len(got)-1].PayloadType != 119 })
			checkEvents(t, p.packets(), l.Codec().ClockRate())
			for _, bad := range []string{"12x", "１", strings.Repeat("1", 65)} {
				if err := l.SendDTMF(bad); !errors.Is(err, ErrDigits) {
					t.Errorf("SendDTMF(%q): %v", bad, err)
				}
			}
		})
	}
}

// checkEvents holds packets against RFC 4733.
func checkEvents(t *testing.T, got []rtp.Packet, clock uint32) {
	t.Helper()
	frame := clock / 50
	codes := []byte{1, 11, 15}
	var digit, in int
	var start, sound uint32
	for i, k := range got {
		if i > 0 && k.SequenceNumber != got[i-1].SequenceNumber+1 {
			t.Fatalf("sequence %d after %d", k.SequenceNumber, got[i-1].SequenceNumber)
		}
		if k.PayloadType != 119 {
			// Time stamps of sound go on as if it had never paused.
			if sound != 0 && (k.Timestamp-sound)%frame != 0 {
				t.Fatalf("time stamp %d, %d before", k.Timestamp, sound)
			}
			if in != 0 && in != 7 {
				t.Fatalf("sound inside a digit at %d", i)
			}
			if was := i > 0 && got[i-1].PayloadType == 119; was != k.Marker && i > 0 {
				t.Errorf("marker %v at packet %d", k.Marker, i)
			}
			sound = k.Timestamp
			continue
		}
		if in == 7 {
			digit, in = digit+1, 0
		}
		if in == 0 {
			start = k.Timestamp
		}
		in++
		wantDur, end := uint16(min(in, 5))*uint16(frame), in >= 5
		if dur := binary.BigEndian.Uint16(k.Payload[2:]); k.Payload[0] != codes[digit] || dur != wantDur ||
			(k.Payload[1]&0x80 != 0) != end || k.Marker != (in == 1) || k.Timestamp != start {
			t.Fatalf("digit %d packet %d: %v %x, want duration %d, end %v", digit, in, k.Header, k.Payload, wantDur, end)
		}
	}
	if digit != 2 || in != 7 {
		t.Fatalf("%d digits, %d packets of the last", digit+1, in)
	}
}

func TestNoDTMFWithoutEvents(t *testing.T) {
	p := newPeer(t, peerOptions{mime: webrtc.MimeTypePCMU, noDTMF: true})
	l := newLeg(t, Config{})
	if err := l.SendDTMF("1"); !errors.Is(err, ErrState) {
		t.Fatal(err)
	}
	call(t, l, p, true)
	if err := l.SendDTMF("1"); !errors.Is(err, ErrNoEvents) {
		t.Fatal(err)
	}
}

// The seat holds and takes back; then the far end does.
func TestHold(t *testing.T) {
	for _, offers := range []bool{true, false} {
		p := newPeer(t, peerOptions{mime: webrtc.MimeTypePCMU})
		l := newLeg(t, Config{})
		call(t, l, p, offers)
		hum(t, l, p, codec.PCMU)
		p.await("sound", func(got []rtp.Packet) bool { return len(got) > 5 })

		offer, err := l.Reoffer(Inactive)
		check(t, err)
		if _, err := l.AnswerReoffer(offer); !errors.Is(err, ErrState) {
			t.Fatalf("answered while an offer is out: %v", err)
		}
		check(t, l.SetReanswer(p.answer(offer)))
		if l.Direction() != Inactive {
			t.Fatal(l.Direction())
		}
		quietly(t, p)
		offer, err = l.Reoffer(SendRecv)
		check(t, err)
		// pion does not take its own side back by itself.
		check(t, l.SetReanswer(redirect(p.answer(offer), "sendrecv")))
		if l.Direction() != SendRecv {
			t.Fatal(l.Direction())
		}
		n := len(p.packets())
		p.await("sound again", func(got []rtp.Packet) bool { return len(got) > n+5 })

		// A refused re-offer changes nothing.
		_, err = l.Reoffer(SendOnly)
		check(t, err)
		l.CancelReoffer()
		if l.Direction() != SendRecv {
			t.Fatal(l.Direction())
		}
		for _, c := range []struct{ dir, want string }{{"sendonly", "recvonly"}, {"inactive", "inactive"}, {"sendrecv", "sendrecv"}} {
			answer, err := l.AnswerReoffer(redirect(p.offer(), c.dir))
			check(t, err)
			p.setAnswer(answer)
			if l.Direction().String() != c.want || !bytes.Contains(answer, []byte("a="+c.want+"\r\n")) {
				t.Fatalf("%s answered by %v", c.dir, l.Direction())
			}
		}
		n = len(p.packets())
		p.await("sound at the end", func(got []rtp.Packet) bool { return len(got) > n+5 })
	}
}

var directions = regexp.MustCompile(`a=(sendrecv|sendonly|recvonly|inactive)\r`)

// redirect changes a description's direction.
func redirect(sdp []byte, dir string) []byte {
	return directions.ReplaceAll(sdp, []byte("a="+dir+"\r"))
}

// quietly waits until nothing is in flight, then checks that nothing comes.
func quietly(t *testing.T, p *peer) {
	t.Helper()
	for {
		select {
		case <-p.packet:
			continue
		default:
		}
		break
	}
	n := len(p.packets())
	late := time.After(200 * time.Millisecond)
	for range 2 {
		select {
		case <-p.packet:
		case <-late:
			if got := len(p.packets()); got > n+1 {
				t.Fatalf("%d packets while on hold", got-n)
			}
			return
		}
	}
	t.Fatal("sound while on hold")
}

// The far end changes from Opus to G.711 within a call.
func TestCodecChange(t *testing.T) {
	a, b := newLeg(t, Config{}), newLeg(t, Config{})
	join(t, a, b)
	if a.Codec() != codec.Opus || b.Codec() != codec.Opus {
		t.Fatal(a.Codec(), b.Codec())
	}
	var heard [4]int
	run := func() {
		for range 10 {
			for _, l := range []*Leg{a, b} {
				l.Send(l.Codec(), make([]byte, 160))
				l.Drain(func(p Packet) { heard[p.Codec]++ })
			}
			time.Sleep(frameTime / 10)
		}
	}
	run()
	offer, err := a.Reoffer(SendRecv)
	check(t, err)
	// As a PBX that bridges to a G.711 phone would.
	offer = regexp.MustCompile(`m=audio (\d+) (\S+) .*\r`).ReplaceAll(offer, []byte("m=audio $1 $2 8 101\r"))
	answer, err := b.AnswerReoffer(offer)
	check(t, err)
	check(t, a.SetReanswer(answer))
	if a.Codec() != codec.PCMA || b.Codec() != codec.PCMA {
		t.Fatal(a.Codec(), b.Codec())
	}
	run()
	if heard[codec.Opus] < 15 || heard[codec.PCMA] < 15 {
		t.Fatalf("heard %v", heard)
	}
	if s := b.Stats(); s.Lost != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestForeignCertificateIsRefused(t *testing.T) {
	fp := regexp.MustCompile(`a=fingerprint:sha-256 \S+`)
	forged := []byte("a=fingerprint:" + fingerprint{"sha-256", make([]byte, sha256.Size)}.String())
	for _, c := range []struct{ name, setup string }{{"we are the client", "passive"}, {"we are the server", "active"}} {
		t.Run(c.name, func(t *testing.T) {
			l := newLeg(t, Config{Connect: 3 * time.Second})
			p := newPeer(t, peerOptions{mime: webrtc.MimeTypeOpus})
			offer := fp.ReplaceAll(p.offer(), forged)
			offer = bytes.ReplaceAll(offer, []byte("a=setup:actpass"), []byte("a=setup:"+c.setup))
			answer, err := l.Answer(t.Context(), offer)
			check(t, err)
			p.setAnswer(answer)
			await(t, "failure", l.Failed())
			if !errors.Is(l.Err(), ErrConnect) || !strings.Contains(l.Err().Error(), "certificate") {
				t.Fatal(l.Err())
			}
			select {
			case <-l.Connected():
				t.Fatal("connected")
			default:
			}
		})
	}
}

func TestGarbageDoesNothing(t *testing.T) {
	p := newPeer(t, peerOptions{mime: webrtc.MimeTypePCMU})
	l := newLeg(t, Config{})
	noise, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(l.Local()))
	check(t, err)
	defer noise.Close()
	shout := func() {
		for _, first := range []byte{0, 1, 3, 20, 22, 25, 63, 64, 127, 128, 129, 190, 191, 255} {
			for _, n := range []int{1, 4, 12, 20, 172, 1500, 1600, 4000} {
				b := bytes.Repeat([]byte{first, 200, 7}, n)[:n]
				noise.Write(b)
			}
		}
	}
	offer, err := l.Offer(t.Context())
	check(t, err)
	shout()
	check(t, l.SetAnswer(p.answer(offer)))
	shout()
	await(t, "connection", l.Connected())
	hum(t, l, p, codec.PCMU)
	for range 5 {
		shout()
		n := len(p.packets())
		p.await("sound", func(got []rtp.Packet) bool { return len(got) > n })
	}
	if s := l.Stats(); s.Lost > 0 && s.Received == 0 {
		t.Fatalf("%+v", s)
	}
	select {
	case <-l.Failed():
		t.Fatal(l.Err())
	default:
	}
}

func TestOutOfTurn(t *testing.T) {
	l := newLeg(t, Config{})
	if err := l.SetAnswer(nil); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	if _, err := l.Reoffer(SendRecv); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	_, err := l.Offer(t.Context())
	check(t, err)
	if _, err := l.Offer(t.Context()); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	check(t, l.Close())
	if err := l.SetAnswer(nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	l.Drain(func(Packet) {})
	l.Send(codec.Opus, []byte{1})
	if _, err := New(Config{Local: loopback, Now: time.Now}); err == nil {
		t.Error("leg without an identity")
	}
	if _, err := New(Config{Identity: identity(), Now: time.Now}); err == nil {
		t.Error("leg without an address")
	}
}
