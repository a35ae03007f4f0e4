// Package codec turns 20 ms frames of sound into RTP payloads and back: Opus
// (RFC 6716, by libopus) and G.711 (PCMU, PCMA). On the PCM side everything is
// 48 kHz, mono, 16 bit, whatever the codec's own rate is.
//
// Encoders and decoders keep state from frame to frame; each belongs to one
// stream and to one goroutine at a time. Nothing allocates after construction.
package codec

import (
	"errors"
	"fmt"
	"strings"

	"deskset/audio/pcm"
)

const (
	// Rate is the PCM rate on the caller's side, in samples a second.
	Rate = pcm.Rate
	// Frame is one 20 ms frame in samples at Rate: what an Encoder takes.
	Frame = pcm.Frame
	// MaxSamples is the longest packet a Decoder gives, in samples at Rate:
	// 120 ms (RFC 6716 section 2.1.4). Decode into a buffer of this size.
	MaxSamples = 5760
	// MaxPayload is the size of a buffer that any encoded frame fits in, in bytes.
	MaxPayload = 1276
	// conceal lengths are multiples of this: 2.5 ms, the finest step of Opus.
	quantum = 120
)

var (
	// ErrShort says that the caller's buffer cannot hold the result.
	ErrShort = errors.New("codec: buffer too short")
	// ErrPacket says that a received payload is not what its codec allows; the
	// caller conceals the frame.
	ErrPacket = errors.New("codec: malformed packet")
	// ErrFrame says that a PCM length is not one the codec takes.
	ErrFrame = errors.New("codec: wrong frame length")
)

// Encoder encodes one stream.
type Encoder interface {
	// Encode takes exactly Frame samples and writes one RTP payload to dst
	// (MaxPayload bytes are always enough), returning its length.
	Encode(dst []byte, pcm []int16) (int, error)
	// SetLoss tells the expected packet loss in percent (0..100), by which
	// Opus spends bits on redundancy. G.711 has none and ignores it.
	SetLoss(percent int) error
	// SetComplexity trades CPU for quality, 0..10; G.711 ignores it.
	SetComplexity(c int) error
}

// Decoder decodes one stream.
type Decoder interface {
	// Decode writes one payload as PCM and returns the number of samples,
	// which is the payload's own duration (usually Frame). After an error the
	// decoder is still good; the caller conceals instead.
	Decode(dst []int16, pkt []byte) (n int, err error)
	// Conceal fills the whole of dst with a guess at a packet that is missing.
	// len(dst) is a multiple of 2.5 ms (120 samples) and at most MaxSamples.
	Conceal(dst []int16) error
	// FEC fills the whole of dst with the lost packet that came directly
	// before next, from the redundancy that next carries; where it carries
	// none (see HasFEC), this is Conceal. next itself must still be decoded
	// afterwards. len(dst) as in Conceal.
	FEC(dst []int16, next []byte) error
	// Reset forgets the stream's past, as when the sender starts anew.
	Reset() error
}

// Codec names one of the codecs of a call. The zero Codec is none.
type Codec uint8

const (
	None Codec = iota
	Opus
	PCMU
	PCMA
)

type facts struct {
	name     string
	clock    uint32
	channels int
	pt       uint8
	static   bool
}

var table = [...]facts{
	None: {name: "none", clock: 8000, channels: 1},
	Opus: {name: "opus", clock: 48000, channels: 2}, // RFC 7587 section 4.1: always 48000/2
	PCMU: {name: "PCMU", clock: 8000, channels: 1, pt: 0, static: true},
	PCMA: {name: "PCMA", clock: 8000, channels: 1, pt: 8, static: true},
}

func (c Codec) facts() facts {
	if int(c) < len(table) {
		return table[c]
	}
	return table[None]
}

// Name is the encoding name of SDP's a=rtpmap (RFC 8866 section 6.6), "none"
// for the zero Codec.
func (c Codec) Name() string { return c.facts().name }

// String is Name.
func (c Codec) String() string { return c.Name() }

// ClockRate is the RTP clock in ticks a second.
func (c Codec) ClockRate() uint32 { return c.facts().clock }

// FrameTicks is the RTP time of one 20 ms frame.
func (c Codec) FrameTicks() uint32 { return c.ClockRate() / 50 }

// SDPChannels is what stands after the clock in a=rtpmap: 2 for Opus, though
// what we send is mono.
func (c Codec) SDPChannels() int { return c.facts().channels }

// StaticPT is the RTP payload type of RFC 3551 table 4; ok is false for a
// codec whose type is dynamic.
func (c Codec) StaticPT() (pt uint8, ok bool) {
	f := c.facts()
	return f.pt, f.static
}

// ByName finds the codec of an SDP encoding name (case does not matter) and
// clock rate.
func ByName(name string, clock uint32) (Codec, bool) {
	for c := Opus; int(c) < len(table); c++ {
		if strings.EqualFold(name, table[c].name) && clock == table[c].clock {
			return c, true
		}
	}
	return None, false
}

// Samples is the duration of a payload in samples at Rate.
func (c Codec) Samples(pkt []byte) (int, error) {
	switch c {
	case Opus:
		return Duration(pkt)
	case PCMU, PCMA:
		if len(pkt) == 0 || len(pkt) > g711Max {
			return 0, fmt.Errorf("%w: %d bytes of %s", ErrPacket, len(pkt), c)
		}
		return len(pkt) * Rate / g711Rate, nil
	}
	return 0, errNone
}

var errNone = errors.New("codec: none chosen")

// NewEncoder makes an encoder; bitrate, in bit/s, is for Opus (0: DefaultBitrate).
func (c Codec) NewEncoder(bitrate int) (Encoder, error) {
	switch c {
	case Opus:
		return NewOpusEncoder(bitrate)
	case PCMU:
		return NewPCMUEncoder(), nil
	case PCMA:
		return NewPCMAEncoder(), nil
	}
	return nil, errNone
}

// NewDecoder makes a decoder.
func (c Codec) NewDecoder() (Decoder, error) {
	switch c {
	case Opus:
		return NewOpusDecoder()
	case PCMU:
		return NewPCMUDecoder(), nil
	case PCMA:
		return NewPCMADecoder(), nil
	}
	return nil, errNone
}
