package media

import (
	"fmt"

	"deskset/audio/codec"
)

func newPlayout(c codec.Codec) (Playout, error) { return nil, fmt.Errorf("no playout for %s", c) }
