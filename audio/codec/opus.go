package codec

import "errors"

// ErrNoOpus is what the constructors give in a program built without cgo.
// Packet inspection and G.711 work there all the same, so programs that never
// decode can be pure Go.
var ErrNoOpus = errors.New("opus: this program was built without cgo and has no libopus")

// What an Opus stream of ours is set to until the caller says otherwise.
const (
	DefaultBitrate    = 24000 // bit/s
	DefaultComplexity = 5     // of 10
	DefaultLoss       = 10    // percent: at 5 and less libopus adds no FEC at 24 kbit/s
	// DefaultLookahead is the encoder's delay at 48 kHz, in samples: 6.5 ms.
	DefaultLookahead = 312
)

var (
	_ Encoder = (*OpusEncoder)(nil)
	_ Decoder = (*OpusDecoder)(nil)
)
