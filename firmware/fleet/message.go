package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrUnknownMessage marks a well-formed message of a kind that this version
// does not know: skip it and go on, the other side may be newer.
var ErrUnknownMessage = errors.New("message of an unknown kind")

// ParseMessage reads one message of the event stream.
func ParseMessage(b []byte) (Message, error) {
	var m Message
	if len(b) > MaxMessage {
		return m, fmt.Errorf("message: %d bytes is too large", len(b))
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return Message{}, fmt.Errorf("message: %w", err)
	}
	n := 0
	for _, set := range []bool{m.State != nil, m.Policy != "", m.Hold != nil, m.Ping != 0, m.Pong != 0} {
		if set {
			n++
		}
	}
	switch {
	case n == 0:
		return Message{}, ErrUnknownMessage
	case n > 1:
		return Message{}, fmt.Errorf("message: %d things in one", n)
	case m.State != nil:
		if err := m.State.Check(); err != nil {
			return Message{}, err
		}
	case m.Hold != nil:
		if err := RecordingID(m.Hold.ID); err != nil {
			return Message{}, fmt.Errorf("legal hold: %w", err)
		}
	}
	return m, nil
}

// Encode is the inverse of ParseMessage.
func (m Message) Encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err == nil && len(b) > MaxMessage {
		return nil, fmt.Errorf("message: %d bytes is too large", len(b))
	}
	return bytes.TrimSpace(b), err
}
