// Package intake takes recordings in: signed manifest, sealed parts in pieces,
// and the receipt, which is given only for bytes that have been read back from
// where they are durable. It opens the facts of a call and makes its vCon.
package intake

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
	"deskset/firmware/signed"
	"deskset/firmware/vault/sealed"
)

// Config is what an Intake needs; all but BaseURL must be given.
type Config struct {
	Recordings store.Recordings
	Seats      store.Seats
	Holds      store.Holds
	Centre     string        // name, as in receipts
	BaseURL    string        // of the centre, for links in vCons
	Signer     crypto.Signer // the online key
	Chain      [][]byte      // its certificates, DER, leaf first
	Facts      *sealed.PrivateKey
	Retain     func() time.Duration // how long a recording received now is kept
	Now        func() time.Time
	Log        *slog.Logger
}

// reserve is what the disk keeps for documents, in bytes: an upload is refused
// before the last of it is gone.
const reserve = 64 << 20

// Intake is safe for concurrent use.
type Intake struct {
	c     Config
	seqs  ledgers
	locks keyed

	mu     sync.Mutex
	faults map[string]Alarm // by recording: what was found wrong with it
}

// New checks the configuration; it reads nothing yet.
func New(c Config) (*Intake, error) {
	if c.Recordings == nil || c.Seats == nil || c.Holds == nil || c.Centre == "" || c.Signer == nil ||
		len(c.Chain) == 0 || c.Facts == nil || c.Retain == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("intake: the configuration is not complete")
	}
	return &Intake{c: c, seqs: newLedgers(), locks: newKeyed(), faults: map[string]Alarm{}}, nil
}

// Error is a refusal, as the seat is told.
type Error struct {
	fleet.Problem
	State *fleet.UploadState // sent instead of the problem, for 416
	Err   error              // for the log, nil if the problem says all
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s", e.Title, e.Detail)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

func refuse(status int, title, detail string, err error) *Error {
	return &Error{Problem: fleet.Problem{Status: status, Title: title, Detail: detail}, Err: err}
}

// failed turns a store's error into what the seat is told.
func failed(doing string, err error) *Error {
	switch {
	case errors.Is(err, store.ErrFull):
		return refuse(http.StatusInsufficientStorage, "the centre's disk is full", "keep the recording and try again later; IT must make room at the centre", err)
	case errors.Is(err, store.ErrConflict):
		return refuse(http.StatusConflict, "something else is stored there", doing+": nothing is ever overwritten; ask IT to look at this recording", err)
	}
	return refuse(http.StatusInternalServerError, "the centre could not "+doing, "try again later; the centre's log says more", err)
}

func unknown(id string) *Error {
	return refuse(http.StatusNotFound, "no such recording", "send the manifest of "+id+" first", nil)
}

// manifest returns a stored manifest if it is the seat's own.
func (i *Intake) manifest(ctx context.Context, seat, id string) (*fleet.Manifest, []byte, error) {
	if err := fleet.RecordingID(id); err != nil {
		return nil, nil, refuse(http.StatusNotFound, "no such recording", err.Error(), nil)
	}
	doc, err := i.c.Recordings.Doc(ctx, id, store.Manifest)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, unknown(id)
	}
	if err != nil {
		return nil, nil, failed("read the manifest", err)
	}
	m, err := readManifest(doc)
	if err != nil {
		return nil, nil, failed("read the manifest", err)
	}
	if m.Seat != seat {
		return nil, nil, unknown(id) // another seat's: not even that it exists is told
	}
	return m, doc, nil
}

// Manifest stores a manifest after checking it strictly. The same document
// again is no error.
func (i *Intake) Manifest(ctx context.Context, seat, id string, doc []byte) error {
	if err := fleet.RecordingID(id); err != nil {
		return refuse(http.StatusBadRequest, "not a recording", err.Error(), nil)
	}
	if len(doc) > fleet.MaxManifest {
		return refuse(http.StatusRequestEntityTooLarge, "the manifest is too large", fmt.Sprintf("at most %d bytes", fleet.MaxManifest), nil)
	}
	keys, err := i.seatKeys(ctx, seat)
	if err != nil {
		return failed("read the seat's keys", err)
	}
	var m fleet.Manifest
	if err := signed.Open(keys, signed.Manifest, doc, &m); err != nil {
		return refuse(http.StatusUnprocessableEntity, "the manifest is not signed by this seat", "sign it with the key of the seat's certificate", err)
	}
	if err := m.Check(seat); err != nil {
		return refuse(http.StatusUnprocessableEntity, "the manifest is not right", err.Error(), nil)
	}
	if m.ID != id {
		return refuse(http.StatusUnprocessableEntity, "the manifest is of another recording", "send it under its own id", nil)
	}
	defer i.locks.lock(id)()
	free, err := i.c.Recordings.Free(ctx)
	if err != nil {
		return failed("ask for free space", err)
	}
	if free < m.Size()+reserve {
		return failed("keep the recording", fmt.Errorf("%w: %d bytes free, %d wanted", store.ErrFull, free, m.Size()))
	}
	if err := i.c.Recordings.PutDoc(ctx, id, store.Manifest, doc); err != nil {
		return failed("keep the manifest", err)
	}
	if was, ok := i.seqs.add(seat, m.Seq, id); !ok {
		i.c.Log.Warn("sequence number used twice", "seat", seat, "seq", m.Seq, "rec", id, "other", was)
	}
	return nil
}

func (i *Intake) seatKeys(ctx context.Context, seat string) ([]crypto.PublicKey, error) {
	s, err := i.c.Seats.Seat(ctx, seat)
	if err != nil {
		return nil, err
	}
	return Keys(s)
}

// Keys are all keys that a seat was ever certified for: what it signed with an
// earlier one stays good.
func Keys(s store.Seat) ([]crypto.PublicKey, error) {
	var keys []crypto.PublicKey
	for _, c := range s.Certs {
		b, _ := pem.Decode([]byte(c.Key))
		if b == nil {
			return nil, fmt.Errorf("seat %s: the key of certificate %s is damaged", s.Name, c.Serial)
		}
		k, err := x509.ParsePKIXPublicKey(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("seat %s: the key of certificate %s: %w", s.Name, c.Serial, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// State is what the centre has of a recording of the seat.
func (i *Intake) State(ctx context.Context, seat, id string) (fleet.UploadState, error) {
	m, _, err := i.manifest(ctx, seat, id)
	if err != nil {
		return fleet.UploadState{}, err
	}
	return i.state(ctx, m)
}

func (i *Intake) state(ctx context.Context, m *fleet.Manifest) (fleet.UploadState, error) {
	st := fleet.UploadState{Manifest: true, Parts: []fleet.PartState{}}
	for _, p := range m.Parts {
		n, done, err := i.c.Recordings.Have(ctx, m.ID, store.PartKey{N: p.N, Kind: p.Kind})
		if err != nil {
			return st, failed("look at the part", err)
		}
		st.Parts = append(st.Parts, fleet.PartState{N: p.N, Kind: p.Kind, Have: n, Done: done})
	}
	r, err := i.c.Recordings.Doc(ctx, m.ID, store.Receipt)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return st, failed("look for the receipt", err)
	}
	st.Receipt = string(r)
	hs, err := i.c.Holds.Holds(ctx, m.ID)
	if err != nil {
		return st, failed("look for legal holds", err)
	}
	st.Hold = store.Active(hs)
	return st, nil
}
