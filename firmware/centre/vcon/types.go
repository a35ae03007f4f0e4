// Package vcon builds the record of a call from its facts, in the form that
// the IETF's vCon working group has chosen (draft-ietf-vcon-vcon-core-04), and
// signs it. Building is pure: the same facts give the same record.
package vcon

import (
	"encoding/json"
	"time"
)

// VCon is the unsigned form, as far as a recorded call needs it.
type VCon struct {
	UUID        string       `json:"uuid"` // the recording's id
	CreatedAt   time.Time    `json:"created_at"`
	Subject     string       `json:"subject,omitempty"`
	Parties     []Party      `json:"parties"`
	Dialog      []Dialog     `json:"dialog"`
	Attachments []Attachment `json:"attachments"`
}

// Indices of the parties that every vCon of ours begins with.
const (
	agent = iota
	customer
	centre
)

// Party of the conversation, or who adds to its record.
type Party struct {
	Tel  string `json:"tel,omitempty"`
	SIP  string `json:"sip,omitempty"`
	Name string `json:"name,omitempty"`
	Type string `json:"type,omitempty"` // "person", "bot", "organization"
	Org  string `json:"org,omitempty"`
}

// Dialog is what was said, or that nothing was.
type Dialog struct {
	Type        string    `json:"type"` // "recording", "incomplete", "transfer"
	Start       time.Time `json:"start"`
	Duration    *float64  `json:"duration,omitempty"` // seconds
	Parties     []int     `json:"parties,omitempty"`  // a channel each: agent, customer
	Originator  *int      `json:"originator,omitempty"`
	MediaType   string    `json:"mediatype,omitempty"`
	Filename    string    `json:"filename,omitempty"`
	URL         string    `json:"url,omitempty"`
	ContentHash string    `json:"content_hash,omitempty"` // "sha512-" and base64url
	Disposition string    `json:"disposition,omitempty"`
	Application string    `json:"application,omitempty"`
	History     []History `json:"party_history,omitempty"`

	Transferee     *int `json:"transferee,omitempty"`
	Transferor     *int `json:"transferor,omitempty"`
	TransferTarget *int `json:"transfer_target,omitempty"`
	Original       *int `json:"original,omitempty"`
}

// History is one event of a party.
type History struct {
	Party int       `json:"party"`
	Time  time.Time `json:"time"`
	Event string    `json:"event"` // "join", "drop", "hold", "unhold", "mute", "unmute"
}

// Attachment is a document that belongs to the call.
type Attachment struct {
	Purpose   string          `json:"purpose"`
	Start     time.Time       `json:"start"`
	Party     int             `json:"party"`
	Dialog    int             `json:"dialog"`
	MediaType string          `json:"mediatype"`
	Encoding  string          `json:"encoding"`
	Body      json.RawMessage `json:"body"`
}

// Purposes of the attachments.
const (
	PurposeBasis = "lawful_basis" // draft-howe-vcon-lawful-basis
	PurposeCall  = "deskset_call" // Call
)
