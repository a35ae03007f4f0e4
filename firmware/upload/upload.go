package upload

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"deskset/firmware/fleet"
)

// Config is what an Uploader needs. Client, Centre, Store, Now and Log must be
// given.
type Config struct {
	Client *fleet.Client
	Centre crypto.PublicKey // pinned at enrolment; signs receipts
	Store  Store
	InCall func() bool // true while a call is on: uploads then keep to CallRate; nil: never
	Now    func() time.Time
	Log    *slog.Logger

	CallRate int           // bytes a second during a call, default 128 kB/s
	Backoff  fleet.Backoff // while the centre cannot be reached; default up to 60 s
	Retry    time.Duration // first wait after a recording was refused, default 30 s; doubles up to 64 times that
}

// Uploader pushes recordings. Create it with New, then call Run.
type Uploader struct {
	c    Config
	kick chan struct{}

	mu     sync.Mutex
	status map[string]*Status
	link   error // why the centre cannot be reached, nil: it can
}

// State of one recording on its way.
type State string

const (
	Waiting State = "waiting" // for its turn, or for the centre
	Sending State = "sending"
	Refused State = "refused" // the last attempt failed for a reason of its own; it is tried again
)

// Status is how one recording stands. Delivered ones are gone from the list.
type Status struct {
	ID    string
	Seq   uint64
	State State
	Sent  int64     // bytes that the centre holds durably
	Size  int64     // bytes in all, 0 until first looked at
	Err   string    // of the last attempt, in words; "" if none
	Retry time.Time // when it is tried again, if Refused
	tries int
}

// New checks the configuration; it starts nothing.
func New(c Config) (*Uploader, error) {
	if c.Client == nil || c.Centre == nil || c.Store == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("upload: Client, Centre, Store, Now and Log are needed")
	}
	if c.InCall == nil {
		c.InCall = func() bool { return false }
	}
	if c.CallRate <= 0 {
		c.CallRate = 128_000
	}
	if c.Retry <= 0 {
		c.Retry = 30 * time.Second
	}
	if c.Backoff.Base <= 0 {
		c.Backoff.Base = time.Second
	}
	if c.Backoff.Max <= 0 {
		c.Backoff.Max = time.Minute
	}
	return &Uploader{c: c, kick: make(chan struct{}, 1), status: map[string]*Status{}}, nil
}

// Kick tries again now, e.g. when the event stream has come up.
func (u *Uploader) Kick() {
	select {
	case u.kick <- struct{}{}:
	default:
	}
}

// Status lists what still has to be delivered, oldest first, and why the
// centre cannot be reached, nil if it can as far as is known.
func (u *Uploader) Status() ([]Status, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := make([]Status, 0, len(u.status))
	for _, s := range u.status {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Status) int { return cmp.Compare(a.Seq, b.Seq) })
	return out, u.link
}

// Run uploads until ctx ends, and returns ctx's error.
func (u *Uploader) Run(ctx context.Context) error {
	for {
		changed := u.c.Store.Changed() // before List, so that no change is missed
		wait, held := u.round(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if held {
			changed = nil // the back-off stands, whatever else is made meanwhile
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-u.kick:
		case <-t.C:
		}
		t.Stop()
	}
}

// idle is how often the store is looked at without being told to.
const idle = 5 * time.Minute

// round tries each recording that is due once. It returns how long to wait,
// and whether that is because the centre cannot be reached.
func (u *Uploader) round(ctx context.Context) (wait time.Duration, held bool) {
	recs, err := u.c.Store.List()
	if err != nil {
		u.c.Log.Error("upload: list the store", "err", err)
		u.setLink(fmt.Errorf("list the store: %w", err))
		return u.c.Backoff.Next(), true
	}
	slices.SortFunc(recs, func(a, b Recording) int { return cmp.Compare(a.Seq, b.Seq) })
	u.keep(recs)
	wait = idle
	for _, r := range recs {
		if due := u.due(r.ID); due > 0 {
			wait = min(wait, due)
			continue
		}
		err := u.one(ctx, r)
		switch {
		case ctx.Err() != nil:
			u.update(r.ID, func(s *Status) { s.State = Waiting })
			return 0, false
		case err == nil:
			u.c.Backoff.Reset()
			u.setLink(nil)
			u.forget(r.ID)
			u.c.Log.Info("recording delivered", "rec", r.ID, "seq", r.Seq)
		case unreachable(err):
			u.update(r.ID, func(s *Status) { s.State, s.Err = Waiting, err.Error() })
			u.setLink(err)
			u.c.Log.Warn("centre not reached, uploads wait", "rec", r.ID, "err", err)
			return max(u.c.Backoff.Next(), retryAfter(err)), true
		default:
			u.setLink(nil)
			wait = min(wait, u.refuse(r.ID, err))
			u.c.Log.Error("recording not delivered", "rec", r.ID, "seq", r.Seq, "err", err)
		}
	}
	return wait, false
}

// unreachable says that an error concerns the centre or the way to it, so that
// the next recording would fail alike.
func unreachable(err error) bool {
	var own *recordingError
	if errors.As(err, &own) {
		return false
	}
	var se *fleet.StatusError
	if errors.As(err, &se) {
		return se.Temporary() || se.Status == http.StatusUnauthorized || se.Status == http.StatusForbidden
	}
	return true
}

func retryAfter(err error) time.Duration {
	var se *fleet.StatusError
	if errors.As(err, &se) {
		return se.RetryAfter
	}
	return 0
}

// recordingError is a failure of one recording, whatever the link does.
type recordingError struct{ err error }

func (e *recordingError) Error() string { return e.err.Error() }
func (e *recordingError) Unwrap() error { return e.err }

func own(format string, a ...any) error { return &recordingError{fmt.Errorf(format, a...)} }

func (u *Uploader) keep(recs []Recording) {
	u.mu.Lock()
	defer u.mu.Unlock()
	listed := map[string]bool{}
	for _, r := range recs {
		listed[r.ID] = true
		if u.status[r.ID] == nil {
			u.status[r.ID] = &Status{ID: r.ID, Seq: r.Seq, State: Waiting}
		}
	}
	for id := range u.status {
		if !listed[id] {
			delete(u.status, id)
		}
	}
}

func (u *Uploader) due(id string) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s := u.status[id]; s != nil && s.State == Refused {
		return s.Retry.Sub(u.c.Now())
	}
	return 0
}

func (u *Uploader) refuse(id string, err error) (wait time.Duration) {
	u.update(id, func(s *Status) {
		wait = u.c.Retry << min(s.tries, 6)
		s.tries++
		s.State, s.Err, s.Retry = Refused, err.Error(), u.c.Now().Add(wait)
	})
	return wait
}

func (u *Uploader) update(id string, f func(*Status)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s := u.status[id]; s != nil {
		f(s)
	}
}

func (u *Uploader) forget(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.status, id)
}

func (u *Uploader) setLink(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.link = err
}
