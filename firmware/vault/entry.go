package vault

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/retention"
)

// State of a recording on the seat.
type State string

const (
	Making    State = "making"    // a call is being written
	Sealed    State = "sealed"    // its manifest is signed; waits for upload
	Receipted State = "receipted" // the centre has it
	Deleted   State = "deleted"   // the seat's copy is gone, after a receipt
	Missing   State = "missing"   // the index lost it and no file proves what it was
)

// Entry is what the index says of one sequence number.
type Entry struct {
	Seq            uint64
	ID             string // empty when Missing
	State          State
	Started        time.Time // by the seat's clock, trusted or not
	End            fleet.End
	Parts          []fleet.Part
	Size           int64     // of all parts, bytes
	ManifestSHA256 string    // hex, of the signed document
	Received       time.Time // by the centre's clock
	RetainUntil    time.Time // at the centre
	Hold           bool
	Doubt          bool // a hold may have been lost with a damaged part of the index
}

// Copy is the entry as retention.Decide wants it.
func (e Entry) Copy() retention.Copy {
	c := retention.Copy{ID: e.ID, Hold: e.Hold, Doubt: e.Doubt}
	if e.State == Receipted {
		c.Received = e.Received
	}
	return c
}

type entry struct {
	Entry
	manifest docRef
	receipt  docRef
}

func (e *entry) snapshot() Entry {
	s := e.Entry
	s.Parts = slices.Clone(s.Parts)
	return s
}

// apply a record to the entries. mu is held (or nobody else runs yet). It
// never moves a recording backwards: records that repeat or come after a loss
// change nothing that a later one has settled.
func (v *Vault) apply(r indexRecord, ref docRef) {
	if r.What == whatStart {
		v.base = max(v.base, r.Seq)
		v.next = max(v.next, v.base+1)
		return
	}
	if r.Seq == 0 || r.Seq <= v.base {
		return
	}
	v.next = max(v.next, r.Seq+1)
	e := v.entries[r.Seq]
	if e == nil {
		e = &entry{Entry: Entry{Seq: r.Seq, ID: r.ID, State: Making, Started: r.At}}
		v.entries[r.Seq] = e
		if r.ID != "" {
			v.byID[r.ID] = e
		}
	}
	switch r.What {
	case whatMissing:
		e.State = Missing
	case whatSealed:
		if e.State == Making || e.State == Sealed {
			e.State = Sealed
		}
		e.manifest = ref
		e.ManifestSHA256 = hexSum([]byte(r.Doc))
		if m, err := peekManifest(r.Doc); err == nil {
			e.End, e.Parts, e.Size = m.End, m.Parts, 0
			for _, p := range m.Parts {
				e.Size += p.Size
			}
		}
	case whatReceipted:
		if e.State != Deleted {
			e.State = Receipted
		}
		e.receipt = ref
		if r.Received != nil {
			e.Received = *r.Received
		}
		if r.RetainUntil != nil {
			e.RetainUntil = *r.RetainUntil
		}
	case whatHold:
		e.Hold, e.Doubt = r.On, false
	case whatDeleted:
		e.State = Deleted
	}
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// peekManifest reads a manifest of our own index, whose checksum held. Who
// receives it verifies the signature.
func peekManifest(doc string) (m fleet.Manifest, err error) {
	_, rest, _ := strings.Cut(doc, ".")
	payload, _, _ := strings.Cut(rest, ".")
	b, err := base64.RawURLEncoding.DecodeString(payload)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return m, fmt.Errorf("manifest in the index: %w", err)
	}
	return m, nil
}

// partName is anonymous: number and random id only.
func partName(seq uint64, id string, n int, kind fleet.Kind) string {
	return fmt.Sprintf("%08d-%s.%d.%s", seq, id, n, kind)
}

var partNames = regexp.MustCompile(`^(\d{8,20})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d{1,9})\.(facts|voice)$`)

type partFile struct {
	Info
	seq  uint64
	id   string
	n    int
	kind fleet.Kind
}

func parsePartName(i Info) (partFile, bool) {
	m := partNames.FindStringSubmatch(i.Name)
	if m == nil {
		return partFile{}, false
	}
	seq, err1 := strconv.ParseUint(m[1], 10, 64)
	n, err2 := strconv.Atoi(m[3])
	p := partFile{Info: i, seq: seq, id: m[2], n: n, kind: fleet.Kind(m[4])}
	return p, err1 == nil && err2 == nil && seq > 0 && n > 0 && partName(p.seq, p.id, p.n, p.kind) == i.Name
}

// partFiles lists the parts on the disk, facts before voice, by number.
func (v *Vault) partFiles() (map[uint64][]partFile, error) {
	all, err := v.fs.List()
	if err != nil {
		return nil, fmt.Errorf("list recordings: %w", err)
	}
	out := map[uint64][]partFile{}
	for _, i := range all {
		if p, ok := parsePartName(i); ok {
			out[p.seq] = append(out[p.seq], p)
		}
	}
	for _, ps := range out {
		slices.SortFunc(ps, func(a, b partFile) int {
			if a.kind != b.kind {
				return strings.Compare(string(a.kind), string(b.kind))
			}
			return a.n - b.n
		})
	}
	return out, nil
}
