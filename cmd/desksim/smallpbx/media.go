package smallpbx

import (
	"bytes"
	"context"

	"deskset/audio/codec"
	"deskset/cmd/desksim/smallpbx/rtplite"

	"github.com/pion/rtp"
)

// media is the sound of one leg: WebRTC or plain RTP. Its calls are made by one
// goroutine at a time; write may come from any.
type media interface {
	// offer describes our side, first or again.
	offer(ctx context.Context) ([]byte, error)
	// answer takes the peer's offer, first or again.
	answer(ctx context.Context, offer []byte) ([]byte, error)
	// accept takes the peer's answer.
	accept(ctx context.Context, answer []byte) error
	// agreed is what was negotiated; ok is false before.
	agreed() (agreement, bool)
	write(h *rtp.Header, payload []byte) error
	// close ends it, and waits for its goroutines.
	close()
}

// agreement is what to send, and how to read what comes.
type agreement struct {
	send   rtplite.Format
	event  rtplite.Event
	hasEv  bool
	codecs map[uint8]codec.Codec // by payload type, incoming
	events map[uint8]uint32      // clock by payload type, incoming
	peer   rtplite.Direction     // as the peer sees it
}

// onPacket gets each incoming RTP packet; it must be done with it on return.
type onPacket func(*rtp.Packet)

// isWebRTC tells an offer for DTLS-SRTP from a plain one.
func isWebRTC(sdp []byte) bool { return bytes.Contains(sdp, []byte("UDP/TLS/RTP/SAVPF")) }
