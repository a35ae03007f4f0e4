package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The index is a log in files index.000001, index.000002, ... A record begins
// on a 512-byte sector and is "DSIX", its length, the first 16 bytes of the
// SHA-256 of length and text, and the text: one JSON object. Records are
// numbered without a gap, so a lost one is noticed. A file that could not be
// written or ended torn is never written again: the next file begins with a
// start record, and records of older files with its number or a higher one
// were never acknowledged and are void.
const (
	sector      = 512
	indexChunk  = 128 * sector // an index file grows by so much, filled with zeros
	indexSpare  = 64 * sector  // stays in hand, so that a full disk can still note a deletion
	recordFixed = 24
	maxRecord   = 64 << 10
)

var zeroSector [sector]byte

type what string

const (
	whatStart     what = "start"     // of a file; Seq: numbers up to it are no longer here; On: nor is any older file needed
	whatCreated   what = "created"   // Seq, ID
	whatSealed    what = "sealed"    // Doc: the signed manifest
	whatReceipted what = "receipted" // Doc: the signed receipt
	whatHold      what = "hold"      // On
	whatDeleted   what = "deleted"   // files are about to go
	whatMissing   what = "missing"   // Seq was lost by the index
)

type indexRecord struct {
	N           uint64     `json:"n"`
	At          time.Time  `json:"at"`
	What        what       `json:"what"`
	Seq         uint64     `json:"seq,omitempty"`
	ID          string     `json:"id,omitempty"`
	On          bool       `json:"on,omitempty"`
	Received    *time.Time `json:"received,omitempty"`
	RetainUntil *time.Time `json:"retain_until,omitempty"`
	Doc         string     `json:"doc,omitempty"`
}

// docRef finds a record again, to read its document.
type docRef struct {
	gen, size int
	off       int64
}

type index struct {
	fs   FS
	gen  int // of the file being written; 0: none yet
	f    File
	off  int64 // where the next record goes
	size int64 // of the file, zeros included
	n    uint64
	base uint64
	now  func() time.Time
}

func indexName(gen int) string { return fmt.Sprintf("index.%06d", gen) }

func encodeRecord(r indexRecord) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode index record: %w", err)
	}
	if len(text) > maxRecord-recordFixed {
		return nil, fmt.Errorf("index record of %d bytes is too large", len(text))
	}
	b := append([]byte("DSIX"), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[4:], uint32(len(text)))
	sum := sha256.Sum256(append(slices.Clone(b[4:8]), text...))
	b = append(append(b, sum[:16]...), text...)
	return append(b, make([]byte, (sector-len(b)%sector)%sector)...), nil
}

// decodeRecord reads the record at the start of b; size is a whole number of
// sectors. It returns ok false where none stands.
func decodeRecord(b []byte) (r indexRecord, size int, ok bool) {
	if len(b) < sector || string(b[:4]) != "DSIX" {
		return r, 0, false
	}
	l := int(binary.BigEndian.Uint32(b[4:]))
	if l > maxRecord || recordFixed+l > len(b) {
		return r, 0, false
	}
	text := b[recordFixed : recordFixed+l]
	sum := sha256.Sum256(append(slices.Clone(b[4:8]), text...))
	if !bytes.Equal(sum[:16], b[8:24]) || json.Unmarshal(text, &r) != nil {
		return r, 0, false
	}
	return r, (recordFixed + l + sector - 1) / sector * sector, true
}

type located struct {
	indexRecord
	ref docRef
}

// loss is a run of record numbers that could not be read.
type loss struct{ from, to uint64 }

// loadIndex reads every index file. The next append goes to a new file unless
// the last one ended whole.
func loadIndex(disk FS, now func() time.Time) (x *index, out []located, lost []loss, err error) {
	x = &index{fs: disk, now: now}
	all, err := disk.List()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("list index: %w", err)
	}
	var gens []int
	for _, i := range all {
		if s, ok := strings.CutPrefix(i.Name, "index."); ok {
			if g, err := strconv.Atoi(s); err == nil && g > 0 && indexName(g) == i.Name {
				gens = append(gens, g)
			}
		}
	}
	slices.Sort(gens)
	whole := false
	for _, g := range gens {
		recs, end, clean, err := readIndexFile(disk, g)
		if err != nil {
			return nil, nil, nil, err
		}
		if len(recs) > 0 && recs[0].What == whatStart {
			first := recs[0].N
			out = slices.DeleteFunc(out, func(r located) bool { return recs[0].On || r.N >= first })
		}
		out = append(out, recs...)
		x.gen, x.off, whole = g, end, clean && len(recs) > 0
	}
	next := uint64(1)
	for i, r := range out {
		if i == 0 && r.What == whatStart && (r.On || r.Seq > 0) {
			next = r.N // what came before was let go on purpose
		}
		if r.N > next {
			lost = append(lost, loss{next, r.N - 1})
		}
		next = max(next, r.N+1)
		if r.What == whatStart {
			x.base = max(x.base, r.Seq)
		}
	}
	x.n = next
	if whole {
		x.f, err = disk.Open(indexName(x.gen), false)
		if err == nil {
			x.size, err = x.f.Size()
		}
		if err != nil {
			return nil, nil, nil, fmt.Errorf("open index: %w", err)
		}
	}
	return x, out, lost, nil
}

