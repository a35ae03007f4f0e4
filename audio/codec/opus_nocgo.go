//go:build !cgo

package codec

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
