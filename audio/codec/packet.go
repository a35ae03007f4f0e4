package codec

import "fmt"

// TOC is the first byte of an Opus packet (RFC 6716 section 3.1).
type TOC byte

// Mode is the coder a packet was made by.
type Mode uint8

const (
	SILK Mode = iota
	Hybrid
	CELT
)

// Config is the configuration number, 0..31: mode, bandwidth, frame size.
func (t TOC) Config() int { return int(t >> 3) }

// Stereo says that the frames are coded as stereo.
func (t TOC) Stereo() bool { return t&4 != 0 }

// Code is the frame count code, 0..3.
func (t TOC) Code() int { return int(t & 3) }

// Mode is the coder.
func (t TOC) Mode() Mode {
	switch c := t.Config(); {
	case c < 12:
		return SILK
	case c < 16:
		return Hybrid
	}
	return CELT
}

// FrameSamples is the duration of one frame in 48 kHz samples: 2.5 to 60 ms.
func (t TOC) FrameSamples() int {
	c := t.Config()
	switch {
	case c < 12: // SILK: 10, 20, 40, 60 ms
		return [4]int{480, 960, 1920, 2880}[c&3]
	case c < 16: // hybrid: 10, 20 ms
		return [2]int{480, 960}[c&1]
	}
	return quantum << (c & 3) // CELT: 2.5, 5, 10, 20 ms
}

// MaxFrames is the most frames a packet can hold: 120 ms of 2.5 ms frames.
const MaxFrames = 48

// maxFrameBytes is the largest frame (RFC 6716 section 3.4, R2).
const maxFrameBytes = 1275

// Packet is the framing of one Opus packet (RFC 6716 section 3.2), taken
// apart. It refers to the bytes it was parsed from by offset only.
type Packet struct {
	TOC     TOC
	Count   int // frames, 1..MaxFrames
	VBR     bool
	Padding int // bytes of padding at the end (without their length bytes)
	Offset  int // of the first frame's bytes; before it stand TOC and lengths
	sizes   [MaxFrames]uint16
}

// Samples is the packet's duration in 48 kHz samples.
func (p *Packet) Samples() int { return p.Count * p.TOC.FrameSamples() }

// Size is the length of frame i in bytes; 0 is a frame that was not sent.
func (p *Packet) Size(i int) int { return int(p.sizes[i]) }

// Frames gives the bytes of all frames, one after the other, of the packet
// that p was parsed from.
func (p *Packet) Frames(pkt []byte) []byte {
	n := 0
	for _, s := range p.sizes[:p.Count] {
		n += int(s)
	}
	return pkt[p.Offset : p.Offset+n]
}

// ParseTOC gives the first byte, which even a packet that is otherwise damaged has.
func ParseTOC(pkt []byte) (TOC, error) {
	if len(pkt) == 0 {
		return 0, fmt.Errorf("%w: empty", ErrPacket)
	}
	return TOC(pkt[0]), nil
}

// Duration is the duration of an Opus packet in 48 kHz samples. The whole
// framing is checked.
func Duration(pkt []byte) (int, error) {
	var p Packet
	if err := p.Parse(pkt); err != nil {
		return 0, err
	}
	return p.Samples(), nil
}

// Parse takes apart a packet as it comes in RTP, checking all of RFC 6716
// section 3.4. Errors are ErrPacket.
func (p *Packet) Parse(pkt []byte) error {
	_, err := p.parse(pkt, false)
	return err
}

// ParseSelfDelimited takes apart the self-delimiting packet (RFC 6716 appendix
// B) at the start of b, and gives the number of bytes it takes.
func (p *Packet) ParseSelfDelimited(b []byte) (n int, err error) { return p.parse(b, true) }

func bad(why string) error { return fmt.Errorf("%w: %s", ErrPacket, why) }

func (p *Packet) parse(b []byte, self bool) (int, error) {
	if len(b) == 0 {
		return 0, bad("empty")
	}
	*p = Packet{TOC: TOC(b[0]), Count: 1}
	at := 1
	length := func() (int, bool) { // RFC 6716 section 3.2.1
		if at >= len(b) {
			return 0, false
		}
		n := int(b[at])
		at++
		if n >= 252 {
			if at >= len(b) {
				return 0, false
			}
			n += 4 * int(b[at])
			at++
		}
		return n, true
	}
	switch p.TOC.Code() {
	case 1:
		p.Count = 2
	case 2:
		p.Count, p.VBR = 2, true
	case 3:
		if len(b) < 2 {
			return 0, bad("no frame count")
		}
		at = 2
		p.Count, p.VBR = int(b[1]&0x3f), b[1]&0x80 != 0
		if p.Count == 0 || p.Samples() > MaxSamples {
			return 0, bad("frame count")
		}
		if b[1]&0x40 != 0 {
			for {
				if at >= len(b) {
					return 0, bad("padding length")
				}
				v := int(b[at])
				at++
				if v < 255 {
					p.Padding += v
					break
				}
				p.Padding += 254
			}
		}
	}

	// All lengths that are written out: every one but the last when VBR; the
	// self-delimiting form adds the last (VBR) or the one for all (CBR).
	given := 0
	if p.VBR {
		given = p.Count - 1
	}
	if self {
		given++
	}
	for i := range given {
		n, ok := length()
		if !ok || n > maxFrameBytes {
			return 0, bad("frame length")
		}
		p.sizes[i] = uint16(n)
	}
	p.Offset = at

	total := 0
	for _, s := range p.sizes[:given] {
		total += int(s)
	}
	switch {
	case self && !p.VBR: // the one length is that of every frame
		for i := range p.Count {
			p.sizes[i] = p.sizes[0]
		}
		total = int(p.sizes[0]) * p.Count
	case !self:
		left := len(b) - at - p.Padding - total
		if left < 0 {
			return 0, bad("frames longer than the packet")
		}
		n := left
		if !p.VBR {
			if left%p.Count != 0 {
				return 0, bad("frames not of one size")
			}
			n = left / p.Count
		}
		if n > maxFrameBytes {
			return 0, bad("frame too large")
		}
		for i := given; i < p.Count; i++ {
			p.sizes[i] = uint16(n)
		}
		total += left
	}
	if end := at + total + p.Padding; end <= len(b) {
		return end, nil
	}
	return 0, bad("frames longer than the packet")
}

// HasFEC says whether an Opus packet carries in-band FEC (LBRR) for the packet
// before it. The flags are the first bits of the first frame, readable without
// the range decoder (RFC 6716 section 4.2.3).
func HasFEC(pkt []byte) bool {
	var p Packet
	if p.Parse(pkt) != nil || p.TOC.Mode() == CELT || p.sizes[0] == 0 {
		return false
	}
	n := max(1, p.TOC.FrameSamples()/Frame) // SILK frames, one VAD flag each
	first := pkt[p.Offset]
	if first>>(7-n)&1 != 0 {
		return true
	}
	return p.TOC.Stereo() && first>>(6-2*n)&1 != 0
}
