package rtplite

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pion/rtp"
)

// Impairment makes a network worse, always in the same way. The zero value
// changes nothing.
type Impairment struct {
	// DropEvery loses each Nth packet; 0 loses none.
	DropEvery int
	// Jitter delays each packet by a pseudo-random time below it. Beyond 20 ms
	// packets overtake each other.
	Jitter time.Duration
	// JumpAfter moves the RTP timestamps by JumpTicks, once, when this much
	// has been sent (0: never).
	JumpAfter time.Duration
	JumpTicks int32
	// NewSSRCAfter changes SSRC, sequence numbers and timestamps, once, when
	// this much has been sent (0: never).
	NewSSRCAfter time.Duration
}

// Impairer applies an Impairment to one stream of packets.
type Impairer struct {
	mu     sync.Mutex
	imp    Impairment
	rng    *rand.Rand
	start  time.Time
	n      int
	jumped bool
	ssrc   uint32
	seqOff uint16
	tsOff  uint32
}

// Set changes the impairment; times count from the next packet on. What has
// already been moved (timestamps, SSRC) stays moved.
func (i *Impairer) Set(imp Impairment) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.imp, i.n, i.start, i.jumped = imp, 0, time.Time{}, false
	i.rng = rand.New(rand.NewPCG(1, 2))
}

// Send passes a packet on to write: changed, late or not at all. The payload
// must stay as it is.
func (i *Impairer) Send(h rtp.Header, payload []byte, write func(*rtp.Header, []byte) error) error {
	i.mu.Lock()
	now := time.Now()
	if i.start.IsZero() {
		i.start = now
	}
	i.n++
	sent := now.Sub(i.start)
	if i.imp.JumpAfter > 0 && !i.jumped && sent >= i.imp.JumpAfter {
		i.jumped = true
		i.tsOff += uint32(i.imp.JumpTicks)
	}
	if i.imp.NewSSRCAfter > 0 && sent >= i.imp.NewSSRCAfter {
		i.imp.NewSSRCAfter = 0
		i.ssrc = i.rng.Uint32() | 1
		i.seqOff += uint16(i.rng.Uint32())
		i.tsOff += i.rng.Uint32()
	}
	drop := i.imp.DropEvery > 0 && i.n%i.imp.DropEvery == 0
	var delay time.Duration
	if i.imp.Jitter > 0 {
		delay = time.Duration(i.rng.Int64N(int64(i.imp.Jitter)))
	}
	if i.ssrc != 0 {
		h.SSRC = i.ssrc
	}
	h.SequenceNumber += i.seqOff
	h.Timestamp += i.tsOff
	i.mu.Unlock()
	if drop {
		return nil
	}
	if delay > 0 {
		payload = append([]byte(nil), payload...)
		time.AfterFunc(delay, func() { write(&h, payload) })
		return nil
	}
	return write(&h, payload)
}
