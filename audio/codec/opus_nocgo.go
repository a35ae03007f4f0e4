//go:build !cgo

package codec

import "errors"

// ErrNoOpus is what the constructors give in a program built without cgo.
// Packet inspection and G.711 work there all the same, so programs that never
// decode can be pure Go.
var ErrNoOpus = errors.New("opus: this program was built without cgo and has no libopus")

// OpusEncoder cannot be made without cgo.
type OpusEncoder struct{}

// OpusDecoder cannot be made without cgo.
type OpusDecoder struct{}

// NewOpusEncoder gives ErrNoOpus.
func NewOpusEncoder(int) (*OpusEncoder, error) { return nil, ErrNoOpus }

// NewOpusDecoder gives ErrNoOpus.
func NewOpusDecoder() (*OpusDecoder, error) { return nil, ErrNoOpus }

func (*OpusEncoder) Encode([]byte, []int16) (int, error) { return 0, ErrNoOpus }
func (*OpusEncoder) SetLoss(int) error                   { return ErrNoOpus }
func (*OpusEncoder) SetComplexity(int) error             { return ErrNoOpus }
func (*OpusEncoder) SetBitrate(int) error                { return ErrNoOpus }
func (*OpusEncoder) Lookahead() int                      { return DefaultLookahead }
func (*OpusDecoder) Decode([]int16, []byte) (int, error) { return 0, ErrNoOpus }
func (*OpusDecoder) Conceal([]int16) error               { return ErrNoOpus }
func (*OpusDecoder) FEC([]int16, []byte) error           { return ErrNoOpus }
func (*OpusDecoder) Reset() error                        { return ErrNoOpus }

// OpusVersion is empty without cgo.
func OpusVersion() string { return "" }
