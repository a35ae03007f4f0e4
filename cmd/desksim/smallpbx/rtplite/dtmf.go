package rtplite

import (
	"errors"
	"fmt"
	"strings"
)

// keys are the DTMF events 0..15 of RFC 4733 section 3.2.
const keys = "0123456789*#ABCD"

// EventMs is how long a key that we send lasts, in milliseconds.
const EventMs = 100

// EventPayload is one telephone-event packet's payload.
type EventPayload struct {
	Event    uint8
	End      bool
	Volume   uint8
	Duration uint16 // in ticks of the event's clock
}

// ErrEvent says that a payload is no telephone-event.
var ErrEvent = errors.New("telephone-event of fewer than 4 bytes")

// ParseEvent reads a payload (RFC 4733 section 2.3).
func ParseEvent(b []byte) (EventPayload, error) {
	if len(b) < 4 {
		return EventPayload{}, ErrEvent
	}
	return EventPayload{Event: b[0], End: b[1]&0x80 != 0, Volume: b[1] & 0x3f,
		Duration: uint16(b[2])<<8 | uint16(b[3])}, nil
}

// Bytes is the payload.
func (e EventPayload) Bytes() []byte {
	b := []byte{e.Event, e.Volume & 0x3f, byte(e.Duration >> 8), byte(e.Duration)}
	if e.End {
		b[1] |= 0x80
	}
	return b
}

// Key is the event's key, ok false for a tone that is no key.
func (e EventPayload) Key() (key byte, ok bool) {
	if int(e.Event) < len(keys) {
		return keys[e.Event], true
	}
	return 0, false
}

// EventOf is the event number of a key.
func EventOf(key byte) (uint8, error) {
	i := strings.IndexByte(keys, key)
	if i < 0 {
		return 0, fmt.Errorf("no DTMF key %q", key)
	}
	return uint8(i), nil
}

// Keys collects the keys of a stream: each event once, however many packets
// carry it, known by its timestamp.
type Keys struct {
	seen   bool
	lastTS uint32
	lastEv uint8
}

// Packet takes one packet and returns its key when it is the event's first.
func (k *Keys) Packet(ts uint32, payload []byte) (key byte, ok bool) {
	e, err := ParseEvent(payload)
	if err != nil || (k.seen && k.lastTS == ts && k.lastEv == e.Event) {
		return 0, false
	}
	k.seen, k.lastTS, k.lastEv = true, ts, e.Event
	return e.Key()
}
