package vcon

import (
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/record"
)

// CallFormat is the format of Call.
const CallFormat = "deskset-call/1"

// Call is what is known of a recorded call beyond the vCon's own words.
type Call struct {
	Format    string    `json:"format"`
	Recording string    `json:"recording"`
	Seat      string    `json:"seat"`
	Seq       uint64    `json:"seq"`
	Firmware  string    `json:"firmware"`
	End       fleet.End `json:"end"`
	Centre    string    `json:"centre"`

	Direction  string     `json:"direction,omitempty"` // "in", "out"
	From       string     `json:"from,omitempty"`
	To         string     `json:"to,omitempty"`
	Queue      string     `json:"queue,omitempty"`
	CallID     string     `json:"call_id,omitempty"`
	Agent      string     `json:"agent,omitempty"`
	DialTime   *time.Time `json:"dial_time,omitempty"`   // offered or dialled
	AnswerTime *time.Time `json:"answer_time,omitempty"` // none: it was not answered
	Released   *Release   `json:"released,omitempty"`    // none: power or process was lost first
	Basis      string     `json:"basis,omitempty"`
	Codecs     []string   `json:"codecs,omitempty"`
	Clock      string     `json:"clock,omitempty"` // "trusted", "untrusted", or "mixed"

	Holds       []Span        `json:"holds,omitempty"`
	Pauses      []Span        `json:"pauses,omitempty"` // nothing was recorded
	Mutes       []Span        `json:"mutes,omitempty"`
	NoHeadset   []Span        `json:"no_headset,omitempty"`
	Gaps        []Span        `json:"gaps,omitempty"`       // not received
	Transcoded  []Span        `json:"transcoded,omitempty"` // re-encoded, not as received
	Transfers   []Transfer    `json:"transfers,omitempty"`
	DTMFDigits  int           `json:"dtmf_digits,omitempty"` // how many, never which
	Quality     *record.Stats `json:"quality,omitempty"`
	OtherFacts  []record.Fact `json:"other_facts,omitempty"` // of kinds this centre does not know
	Parts       []PartRecord  `json:"parts"`
	ManifestSHA string        `json:"manifest_sha256"` // hex
	Received    time.Time     `json:"received"`
	RetainUntil time.Time     `json:"retain_until"`
	Problems    []string      `json:"problems,omitempty"` // what could not be read, in words
	LastFact    *time.Time    `json:"last_fact,omitempty"`
}

// Span of the recording's time line, in milliseconds.
type Span struct {
	FromMs int64      `json:"from_ms"`
	ToMs   int64      `json:"to_ms"`
	At     *time.Time `json:"at,omitempty"`
	By     string     `json:"by,omitempty"`
	Reason string     `json:"reason,omitempty"`
	Leg    string     `json:"leg,omitempty"`
	Open   bool       `json:"open,omitempty"` // its end is not known: it lasts to the recording's end
}

// Release says who ended the call.
type Release struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
}

// Transfer that was made.
type Transfer struct {
	At  time.Time `json:"at"`
	To  string    `json:"to"`
	How string    `json:"how,omitempty"` // "attended", "blind"
}

// PartRecord is a sealed file as the centre holds it.
type PartRecord struct {
	fleet.Part
	SHA512 string `json:"sha512"` // hex
}
