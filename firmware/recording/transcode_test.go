package recording

import (
	"bytes"
	"math"
	"testing"

	"deskset/audio/codec"
	"deskset/audio/oggopus"
	"deskset/firmware/record"
)

// sine is n samples at 48 kHz of a tone, from sample at.
func sine(hz float64, at, n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(at+i)/48000))
	}
	return out
}

// power of a tone in x, in dB against all that x holds.
func power(x []int16, hz float64) float64 {
	var re, im, all float64
	for i, v := range x {
		s, c := math.Sincos(2 * math.Pi * hz * float64(i) / 48000)
		re += float64(v) * c
		im += float64(v) * s
		all += float64(v) * float64(v)
	}
	if all == 0 {
		return math.Inf(-1)
	}
	return 10 * math.Log10(2*(re*re+im*im)/(float64(len(x))*all))
}

func encoder(t *testing.T, c codec.Codec) codec.Encoder {
	t.Helper()
	e, err := c.NewEncoder(0)
	if err != nil {
		t.Skip(err)
	}
	return e
}

// TestG711 records a call in G.711: both legs are there, and marked.
func TestG711(t *testing.T) {
	encoder(t, codec.Opus)
	s := &shelf{}
	g := newRig(s)
	a, c := encoder(t, codec.PCMA), encoder(t, codec.PCMA)
	buf := make([]byte, codec.MaxPayload)
	const ticks = 200
	for i := range ticks {
		n, err := a.Encode(buf, sine(440, i*960, 960))
		if err != nil {
			t.Fatal(err)
		}
		g.r.Agent(codec.PCMA, buf[:n], g.base+int64(i)*960)
		if n, err = c.Encode(buf, sine(1000, i*960, 960)); err != nil {
			t.Fatal(err)
		}
		if i%20 == 7 {
			continue // lost
		}
		g.r.Customer(Packet{Codec: codec.PCMA, SSRC: 9, Seq: uint16(i), TS: uint32(i) * 160, Payload: buf[:n], At: g.base + int64(i)*960})
	}
	g.r.End()
	_, legC := s.legs(t)
	for i := range ticks {
		if (legC[i] == nil) != (i%20 == 7) {
			t.Fatalf("slot %d: %d bytes", i, len(legC[i]))
		}
	}
	agent, customer, err := oggopus.Decode(s.ogg())
	if err != nil {
		t.Fatal(err)
	}
	if p := power(agent[48000:96000], 440); p < -1 {
		t.Errorf("agent's tone is at %.1f dB", p)
	}
	if p := power(customer[48000:96000], 1000); p < -3 {
		t.Errorf("customer's tone is at %.1f dB", p)
	}
	f := s.facts(t, record.Transcoded)
	if len(f) != 4 {
		t.Fatalf("%+v", f)
	}
	for _, x := range f[2:] {
		if x.Ms != 0 || x.UntilMs < 3980 || x.Text != "the far end speaks PCMA" {
			t.Errorf("%+v", x)
		}
	}
}

// TestOtherPackets: Opus that does not fit a slot is re-encoded, what fits
// around it is not.
func TestOtherPackets(t *testing.T) {
	e := encoder(t, codec.Opus)
	buf := make([]byte, codec.MaxPayload)
	twenty := func(at int) []byte {
		n, err := e.Encode(buf, sine(500, at*960, 960))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(buf[:n])
	}
	// Two 20 ms frames of equal TOC in one packet (RFC 6716 3.2.4, code 2).
	forty := func(at int) []byte {
		a, b := twenty(at), twenty(at+1)
		if len(a) > 251 {
			t.Fatal("too long for this test")
		}
		out := []byte{a[0]&^3 | 2, byte(len(a) - 1)}
		return append(append(out, a[1:]...), b[1:]...)
	}
	s := &shelf{}
	g := newRig(s)
	exact := map[int][]byte{}
	const ticks = 300
	for i := 0; i < ticks; i++ {
		g.r.Tick(g.base + int64(i)*960)
		p := Packet{Codec: codec.Opus, SSRC: 5, Seq: uint16(i), TS: uint32(i) * 960, At: g.base + int64(i)*960}
		switch {
		case i < 100 || i >= 200:
			p.Payload = twenty(i)
			exact[i] = p.Payload
		case i%2 == 0:
			p.Payload = forty(i)
			p.Seq = uint16(100 + (i-100)/2)
		default:
			continue
		}
		if i >= 200 {
			p.Seq = uint16(150 + i - 200)
		}
		g.r.Customer(p)
	}
	g.r.End()
	_, c := s.legs(t)
	for i := range ticks {
		if want, ok := exact[i]; ok && !bytes.Equal(c[i], want) {
			t.Fatalf("slot %d is not bit-exact", i)
		}
		if c[i] == nil {
			t.Fatalf("slot %d is lost", i)
		}
	}
	_, customer, err := oggopus.Decode(s.ogg())
	if err != nil {
		t.Fatal(err)
	}
	if p := power(customer[48000*5/2:48000*7/2], 500); p < -1 {
		t.Errorf("tone is at %.1f dB", p)
	}
	f := s.facts(t, record.Transcoded)
	if len(f) != 2 || f[1].Ms != 2000 || f[1].UntilMs != 4000 || f[1].Leg != "customer" {
		t.Errorf("%+v", f)
	}
}