// readIndexFile finds every whole record. clean says that nothing but zeros
// follows the last one.
func readIndexFile(disk FS, gen int) (recs []located, end int64, clean bool, err error) {
	f, err := disk.Open(indexName(gen), false)
	if err != nil {
		return nil, 0, false, fmt.Errorf("open index: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, 0, false, fmt.Errorf("read %s: %w", indexName(gen), err)
	}
	b := make([]byte, size)
	bad := readAround(f, b)
	clean = !bad
	for p := 0; p+sector <= len(b); {
		if r, n, ok := decodeRecord(b[p:]); ok {
			recs = append(recs, located{r, docRef{gen: gen, off: int64(p), size: n}})
			p += n
			end = int64(p)
			clean = !bad
			continue
		}
		if !bytes.Equal(b[p:p+sector], zeroSector[:]) {
			clean = false
		}
		p += sector
	}
	if size%sector != 0 {
		clean = false
	}
	return recs, end, clean, nil
}

// readAround fills b and leaves zeros where the disk will not read.
func readAround(f File, b []byte) (bad bool) {
	if n, err := f.ReadAt(b, 0); n == len(b) || err == io.EOF {
		return false
	}
	for p := 0; p < len(b); p += sector {
		s := b[p:min(p+sector, len(b))]
		if n, err := f.ReadAt(s, int64(p)); n < len(s) && err != io.EOF {
			clear(s)
			bad = true
		}
	}
	return bad
}

// append writes and syncs one record. After an error nothing of it counts.
func (x *index) append(r indexRecord) (docRef, uint64, error) {
	var first error
	if x.f != nil {
		ref, err := x.put(r)
		if err == nil {
			return ref, x.n - 1, nil
		}
		// What the file holds now is unknown: never write it again.
		first = errors.Join(err, x.f.Close())
		x.f = nil
	}
	if err := x.begin(); err != nil {
		return docRef{}, 0, errors.Join(first, err)
	}
	ref, err := x.put(r)
	if err != nil {
		err = errors.Join(first, err, x.f.Close())
		x.f = nil
		return docRef{}, 0, err
	}
	return ref, x.n - 1, nil
}

// begin starts the next index file.
func (x *index) begin() error {
	x.gen++
	n := x.n
	f, err := x.fs.Open(indexName(x.gen), true)
	if err != nil {
		return fmt.Errorf("begin index file: %w", err)
	}
	x.f, x.off, x.size = f, 0, 0
	_, err = x.put(indexRecord{What: whatStart, At: x.now().UTC(), Seq: x.base})
	if err == nil {
		if err = x.fs.SyncDir(); err != nil {
			err = fmt.Errorf("begin index file: %w", err)
		}
	}
	if err != nil {
		// Should the name come back after a cut, the next file's start voids it.
		err = errors.Join(err, f.Close())
		x.fs.Remove(indexName(x.gen))
		x.f, x.n = nil, n
	}
	return err
}

func (x *index) put(r indexRecord) (docRef, error) {
	r.N = x.n
	b, err := encodeRecord(r)
	if err != nil {
		return docRef{}, err
	}
	n := len(b)
	end := x.off + int64(n)
	if end+indexSpare > x.size {
		grown := (end + indexSpare + indexChunk - 1) / indexChunk * indexChunk
		padded := append(b, make([]byte, grown-end)...)
		if _, err := x.f.WriteAt(padded, x.off); err == nil {
			x.size, b = grown, nil
		}
	}
	if b != nil {
		if _, err := x.f.WriteAt(b, x.off); err != nil {
			return docRef{}, fmt.Errorf("write index: %w", err)
		}
		x.size = max(x.size, end)
	}
	if err := x.f.Sync(); err != nil {
		return docRef{}, fmt.Errorf("sync index: %w", err)
	}
	ref := docRef{gen: x.gen, off: x.off, size: n}
	x.off = end
	x.n++
	return ref, nil
}

// document reads the document of a record back.
func (x *index) document(ref docRef) ([]byte, error) {
	f, err := x.fs.Open(indexName(ref.gen), false)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	defer f.Close()
	b := make([]byte, ref.size)
	if _, err := f.ReadAt(b, ref.off); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read index: %w", err)
	}
	r, _, ok := decodeRecord(b)
	if !ok || r.Doc == "" {
		return nil, errors.New("read index: the record was damaged since the start")
	}
	return []byte(r.Doc), nil
}

func (x *index) close() error {
	if x.f == nil {
		return nil
	}
	err := x.f.Close()
	x.f = nil
	return err
}
