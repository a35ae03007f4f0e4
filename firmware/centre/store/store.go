// Package store says what the centre needs of its stores. Package fsstore is
// the embedded implementation on a file system; storetest is the conformance
// suite that every implementation runs.
//
// The durability contract, for every method that changes something: when it
// returns nil, the change survives a power cut at any later moment. When it
// returns an error, the change may or may not have happened, whole; never a
// part of it (but see Recordings.Append). Methods may be called from any
// goroutine and, where said, from several processes.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"deskset/firmware/fleet"
)

// Errors by what the caller does about them.
var (
	ErrNotFound = errors.New("not found")                              // or used up, or not finished
	ErrConflict = errors.New("something else is stored there")         // never overwritten
	ErrOffset   = errors.New("the bytes do not continue what is held") // ask Have and go on from there
	ErrHash     = errors.New("the bytes are not what was announced")   // they were dropped; send again
	ErrFull     = errors.New("the store is full")                      // wait for space
	ErrExpired  = errors.New("expired")
)

// PartKey names a part within a recording.
type PartKey struct {
	N    int
	Kind fleet.Kind
}

func (k PartKey) String() string { return fmt.Sprintf("%d/%s", k.N, k.Kind) }

// Doc names a small document of a recording.
type Doc string

const (
	Manifest  Doc = "manifest.jws" // as the seat signed it
	Receipt   Doc = "receipt.jws"  // as the centre signed it
	VCon      Doc = "vcon.json"    // as the centre signed it; names persons
	Intake    Doc = "intake.json"  // what the centre found when it took the recording in
	Tombstone Doc = "deleted.json" // the recording was erased: when, by whom, why
)

// MaxDoc bounds a document, in bytes.
const MaxDoc = 4 << 20

// Recordings keeps sealed parts and the documents about them. Callers pass
// canonical recording ids (fleet.RecordingID); anything else is refused.
// Nothing is ever overwritten.
type Recordings interface {
	// PutDoc stores a document. The same bytes again are no error; other bytes
	// are ErrConflict.
	PutDoc(ctx context.Context, id string, d Doc, b []byte) error
	// Doc returns a document, or ErrNotFound.
	Doc(ctx context.Context, id string, d Doc) ([]byte, error)

	// Have says how many bytes of a part are held, and whether it is finished.
	// After a power cut it is never less than the last Append said.
	Have(ctx context.Context, id string, p PartKey) (n int64, done bool, err error)
	// Append adds the bytes of r to an unfinished part at offset at, which must
	// be what Have says, else ErrOffset (also for a finished part). It returns
	// what is held then, durably. An error of r keeps what came before it.
	Append(ctx context.Context, id string, p PartKey, at int64, r io.Reader) (have int64, err error)
	// Finish checks an unfinished part against its size and hex SHA-256 and
	// makes it immutable. If they differ, the bytes are dropped: ErrHash.
	// Finishing a finished part is no error if size and hash fit, else
	// ErrConflict.
	Finish(ctx context.Context, id string, p PartKey, size int64, sha256 string) error
	// Open opens a finished part, or returns ErrNotFound.
	Open(ctx context.Context, id string, p PartKey) (Part, error)

	// List names every recording that has a document, in order of id.
	List(ctx context.Context) ([]string, error)
	// Erase removes the parts and the vCon. The tombstone must have been put
	// before (else ErrConflict) and stays, as do manifest, intake and receipt,
	// which name no person. Erasing again is no error.
	Erase(ctx context.Context, id string) error
	// Free is how many bytes may still be stored, as far as is known.
	Free(ctx context.Context) (int64, error)
}

// Part is an open finished part.
type Part interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Seat is one seat's record. PBX holds a password.
type Seat struct {
	Name    string      `json:"name"`
	Created time.Time   `json:"created"`
	PBX     []fleet.PBX `json:"pbx,omitempty"`
	Agents  []string    `json:"agents,omitempty"` // instead of the centre's list
	Dial    *fleet.Dial `json:"dial,omitempty"`   // instead of the centre's lists
	Revoked bool        `json:"revoked,omitempty"`
	Certs   []Cert      `json:"certs,omitempty"` // newest last

	PolicyVersion uint64 `json:"policy_version,omitempty"`
	PolicyDigest  string `json:"policy_digest,omitempty"` // of its content without version and time
	PolicyJWS     string `json:"policy_jws,omitempty"`
}

