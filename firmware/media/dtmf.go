package media

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// Length of a digit in frames of 20 ms: tone, then silence up to the next. The
// last packet of a tone is sent three times (RFC 4733 section 2.5.1.4), which
// reaches into the silence. Q.24 wants 40 ms of each; PBXs like more.
const (
	toneFrames  = 5 // 100 ms
	endFrames   = 3
	digitFrames = 9  // 180 ms
	eventVolume = 10 // dBm0 below zero
)

// maxDigits may wait to be sent.
const maxDigits = 64

// eventDigits in order of their event codes, RFC 4733 section 3.2.
const eventDigits = "0123456789*#ABCD"

// dtmf is the digit that is being sent and those that wait.
type dtmf struct {
	waiting []byte // event codes
	on      bool
	code    byte
	frame   int
	ts      uint32
}

// SendDTMF queues digits (0-9 * # A-D) to be sent as telephone events, one each
// 180 ms, in place of sound. It does not wait, and keeps nothing of them.
func (l *Leg) SendDTMF(digits string) error {
	codes := make([]byte, 0, len(digits))
	for _, d := range strings.ToUpper(digits) {
		i := strings.IndexRune(eventDigits, d)
		if i < 0 {
			return fmt.Errorf("%w: character %d of %d", ErrDigits, len(codes)+1, len(digits))
		}
		codes = append(codes, byte(i))
	}
	deal := l.deal.Load()
	if deal == nil {
		return fmt.Errorf("%w: no session yet", ErrState)
	}
	if !deal.events {
		return ErrNoEvents
	}
	l.rt.mu.Lock()
	defer l.rt.mu.Unlock()
	q := &l.rt.out.dtmf.waiting
	if len(*q)+len(codes) > maxDigits {
		return fmt.Errorf("%w: more than %d wait", ErrDigits, maxDigits)
	}
	*q = append(*q, codes...)
	return nil
}

// DTMFTime is how long n digits take to be sent.
func DTMFTime(n int) time.Duration { return time.Duration(n) * digitFrames * frameTime }

// tick is what an event makes of one tick.
type tick uint8

const (
	soundTick tick = iota // no event: the tick is the sound's
	eventTick             // body is to be sent
	pauseTick             // between digits: nothing is to be sent
)

// next goes on by one frame. ts and ticks are the sound's time stamp and frame.
// Durations count on the event's own clock, which is another one where a PBX
// lists only telephone-event/8000 beside Opus.
func (d *dtmf) next(deal *agreed, ts, ticks uint32) (t tick, body [4]byte) {
	if !deal.events || !deal.dir.Sends() {
		d.on, d.waiting = false, nil // held: late digits would be wrong ones
		return soundTick, body
	}
	if d.on && d.frame == digitFrames {
		d.on = false
	}
	if !d.on {
		if len(d.waiting) == 0 {
			return soundTick, body
		}
		d.on, d.code, d.frame, d.ts = true, d.waiting[0], 0, ts
		d.waiting = d.waiting[1:]
	}
	d.frame++
	if d.frame >= toneFrames+endFrames {
		return pauseTick, body
	}
	if deal.eventClock != deal.codec.ClockRate() {
		ticks = deal.eventClock / 50
	}
	body[0], body[1] = d.code, eventVolume
	if d.frame >= toneFrames {
		body[1] |= 1 << 7 // end
	}
	binary.BigEndian.PutUint16(body[2:], uint16(uint32(min(d.frame, toneFrames))*ticks))
	return eventTick, body
}
