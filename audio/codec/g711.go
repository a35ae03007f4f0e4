package codec

import (
	"deskset/audio/resample"
)

const (
	g711Rate  = 8000
	g711Frame = g711Rate / 50
	g711Max   = g711Rate * 120 / 1000 // longest payload taken: 120 ms
)

// law is one of the two companding laws of ITU-T G.711, as tables.
type law struct {
	lin [256]int16     // code to 16-bit linear
	enc [1 << 14]uint8 // top 14 bits of a linear sample, as unsigned, to code
}

var (
	muLaw = newLaw(muToLinear, linearToMu)
	aLaw  = newLaw(aToLinear, linearToA)
)

func newLaw(dec func(uint8) int16, enc func(int16) uint8) *law {
	l := &law{}
	for i := range l.lin {
		l.lin[i] = dec(uint8(i))
	}
	for i := range l.enc {
		l.enc[i] = enc(int16(uint16(i << 2)))
	}
	return l
}

func (l *law) code(s int16) uint8 { return l.enc[uint16(s)>>2] }

// muToLinear is G.711 table 2: 8 segments of 16 steps over 14 bits, biased by
// 33, all bits inverted on the line.
func muToLinear(c uint8) int16 {
	c = ^c
	mag := (int16(c&15)<<1 + 33) << (c >> 4 & 7)
	mag = (mag - 33) << 2
	if c&0x80 != 0 {
		return -mag
	}
	return mag
}

func linearToMu(s int16) uint8 {
	v := int(s) >> 2
	sign := uint8(0)
	if v < 0 {
		v, sign = -v-1, 0x80 // one's complement, as in ITU-T G.191
	}
	v = min(v+33, 0x1fff)
	seg := 0
	for v>>(seg+6) != 0 {
		seg++
	}
	return ^(sign | uint8(seg<<4) | uint8(v>>(seg+1)&15))
}

// aToLinear is G.711 table 1: 13 bits, even bits inverted on the line.
func aToLinear(c uint8) int16 {
	c ^= 0x55
	mag := int16(c&15)<<1 + 1
	if seg := c >> 4 & 7; seg > 0 {
		mag = (mag + 32) << (seg - 1)
	}
	mag <<= 3
	if c&0x80 == 0 {
		return -mag
	}
	return mag
}

func linearToA(s int16) uint8 {
	v := int(s) >> 4 // 12 bits of magnitude
	sign := uint8(0x80)
	if v < 0 {
		v, sign = -v-1, 0
	}
	seg := 0
	for v>>(seg+4) != 0 {
		seg++
	}
	step := v & 15
	if seg > 0 {
		step = v >> (seg - 1) & 15
		seg &= 7
	}
	return (sign | uint8(seg<<4) | uint8(step)) ^ 0x55
}

// G711Encoder encodes PCMU or PCMA.
type G711Encoder struct {
	law  *law
	down *resample.Resampler
	buf  [g711Frame + 2]int16
}

// NewPCMUEncoder makes a mu-law encoder.
func NewPCMUEncoder() *G711Encoder { return newG711Encoder(muLaw) }

// NewPCMAEncoder makes an A-law encoder.
func NewPCMAEncoder() *G711Encoder { return newG711Encoder(aLaw) }

func newG711Encoder(l *law) *G711Encoder {
	return &G711Encoder{law: l, down: mustResample(Rate, g711Rate)}
}

// mustResample is for the two ratios of this file, which resample knows.
func mustResample(from, to int) *resample.Resampler {
	r, err := resample.New(from, to)
	if err != nil {
		panic(err)
	}
	return r
}

// Encode implements Encoder: 160 bytes.
func (e *G711Encoder) Encode(dst []byte, pcm []int16) (int, error) {
	if len(pcm) != Frame {
		return 0, ErrFrame
	}
	if len(dst) < g711Frame {
		return 0, ErrShort
	}
	n := e.down.Process(e.buf[:], pcm)
	for i, s := range e.buf[:n] {
		dst[i] = e.law.code(s)
	}
	return n, nil
}

// SetLoss implements Encoder: G.711 has no redundancy.
func (e *G711Encoder) SetLoss(int) error { return nil }

// SetComplexity implements Encoder: there is nothing to choose.
func (e *G711Encoder) SetComplexity(int) error { return nil }

// G711Decoder decodes PCMU or PCMA, with concealment of lost packets.
type G711Decoder struct {
	law *law
	up  *resample.Resampler
	plc plc
	buf [g711Max]int16
}

// NewPCMUDecoder makes a mu-law decoder.
func NewPCMUDecoder() *G711Decoder { return newG711Decoder(muLaw) }

// NewPCMADecoder makes an A-law decoder.
func NewPCMADecoder() *G711Decoder { return newG711Decoder(aLaw) }

func newG711Decoder(l *law) *G711Decoder {
	return &G711Decoder{law: l, up: mustResample(g711Rate, Rate)}
}

// Decode implements Decoder.
func (d *G711Decoder) Decode(dst []int16, pkt []byte) (int, error) {
	if len(pkt) == 0 || len(pkt) > g711Max {
		return 0, ErrPacket
	}
	if len(dst) < len(pkt)*Rate/g711Rate {
		return 0, ErrShort
	}
	pcm := d.buf[:len(pkt)]
	for i, c := range pkt {
		pcm[i] = d.law.lin[c]
	}
	d.plc.good(pcm)
	return d.up.Process(dst, pcm), nil
}

// Conceal implements Decoder.
func (d *G711Decoder) Conceal(dst []int16) error {
	if len(dst) == 0 || len(dst)%quantum != 0 || len(dst) > MaxSamples {
		return ErrFrame
	}
	pcm := d.buf[:len(dst)*g711Rate/Rate]
	d.plc.lost(pcm)
	d.up.Process(dst, pcm)
	return nil
}

// FEC implements Decoder: G.711 carries none, so this is Conceal.
func (d *G711Decoder) FEC(dst []int16, _ []byte) error { return d.Conceal(dst) }

// Reset implements Decoder.
func (d *G711Decoder) Reset() error {
	d.plc = plc{}
	d.up.Reset()
	return nil
}

var (
	_ Encoder = (*G711Encoder)(nil)
	_ Decoder = (*G711Decoder)(nil)
)
