//go:build cgo

package codec

/*
#cgo pkg-config: opus
#cgo noescape deskset_opus_encode
#cgo nocallback deskset_opus_encode
#cgo noescape deskset_opus_decode
#cgo nocallback deskset_opus_decode
#include <opus.h>

// opus_*_ctl are variadic, which cgo cannot call.
static int deskset_opus_enc_set(OpusEncoder *st, int request, opus_int32 v) {
	return opus_encoder_ctl(st, request, v);
}
static int deskset_opus_enc_lookahead(OpusEncoder *st, opus_int32 *v) {
	return opus_encoder_ctl(st, OPUS_GET_LOOKAHEAD(v));
}
static int deskset_opus_dec_reset(OpusDecoder *st) {
	return opus_decoder_ctl(st, OPUS_RESET_STATE);
}
static int deskset_opus_encode(OpusEncoder *st, const opus_int16 *pcm, int n, unsigned char *dst, opus_int32 max) {
	return opus_encode(st, pcm, n, dst, max);
}
static int deskset_opus_decode(OpusDecoder *st, const unsigned char *pkt, opus_int32 len, opus_int16 *dst, int n, int fec) {
	return opus_decode(st, len > 0 ? pkt : NULL, len, dst, n, fec);
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// OpusEncoder encodes 48 kHz mono speech: VOIP mode, 20 ms, in-band FEC, no DTX.
// (libopus is bound here and not by hraban/opus because that package also
// wants libopusfile unless every build carries a tag.)
type OpusEncoder struct {
	// libopus allows its state in memory of ours (opus_encoder_init); it holds
	// no pointer into Go memory, so the collector may own it and nothing needs
	// to be closed.
	mem []uint64
	st  *C.OpusEncoder
}

// NewOpusEncoder makes an encoder; bitrate in bit/s, 0 for DefaultBitrate. It
// starts with DefaultComplexity and DefaultLoss.
func NewOpusEncoder(bitrate int) (*OpusEncoder, error) {
	if bitrate == 0 {
		bitrate = DefaultBitrate
	}
	e := &OpusEncoder{mem: make([]uint64, (int(C.opus_encoder_get_size(1))+7)/8)}
	e.st = (*C.OpusEncoder)(unsafe.Pointer(&e.mem[0]))
	if r := C.opus_encoder_init(e.st, Rate, 1, C.OPUS_APPLICATION_VOIP); r != C.OPUS_OK {
		return nil, opusError("new encoder", r)
	}
	for _, s := range []struct {
		what    string
		request C.int
		v       int
	}{
		{"bitrate", C.OPUS_SET_BITRATE_REQUEST, bitrate},
		{"in-band FEC", C.OPUS_SET_INBAND_FEC_REQUEST, 1},
		{"DTX", C.OPUS_SET_DTX_REQUEST, 0},
		{"signal", C.OPUS_SET_SIGNAL_REQUEST, C.OPUS_SIGNAL_VOICE},
		{"loss", C.OPUS_SET_PACKET_LOSS_PERC_REQUEST, DefaultLoss},
		{"complexity", C.OPUS_SET_COMPLEXITY_REQUEST, DefaultComplexity},
	} {
		if err := e.set(s.what, s.request, s.v); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (e *OpusEncoder) set(what string, request C.int, v int) error {
	if r := C.deskset_opus_enc_set(e.st, request, C.opus_int32(v)); r != C.OPUS_OK {
		return opusError(fmt.Sprintf("set %s %d", what, v), r)
	}
	return nil
}

// Encode implements Encoder.
func (e *OpusEncoder) Encode(dst []byte, pcm []int16) (int, error) {
	if len(pcm) != Frame {
		return 0, ErrFrame
	}
	if len(dst) == 0 {
		return 0, ErrShort
	}
	r := C.deskset_opus_encode(e.st, (*C.opus_int16)(unsafe.Pointer(&pcm[0])), Frame,
		(*C.uchar)(unsafe.Pointer(&dst[0])), C.opus_int32(min(len(dst), MaxPayload)))
	if r < 0 {
		return 0, opusError("encode", r)
	}
	return int(r), nil
}

// SetLoss implements Encoder.
func (e *OpusEncoder) SetLoss(percent int) error {
	return e.set("loss", C.OPUS_SET_PACKET_LOSS_PERC_REQUEST, percent)
}

// SetComplexity implements Encoder.
func (e *OpusEncoder) SetComplexity(c int) error {
	return e.set("complexity", C.OPUS_SET_COMPLEXITY_REQUEST, c)
}

// SetBitrate sets the rate in bit/s, 6000..510000.
func (e *OpusEncoder) SetBitrate(bitrate int) error {
	return e.set("bitrate", C.OPUS_SET_BITRATE_REQUEST, bitrate)
}

// Lookahead is the encoder's own delay in samples at Rate: what a file of its
// packets must skip at the start (RFC 7845 section 4.2).
func (e *OpusEncoder) Lookahead() int {
	var v C.opus_int32
	if C.deskset_opus_enc_lookahead(e.st, &v) != C.OPUS_OK {
		return DefaultLookahead
	}
	return int(v)
}

// OpusDecoder decodes to 48 kHz mono; stereo packets are mixed down.
type OpusDecoder struct {
	mem []uint64
	st  *C.OpusDecoder
}

// NewOpusDecoder makes a decoder.
func NewOpusDecoder() (*OpusDecoder, error) {
	d := &OpusDecoder{mem: make([]uint64, (int(C.opus_decoder_get_size(1))+7)/8)}
	d.st = (*C.OpusDecoder)(unsafe.Pointer(&d.mem[0]))
	if r := C.opus_decoder_init(d.st, Rate, 1); r != C.OPUS_OK {
		return nil, opusError("new decoder", r)
	}
	return d, nil
}

// Decode implements Decoder. The packet is checked against RFC 6716 section
// 3.4 before libopus sees it.
func (d *OpusDecoder) Decode(dst []int16, pkt []byte) (int, error) {
	n, err := Duration(pkt)
	if err != nil {
		return 0, err
	}
	if len(dst) < n {
		return 0, ErrShort
	}
	return n, d.decode(dst[:n], pkt, 0)
}

// Conceal implements Decoder.
func (d *OpusDecoder) Conceal(dst []int16) error {
	if len(dst) == 0 || len(dst)%quantum != 0 || len(dst) > MaxSamples {
		return ErrFrame
	}
	return d.decode(dst, nil, 0)
}

// FEC implements Decoder.
func (d *OpusDecoder) FEC(dst []int16, next []byte) error {
	if len(dst) == 0 || len(dst)%quantum != 0 || len(dst) > MaxSamples {
		return ErrFrame
	}
	if _, err := Duration(next); err != nil {
		return err
	}
	return d.decode(dst, next, 1)
}

// Reset implements Decoder.
func (d *OpusDecoder) Reset() error {
	if r := C.deskset_opus_dec_reset(d.st); r != C.OPUS_OK {
		return opusError("reset decoder", r)
	}
	return nil
}

// decode fills the whole of dst, which is not empty.
func (d *OpusDecoder) decode(dst []int16, pkt []byte, fec C.int) error {
	var p *C.uchar
	if len(pkt) > 0 {
		p = (*C.uchar)(unsafe.Pointer(&pkt[0]))
	}
	r := C.deskset_opus_decode(d.st, p, C.opus_int32(len(pkt)),
		(*C.opus_int16)(unsafe.Pointer(&dst[0])), C.int(len(dst)), fec)
	if r < 0 {
		return opusError("decode", r)
	}
	clear(dst[min(int(r), len(dst)):])
	return nil
}

func opusError(what string, r C.int) error {
	if r == C.OPUS_INVALID_PACKET {
		return ErrPacket
	}
	return fmt.Errorf("opus: %s: %s", what, C.GoString(C.opus_strerror(r)))
}

// OpusVersion names the libopus in use.
func OpusVersion() string { return C.GoString(C.opus_get_version_string()) }
