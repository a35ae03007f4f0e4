package oggopus

import (
	"errors"

	"deskset/audio/codec"
)

// appendLength writes a frame length (RFC 6716 section 3.2.1).
func appendLength(b []byte, n int) []byte {
	if n < 252 {
		return append(b, byte(n))
	}
	first := 252 + n&3
	return append(b, byte(first), byte((n-first)/4))
}

// appendSelfDelimited appends pkt in the self-delimiting form of RFC 6716
// appendix B, whatever its frame count code: the one length that a packet in
// RTP leaves to be guessed from its end is put in front of the frames. (VBR: of
// the last frame; else that of every frame.)
func appendSelfDelimited(b, pkt []byte) ([]byte, error) {
	var p codec.Packet
	if err := p.Parse(pkt); err != nil {
		return b, err
	}
	b = append(b, pkt[:p.Offset]...)
	b = appendLength(b, p.Size(p.Count-1))
	return append(b, pkt[p.Offset:]...), nil
}

// cutSelfDelimited takes the self-delimiting packet at the start of b back into
// the form it had in RTP, and gives what follows it.
func cutSelfDelimited(b []byte) (pkt, rest []byte, err error) {
	var p codec.Packet
	n, err := p.ParseSelfDelimited(b)
	if err != nil {
		return nil, nil, err
	}
	width := 1
	if p.Size(p.Count-1) >= 252 {
		width = 2
	}
	pkt = make([]byte, 0, n-width)
	pkt = append(pkt, b[:p.Offset-width]...)
	return append(pkt, b[p.Offset:n]...), b[n:], nil
}

// appendLost appends a packet of one slot in which no frame was sent, with the
// configuration that came last: a decoder conceals it (RFC 6716 section 3.2.1,
// zero-length frames; RFC 7845 section 5.1.1 wants every stream in every packet).
func appendLost(b []byte, last codec.TOC) []byte {
	toc := byte(last) &^ 3
	switch n := SlotSamples / last.FrameSamples(); n {
	case 1:
		return append(b, toc)
	case 2:
		return append(b, toc|1)
	default:
		return append(b, toc|3, byte(n))
	}
}

// defaultTOC stands for a leg from which nothing has come yet: SILK wide band,
// 20 ms, mono.
const defaultTOC codec.TOC = 9 << 3

var errSlot = errors.New("oggopus: packet is not 20 ms long")

// Fits says why an Opus packet cannot be stored as it is: it is malformed, or
// does not last one slot. A nil packet is a lost one and fits.
func Fits(pkt []byte) error {
	if pkt == nil {
		return nil
	}
	n, err := codec.Duration(pkt)
	if err == nil && n != SlotSamples {
		err = errSlot
	}
	return err
}