// Cert is a certificate that a seat was given. Superseded ones no longer open
// a connection, but manifests they signed still verify.
type Cert struct {
	Serial     string    `json:"serial"` // hex
	Key        string    `json:"key"`    // PEM SubjectPublicKeyInfo
	Issued     time.Time `json:"issued"`
	NotAfter   time.Time `json:"not_after"`
	Superseded bool      `json:"superseded,omitempty"`
}

// Seats keeps the seats' records. Several processes may use it at once.
type Seats interface {
	// Create adds a seat, or returns ErrConflict if the name is taken.
	Create(ctx context.Context, s Seat) error
	// Seat returns one, or ErrNotFound.
	Seat(ctx context.Context, name string) (Seat, error)
	// Seats returns all in order of name.
	Seats(ctx context.Context) ([]Seat, error)
	// Update changes a seat by f, while no other Update of it runs. An error
	// of f is returned and nothing is changed. f must not change the name.
	Update(ctx context.Context, name string, f func(*Seat) error) (Seat, error)
}

// Token is a one-time leave to enrol. Only its hash is kept.
type Token struct {
	Hash    string    `json:"hash"` // hex SHA-256 of the token
	Seat    string    `json:"seat"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// Tokens keeps enrolment tokens. Several processes may use it at once.
type Tokens interface {
	// Add keeps a token, or returns ErrConflict if the hash is known, used or not.
	Add(ctx context.Context, t Token) error
	// Peek returns a live token without using it up: ErrNotFound if unknown
	// or used, ErrExpired.
	Peek(ctx context.Context, hash string, now time.Time) (Token, error)
	// Take uses a token up. Of any number of calls with one hash exactly one
	// returns it; the others get ErrNotFound. An expired one is ErrExpired.
	Take(ctx context.Context, hash string, now time.Time) (Token, error)
	// Drop uses up every live token of a seat.
	Drop(ctx context.Context, seat string) error
}

// Hold keeps one recording from deletion. A recording may have many.
type Hold struct {
	Name     string     `json:"name"` // of the matter, e.g. "case-2026-117"
	Reason   string     `json:"reason"`
	By       string     `json:"by"`
	At       time.Time  `json:"at"`
	Released *time.Time `json:"released,omitempty"`
}

// Active says whether any hold is not released.
func Active(hs []Hold) bool {
	for _, h := range hs {
		if h.Released == nil {
			return true
		}
	}
	return false
}

// Holds is the legal-hold register. Several processes may use it at once.
type Holds interface {
	// Holds of one recording, released ones too; none is no error.
	Holds(ctx context.Context, id string) ([]Hold, error)
	// Update changes the holds of one recording by f.
	Update(ctx context.Context, id string, f func([]Hold) ([]Hold, error)) error
	// Held lists the ids that have holds, released ones too, in order.
	Held(ctx context.Context) ([]string, error)
}

// Entry is one line of the log of what was done. It names recordings and
// seats, never a party of a call.
type Entry struct {
	At   time.Time `json:"at"`
	What string    `json:"what"` // "enrolled", "deleted", "exported", "hold", ...
	Seat string    `json:"seat,omitempty"`
	Rec  string    `json:"rec,omitempty"`
	By   string    `json:"by,omitempty"`
	Text string    `json:"text,omitempty"`
}

// Log is append-only: each entry carries the hash of all before it, so that a
// removed or changed one is noticed. Several processes may use it at once.
type Log interface {
	Append(ctx context.Context, e Entry) error
	// Entries returns all, oldest first, and an error that names the first
	// entry that does not fit, with the good ones before it.
	Entries(ctx context.Context) ([]Entry, error)
}
