// Package audit is the auditor's side: what recordings there are, whether
// everything about them holds, and, with an offline voice key that never
// leaves the auditor's machine, their sound.
package audit

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"deskset/firmware/centre/intake"
	"deskset/firmware/centre/store"
	"deskset/firmware/centre/vcon"
	"deskset/firmware/fleet"
	"deskset/firmware/signed"
)

// Source is where recordings are read: a centre over HTTPS, or its directory.
type Source interface {
	// List sums up the recordings that match, in order of receiving.
	List(ctx context.Context, f Filter) ([]Summary, error)
	// Doc returns a document, or store.ErrNotFound.
	Doc(ctx context.Context, id string, d store.Doc) ([]byte, error)
	// Part opens a sealed part; size is its length in bytes.
	Part(ctx context.Context, id string, k store.PartKey) (r io.ReadCloser, size int64, err error)
	// SeatKeys are all keys that a seat has signed with.
	SeatKeys(ctx context.Context, seat string) ([]crypto.PublicKey, error)
}

// Filter chooses recordings; zero members choose all.
type Filter struct {
	Seat   string
	Agent  string
	Number string // of either party
	From   time.Time
	To     time.Time // received before
}

// Summary is one recording in a list.
type Summary struct {
	ID          string    `json:"id"`
	Seat        string    `json:"seat"`
	Seq         uint64    `json:"seq"`
	End         fleet.End `json:"end"`
	Bytes       int64     `json:"bytes"`
	State       string    `json:"state"` // "arriving", "received", "deleted"
	Received    time.Time `json:"received,omitzero"`
	RetainUntil time.Time `json:"retain_until,omitzero"`
	Held        bool      `json:"held"` // by a legal hold

	Direction string     `json:"direction,omitempty"`
	From      string     `json:"from,omitempty"`
	To        string     `json:"to,omitempty"`
	Queue     string     `json:"queue,omitempty"`
	Agent     string     `json:"agent,omitempty"`
	Dialled   *time.Time `json:"dial_time,omitempty"`
	Answered  *time.Time `json:"answer_time,omitempty"`
	Seconds   float64    `json:"seconds,omitempty"`
	Problems  []string   `json:"problems,omitempty"`
}

// States of a recording at the centre.
const (
	Arriving = "arriving"
	Received = "received"
	Deleted  = "deleted"
)

func (f Filter) match(s Summary) bool {
	switch {
	case f.Seat != "" && s.Seat != f.Seat,
		f.Agent != "" && s.Agent != f.Agent,
		f.Number != "" && s.From != f.Number && s.To != f.Number,
		!f.From.IsZero() && s.Received.Before(f.From),
		!f.To.IsZero() && !s.Received.Before(f.To):
		return false
	}
	return true
}

// Docs reads documents.
type Docs interface {
	Doc(ctx context.Context, id string, d store.Doc) ([]byte, error)
}

// Summarize reads one recording's documents. A vCon that does not verify is a
// problem of the summary; nothing of it is believed.
func Summarize(ctx context.Context, docs Docs, centre crypto.PublicKey, id string) (Summary, error) {
	s := Summary{ID: id, State: Arriving}
	doc, err := docs.Doc(ctx, id, store.Manifest)
	if err != nil {
		return s, err
	}
	payload, err := signed.Unverified(doc)
	var m fleet.Manifest
	if err == nil {
		err = json.Unmarshal(payload, &m)
	}
	if err != nil {
		s.Problems = []string{"its manifest is damaged on the centre's disk"}
		return s, nil
	}
	s.Seat, s.Seq, s.End, s.Bytes = m.Seat, m.Seq, m.End, m.Size()
	note, err := optional(ctx, docs, id, store.Intake)
	if err != nil {
		return s, err
	}
	receipt, err := optional(ctx, docs, id, store.Receipt)
	if err != nil {
		return s, err
	}
	if note != nil && receipt != nil {
		var rec intake.Record
		if err := json.Unmarshal(note, &rec); err != nil {
			return s, fmt.Errorf("note on %s: %w", id, err)
		}
		s.State, s.Received, s.RetainUntil, s.Problems = Received, rec.Received, rec.RetainUntil, rec.Problems
	}
	grave, err := optional(ctx, docs, id, store.Tombstone)
	if err != nil {
		return s, err
	}
	if grave != nil {
		s.State = Deleted
		return s, nil
	}
	doc, err = optional(ctx, docs, id, store.VCon)
	if err != nil || doc == nil {
		return s, err
	}
	v, c, _, err := vcon.Open(centre, doc)
	if err != nil {
		s.Problems = append(s.Problems, err.Error())
		return s, nil
	}
	s.Direction, s.From, s.To, s.Queue, s.Agent = c.Direction, c.From, c.To, c.Queue, c.Agent
	s.Dialled, s.Answered = c.DialTime, c.AnswerTime
	if len(v.Dialog) > 0 && v.Dialog[0].Duration != nil {
		s.Seconds = *v.Dialog[0].Duration
	}
	return s, nil
}

// optional is Doc with nil for one that is not there.
func optional(ctx context.Context, docs Docs, id string, d store.Doc) ([]byte, error) {
	b, err := docs.Doc(ctx, id, d)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return b, err
}
