// Package record says what is known of one call: the facts that are sealed
// while it happens and from which the centre builds the vCon. Facts are JSON
// lines; a reader that meets an unknown kind keeps the line and goes on.
package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Kind of a fact.
type Kind string

const (
	Offered     Kind = "offered"      // call came in or was dialled: Direction, From, To, Queue, CallID, Agent, Seat
	Dialled     Kind = "dialled"      // our INVITE went out: CallID
	Identity    Kind = "identity"     // the PBX names another far party, as after a transfer: From
	Answered    Kind = "answered"     // media agreed
	Codec       Kind = "codec"        // Text: name of the far end's codec
	Held        Kind = "held"         // by the seat
	Resumed     Kind = "resumed"      //
	Muted       Kind = "muted"        //
	Unmuted     Kind = "unmuted"      //
	Paused      Kind = "rec-paused"   // nothing is written from here; By, Text: reason
	Unpaused    Kind = "rec-resumed"  //
	DTMF        Kind = "dtmf"         // Count of digits sent, never which
	Transferred Kind = "transferred"  // To, Text: "attended" or "blind"
	Gap         Kind = "gap"          // Leg, Ms to UntilMs were not received
	Transcoded  Kind = "transcoded"   // Leg, Ms to UntilMs are re-encoded, Text: why
	HeadsetLost Kind = "headset-lost" //
	HeadsetBack Kind = "headset-back" //
	Quality     Kind = "quality"      // Stats of the call
	Released    Kind = "released"     // By, Text: reason
)

// Fact is one thing that happened. Empty members are left out.
type Fact struct {
	At        time.Time `json:"at"`              // as the seat's clock had it
	Clock     string    `json:"clock,omitempty"` // "trusted" or "untrusted" at that moment
	Ms        int64     `json:"ms"`              // milliseconds on the recording's time line, -1 before it began
	Kind      Kind      `json:"kind"`
	Direction string    `json:"direction,omitempty"` // "in" or "out"
	From      string    `json:"from,omitempty"`
	To        string    `json:"to,omitempty"`
	Queue     string    `json:"queue,omitempty"`
	CallID    string    `json:"call_id,omitempty"` // SIP Call-ID
	Agent     string    `json:"agent,omitempty"`
	Seat      string    `json:"seat,omitempty"`
	Basis     string    `json:"basis,omitempty"` // under which the recording is kept
	By        string    `json:"by,omitempty"`    // "agent", "customer", "pbx", "seat", "timer"
	Leg       string    `json:"leg,omitempty"`   // "agent" or "customer"
	UntilMs   int64     `json:"until_ms,omitempty"`
	Count     int       `json:"count,omitempty"`
	Text      string    `json:"text,omitempty"`
	Stats     *Stats    `json:"stats,omitempty"`
}

// Stats is the quality of one call's media, counted at the seat.
type Stats struct {
	Sent       uint64  `json:"sent"`        // RTP packets
	Received   uint64  `json:"received"`    //
	Lost       uint64  `json:"lost"`        // by sequence number
	Late       uint64  `json:"late"`        // came after their time to be heard; still recorded
	Concealed  uint64  `json:"concealed"`   // 20 ms frames made by PLC
	FEC        uint64  `json:"fec"`         // 20 ms frames rebuilt from in-band FEC
	JitterMs   float64 `json:"jitter_ms"`   // RFC 3550 6.4.1
	BufferMs   float64 `json:"buffer_ms"`   // mean depth of the jitter buffer
	RemoteLost uint64  `json:"remote_lost"` // as the far end's RTCP reported
	RTTMs      float64 `json:"rtt_ms"`
}

// Marshal is one line, newline included.
func Marshal(f Fact) ([]byte, error) {
	b, err := json.Marshal(f)
	return append(b, '\n'), err
}

// Parse reads lines; a damaged line is an error that names its number, with
// every readable fact returned beside it.
func Parse(b []byte) ([]Fact, error) {
	var out []Fact
	var bad error
	for i, line := range bytes.Split(b, []byte{'\n'}) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var f Fact
		if err := json.Unmarshal(line, &f); err != nil {
			if bad == nil {
				bad = fmt.Errorf("facts line %d: %w", i+1, err)
			}
			continue
		}
		out = append(out, f)
	}
	return out, bad
}
