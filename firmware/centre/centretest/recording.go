package centretest

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"math"
	"sync"
	"testing"
	"time"

	"deskset/audio/codec"
	"deskset/audio/oggopus"
	"deskset/firmware/fleet"
	"deskset/firmware/record"
	"deskset/firmware/signed"
	"deskset/firmware/upload"
	"deskset/firmware/vault/sealed"

	"github.com/google/uuid"
)

// Recording is a sealed recording as it lies on a seat.
type Recording struct {
	Manifest fleet.Manifest
	Doc      []byte            // signed
	Parts    map[string][]byte // by Part.Name
}

// Spec says what to record.
type Spec struct {
	Seat    string
	Seq     uint64
	Key     crypto.Signer // of the seat
	Facts   []fleet.Recipient
	Voice   []fleet.Recipient
	Lines   []record.Fact // nil: an answered inbound call
	Seconds int           // of voice; 0: none
	Split   bool          // two voice parts
	End     fleet.End     // "": closed
}

// SpecFor is a call of two seconds on a seat, as its policy wants it.
func SpecFor(s *Seat, seq uint64) Spec {
	return Spec{Seat: s.Name, Seq: seq, Key: s.Key, Facts: s.Policy.Recording.Facts, Voice: s.Policy.Recording.Voice, Seconds: 2}
}

// The numbers of Call.
const (
	CustomerNumber = "+8613900001234"
	AccessNumber   = "4008001234"
	AgentNumber    = "7041"
)

// Call is the facts of an answered inbound call with a hold and a pause.
func Call(seat string, at time.Time, seconds int) []record.Fact {
	ms := int64(seconds) * 1000
	t := func(ms int64) time.Time { return at.Add(time.Duration(ms) * time.Millisecond) }
	return []record.Fact{
		{At: t(-3000), Clock: "trusted", Ms: -1, Kind: record.Offered, Direction: "in", From: CustomerNumber, To: AccessNumber, Queue: "sales", CallID: "abc@pbx", Agent: AgentNumber, Seat: seat, Basis: "centre-policy"},
		{At: t(0), Clock: "trusted", Ms: 0, Kind: record.Answered},
		{At: t(0), Clock: "trusted", Ms: 0, Kind: record.Codec, Text: "opus"},
		{At: t(100), Clock: "trusted", Ms: 100, Kind: record.Held},
		{At: t(300), Clock: "trusted", Ms: 300, Kind: record.Resumed},
		{At: t(400), Clock: "trusted", Ms: 400, Kind: record.Paused, By: "agent", Text: "card number"},
		{At: t(600), Clock: "trusted", Ms: 600, Kind: record.Unpaused, By: "timer"},
		{At: t(700), Clock: "trusted", Ms: 700, Kind: record.Gap, Leg: "customer", UntilMs: 740},
		{At: t(ms), Clock: "trusted", Ms: ms, Kind: record.Quality, Stats: &record.Stats{Sent: 100, Received: 98, Lost: 2}},
		{At: t(ms), Clock: "trusted", Ms: ms, Kind: record.Released, By: "customer", Text: "BYE"},
	}
}

// Make seals a recording.
func Make(t testing.TB, s Spec) *Recording {
	t.Helper()
	if s.Lines == nil {
		s.Lines = Call(s.Seat, time.Date(2026, 11, 21, 1, 2, 3, 0, time.UTC), s.Seconds)
	}
	if s.End == "" {
		s.End = fleet.EndClosed
	}
	r := &Recording{Parts: map[string][]byte{}, Manifest: fleet.Manifest{
		Format: fleet.ManifestFormat, Seat: s.Seat, Seq: s.Seq, ID: uuid.NewString(), Firmware: "test 1", End: s.End, Parts: []fleet.Part{},
	}}
	if len(s.Lines) > 0 {
		var segs [][]byte
		for _, f := range s.Lines {
			b, err := record.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			segs = append(segs, b)
		}
		r.seal(t, fleet.Facts, 1, s.Facts, segs, s.End == fleet.EndClosed)
	}
	if s.Seconds > 0 {
		head, pages := speech(t, s.Seconds)
		if s.Split {
			half := len(pages) / 2
			r.seal(t, fleet.Voice, 1, s.Voice, append([][]byte{head}, pages[:half]...), false)
			r.seal(t, fleet.Voice, 2, s.Voice, append([][]byte{head}, pages[half:]...), true)
		} else {
			r.seal(t, fleet.Voice, 1, s.Voice, append([][]byte{head}, pages...), s.End == fleet.EndClosed)
		}
	}
	r.Sign(t, s.Key)
	return r
}

