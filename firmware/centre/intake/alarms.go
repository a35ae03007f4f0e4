package intake

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
	"deskset/firmware/signed"
)

// Alarm is something that a person should look at. It names no party of a call.
type Alarm struct {
	Seat string `json:"seat"`
	Rec  string `json:"rec,omitempty"`
	Text string `json:"text"`
}

// Load reads what the store holds: sequence numbers and what was found wrong.
func (i *Intake) Load(ctx context.Context) error {
	ids, err := i.c.Recordings.List(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		doc, err := i.c.Recordings.Doc(ctx, id, store.Manifest)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("load recordings: %w", err)
		}
		m, err := readManifest(doc)
		if err != nil { // one damaged file must not keep the centre from serving
			i.c.Log.Error("manifest is damaged", "rec", id, "err", err)
			i.fault(&fleet.Manifest{ID: id}, Record{Problems: []string{"its manifest is damaged on the centre's disk: copy it back from the backup of the recordings"}})
			continue
		}
		i.seqs.add(m.Seat, m.Seq, id)
		b, err := i.c.Recordings.Doc(ctx, id, store.Intake)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("load recordings: %w", err)
		}
		var rec Record
		if err := json.Unmarshal(b, &rec); err != nil {
			rec.Problems = []string{"the centre's note on it is damaged on its disk: copy it back from the backup of the recordings"}
		}
		i.fault(m, rec)
	}
	return nil
}

// readManifest reads a stored manifest, whose signature was checked when it
// was taken.
func readManifest(doc []byte) (*fleet.Manifest, error) {
	payload, err := signed.Unverified(doc)
	if err != nil {
		return nil, err
	}
	var m fleet.Manifest
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, err
	}
	return &m, nil
}

func (i *Intake) fault(m *fleet.Manifest, rec Record) {
	if len(rec.Problems) == 0 {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.faults[m.ID] = Alarm{Seat: m.Seat, Rec: m.ID, Text: strings.Join(rec.Problems, "; ")}
}

// Alarms are the faults of single recordings and the gaps in the seats'
// numbers, in order of seat.
func (i *Intake) Alarms() []Alarm {
	out := i.seqs.alarms()
	i.mu.Lock()
	out = slices.AppendSeq(out, maps.Values(i.faults))
	i.mu.Unlock()
	slices.SortStableFunc(out, func(a, b Alarm) int {
		return cmp.Or(cmp.Compare(a.Seat, b.Seat), cmp.Compare(a.Rec, b.Rec))
	})
	return out
}

// ledgers keep the sequence numbers seen of each seat.
type ledgers struct {
	mu    *sync.Mutex
	seats map[string]*ledger
}

type ledger struct {
	ids   map[uint64]string
	twice map[uint64]bool
	top   uint64
}

func newLedgers() ledgers { return ledgers{mu: &sync.Mutex{}, seats: map[string]*ledger{}} }

// add notes a number; false says that another recording has it, and which.
func (l ledgers) add(seat string, seq uint64, id string) (was string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.seats[seat]
	if x == nil {
		x = &ledger{ids: map[uint64]string{}, twice: map[uint64]bool{}}
		l.seats[seat] = x
	}
	if was, there := x.ids[seq]; there && was != id {
		x.twice[seq] = true
		return was, false
	}
	x.ids[seq] = id
	x.top = max(x.top, seq)
	return "", true
}

func (l ledgers) alarms() (out []Alarm) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, seat := range slices.Sorted(maps.Keys(l.seats)) {
		x := l.seats[seat]
		if gaps := x.gaps(); len(gaps) > 0 {
			out = append(out, Alarm{Seat: seat, Text: "recordings are missing: number " + strings.Join(gaps, ", ")})
		}
		for _, n := range slices.Sorted(maps.Keys(x.twice)) {
			out = append(out, Alarm{Seat: seat, Text: fmt.Sprintf("two recordings have number %d", n)})
		}
	}
	return out
}

// gaps lists the missing numbers below the highest, the first twenty spans.
func (x *ledger) gaps() (out []string) {
	next := uint64(1)
	for _, n := range slices.Sorted(maps.Keys(x.ids)) {
		if n > next {
			if len(out) == 20 {
				return append(out, "...")
			}
			if n-1 == next {
				out = append(out, fmt.Sprint(next))
			} else {
				out = append(out, fmt.Sprintf("%d to %d", next, n-1))
			}
		}
		next = n + 1
	}
	return out
}

// keyed locks by name.
type keyed struct {
	mu   *sync.Mutex
	held map[string]*keyLock
}

type keyLock struct {
	sync.Mutex
	users int
}

func newKeyed() keyed { return keyed{mu: &sync.Mutex{}, held: map[string]*keyLock{}} }

// lock returns what unlocks.
func (k keyed) lock(name string) func() {
	k.mu.Lock()
	l := k.held[name]
	if l == nil {
		l = &keyLock{}
		k.held[name] = l
	}
	l.users++
	k.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.held, name)
		}
	}
}

// SeatOf says whose recording it is.
func (i *Intake) SeatOf(ctx context.Context, id string) (string, error) {
	doc, err := i.c.Recordings.Doc(ctx, id, store.Manifest)
	if err != nil {
		return "", err
	}
	m, err := readManifest(doc)
	if err != nil {
		return "", err
	}
	return m.Seat, nil
}