// Sign makes the manifest's document again, after a change.
func (r *Recording) Sign(t testing.TB, key crypto.Signer) {
	t.Helper()
	doc, err := signed.Seal(key, signed.Manifest, r.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	r.Doc = doc
}

func (r *Recording) seal(t testing.TB, kind fleet.Kind, n int, to []fleet.Recipient, segs [][]byte, last bool) {
	t.Helper()
	keys, err := sealed.ParsePublics(to)
	if err != nil {
		t.Fatal(err)
	}
	w, file, err := sealed.NewWriter(sealed.Meta{ID: r.Manifest.ID, Seq: r.Manifest.Seq, Kind: kind, Part: n}, keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, data := range segs {
		b, err := w.Segment(data, last && i == len(segs)-1)
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, b...)
	}
	sum := sha256.Sum256(file)
	p := fleet.Part{N: n, Kind: kind, Segments: len(segs), Size: int64(len(file)), SHA256: hex.EncodeToString(sum[:])}
	r.Manifest.Parts = append(r.Manifest.Parts, p)
	r.Parts[p.Name()] = file
}

// speech is Ogg Opus of two tones: 440 Hz for the agent, 700 Hz for the
// customer.
func speech(t testing.TB, seconds int) (head []byte, pages [][]byte) {
	t.Helper()
	w := oggopus.NewWriter(4711)
	head = w.Head()
	legs := [2][][]byte{tone(t, 440, seconds), tone(t, 700, seconds)}
	for i := range seconds {
		a, b := i*oggopus.PageSlots, (i+1)*oggopus.PageSlots
		p, err := w.Page(legs[0][a:b], legs[1][a:b], i == seconds-1)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, p)
	}
	return head, pages
}

func tone(t testing.TB, hz float64, seconds int) (out [][]byte) {
	t.Helper()
	e, err := codec.NewOpusEncoder(24000)
	if err != nil {
		t.Skip("no Opus in this build:", err)
	}
	pcm := make([]int16, oggopus.SlotSamples)
	for i := range seconds * oggopus.PageSlots {
		for j := range pcm {
			pcm[j] = int16(8000 * math.Sin(2*math.Pi*hz*float64(i*len(pcm)+j)/48000))
		}
		b := make([]byte, codec.MaxPayload)
		n, err := e.Encode(b, pcm)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b[:n])
	}
	return out
}

// Disk is a seat's store in memory: the fake beside the vault.
type Disk struct {
	mu       sync.Mutex
	recs     map[string]*Recording
	receipts map[string][]byte
	changed  chan struct{}
}

var _ upload.Store = (*Disk)(nil)

// NewDisk is an empty one.
func NewDisk() *Disk {
	return &Disk{recs: map[string]*Recording{}, receipts: map[string][]byte{}, changed: make(chan struct{}, 1)}
}

// Add puts a finished recording on the disk.
func (d *Disk) Add(r *Recording) {
	d.mu.Lock()
	d.recs[r.Manifest.ID] = r
	d.mu.Unlock()
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// Receipt of a recording, nil if there is none.
func (d *Disk) Receipt(id string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.receipts[id]
}

// List implements upload.Store.
func (d *Disk) List() ([]upload.Recording, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []upload.Recording
	for id, r := range d.recs {
		if d.receipts[id] == nil {
			out = append(out, upload.Recording{ID: id, Seq: r.Manifest.Seq})
		}
	}
	return out, nil
}

// Manifest implements upload.Store.
func (d *Disk) Manifest(id string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.recs[id]; r != nil {
		return r.Doc, nil
	}
	return nil, fs.ErrNotExist
}

// OpenPart implements upload.Store.
func (d *Disk) OpenPart(id string, n int, kind fleet.Kind) (upload.Part, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.recs[id]
	if r == nil {
		return nil, fs.ErrNotExist
	}
	b, ok := r.Parts[fleet.Part{N: n, Kind: kind}.Name()]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return struct {
		io.ReaderAt
		io.Closer
	}{bytes.NewReader(b), io.NopCloser(nil)}, nil
}

// Receipted implements upload.Store.
func (d *Disk) Receipted(id string, receipt []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.recs[id] == nil {
		return fs.ErrNotExist
	}
	d.receipts[id] = receipt
	return nil
}

// Changed implements upload.Store.
func (d *Disk) Changed() <-chan struct{} { return d.changed }
