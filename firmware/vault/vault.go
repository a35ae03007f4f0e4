// Package vault keeps recordings on the seat's disk, sealed while they are
// made, so that a power cut at any moment loses at most the segment at hand
// and a stolen seat tells nobody's name or voice.
//
// All files of a vault lie in one directory: a log of what happened to each
// sequence number (index.NNNNNN, see index.go), the sealed parts of recordings
// (SEQ-ID.N.facts and .voice, see package sealed) and zero-filled files kept
// ready to become parts (slab.NNNNNN). What a person's name could be read from
// is inside the seals only. Nothing here can open a part: its key was in RAM
// and is gone with the recording that wrote it.
package vault

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/retention"
)

// Errors by what the caller does about them.
var (
	// ErrFull: the disk holds no more than the reserve. Refuse calls that must
	// be recorded, show it, and upload.
	ErrFull = errors.New("no room for another recording")
	// ErrUnknown: no such recording.
	ErrUnknown = errors.New("no such recording")
	// ErrKept: the recording may not be deleted.
	ErrKept = errors.New("the recording is kept")
	// ErrClosed: the vault was closed.
	ErrClosed = errors.New("the vault is closed")
)

// Config of a vault. FS or Dir, Seat, Signer and Now are needed.
type Config struct {
	FS       FS     // nil: Dir on the real disk
	Dir      string // for FS nil, and named in messages
	Seat     string
	Firmware string
	Signer   crypto.Signer    // the seat's key, signs manifests
	Now      func() time.Time // with a monotonic reading, as time.Now has
	Log      *slog.Logger     // nil: none
	Reserve  int64            // bytes always kept free for a running call; 0: DefaultReserve
	Slabs    Slabs            // zero value: DefaultSlabs
	Retire   int              // deleted recordings at the start of the index after which it is archived; 0: 2000
}

// Vault is the store. All methods may be called from any goroutine.
type Vault struct {
	cfg  Config
	fs   FS
	log  *slog.Logger
	lock io.Closer
	pool *pool

	write sync.Mutex // held while the index is appended to; before mu
	idx   *index

	mu      sync.Mutex // guards what follows; never held over a disk access
	entries map[uint64]*entry
	byID    map[string]*entry
	next    uint64
	base    uint64 // numbers up to it are no longer in the index
	watch   map[chan struct{}]bool
	idle    chan struct{} // wakes Run
	faults  []string      // found at Open, in words
	closed  bool
	live    sync.WaitGroup

	making map[string]*Recording // being written, by id
}

// Open the vault and bring it to order after whatever happened: parts that a
// cut left open get their manifest, and what is damaged is set aside and
// reported by Check. It fails only where going on could lose a recording.
func Open(cfg Config) (*Vault, error) {
	switch {
	case cfg.Seat == "" || cfg.Signer == nil || cfg.Now == nil:
		return nil, errors.New("open vault: seat, signer and clock are needed")
	case cfg.FS == nil && cfg.Dir == "":
		return nil, errors.New("open vault: no directory is named")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.FS == nil {
		d, err := OpenDir(cfg.Dir)
		if err != nil {
			return nil, fmt.Errorf("open vault: %w", err)
		}
		cfg.FS = d
	}
	if cfg.Reserve == 0 {
		cfg.Reserve = DefaultReserve
	}
	if cfg.Retire == 0 {
		cfg.Retire = 2000
	}
	if cfg.Slabs == (Slabs{}) {
		cfg.Slabs = DefaultSlabs()
	}
	lock, err := cfg.FS.Lock()
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v := &Vault{
		cfg: cfg, fs: cfg.FS, log: cfg.Log, lock: lock,
		entries: map[uint64]*entry{}, byID: map[string]*entry{}, next: 1, making: map[string]*Recording{},
		watch: map[chan struct{}]bool{}, idle: make(chan struct{}, 1),
	}
	v.pool = newPool(cfg.FS, cfg.Slabs, cfg.Log)
	if err := v.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("open vault %s: %w", cfg.Dir, err), v.closeFiles())
	}
	return v, nil
}

// Close waits for the recordings to be closed by their owners and lets go of
// the directory. When ctx ends first, what is open is left to the next Open.
func (v *Vault) Close(ctx context.Context) error {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	done := make(chan struct{})
	go func() { v.live.Wait(); close(done) }()
	select {
	case <-done:
		return v.closeFiles()
	case <-ctx.Done():
		return fmt.Errorf("close vault: recordings are still open: %w", ctx.Err())
	}
}

func (v *Vault) closeFiles() error {
	v.write.Lock()
	defer v.write.Unlock()
	var err error
	if v.idx != nil {
		err = v.idx.close()
	}
	return errors.Join(err, v.lock.Close())
}

// Changed returns a channel of capacity one that receives after each change of
// List; changes that come while it is full are one. Call stop when done.
func (v *Vault) Changed() (ch <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.watch[c] = true
	return c, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.watch, c)
	}
}

// List of all recordings in the index, oldest first.
func (v *Vault) List() []Entry {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make([]Entry, 0, len(v.entries))
	for _, seq := range slices.Sorted(maps.Keys(v.entries)) {
		out = append(out, v.entries[seq].snapshot())
	}
	return out
}

// Get one recording.
func (v *Vault) Get(id string) (Entry, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.byID[id]
	if e == nil {
		return Entry{}, fmt.Errorf("recording %s: %w", id, ErrUnknown)
	}
	return e.snapshot(), nil
}

// LastSigned is the newest time in any receipt: the centre's clock, for
// retention.Now.
func (v *Vault) LastSigned() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	var t time.Time
	for _, e := range v.entries {
		if e.Received.After(t) {
			t = e.Received
		}
	}
	return t
}

// Manifest is the signed document of a recording, as it is uploaded.
func (v *Vault) Manifest(id string) ([]byte, error) {
	return v.document(id, func(e *entry) docRef { return e.manifest })
}

// Receipt is the centre's signed document, as it came.
func (v *Vault) Receipt(id string) ([]byte, error) {
	return v.document(id, func(e *entry) docRef { return e.receipt })
}

func (v *Vault) document(id string, which func(*entry) docRef) ([]byte, error) {
	v.mu.Lock()
	e := v.byID[id]
	var ref docRef
	if e != nil {
		ref = which(e)
	}
	v.mu.Unlock()
	if e == nil || ref == (docRef{}) {
		return nil, fmt.Errorf("document of recording %s: %w", id, ErrUnknown)
	}
	v.write.Lock()
	defer v.write.Unlock()
	return v.idx.document(ref)
}

// Receipted notes the centre's receipt durably. jws was verified by the
// caller; that it speaks of this very recording is checked here. A second
// receipt changes nothing.
func (v *Vault) Receipted(id string, jws []byte, r fleet.Receipt) error {
	v.write.Lock()
	defer v.write.Unlock()
	e, err := v.Get(id)
	if err != nil {
		return err
	}
	switch {
	case e.State == Receipted || e.State == Deleted:
		return nil
	case e.State != Sealed:
		return fmt.Errorf("receipt for %s: it is %s, not sealed", id, e.State)
	case r.ID != id || r.Seat != v.cfg.Seat || r.Seq != e.Seq:
		return fmt.Errorf("receipt for %s speaks of recording %s, seat %s, number %d", id, r.ID, r.Seat, r.Seq)
	case r.Manifest != e.ManifestSHA256:
		return fmt.Errorf("receipt for %s confirms another manifest: %s, ours is %s", id, r.Manifest, e.ManifestSHA256)
	case r.Received.IsZero():
		return fmt.Errorf("receipt for %s has no time", id)
	}
	err = v.append(indexRecord{
		What: whatReceipted, Seq: e.Seq, ID: id, Doc: string(jws),
		Received: &r.Received, RetainUntil: &r.RetainUntil,
	})
	if err != nil {
		return fmt.Errorf("note receipt for %s: %w", id, err)
	}
	return nil
}

// SetHold notes durably that a legal hold stands, or no longer does. It also
// settles Entry.Doubt.
func (v *Vault) SetHold(id string, on bool) error {
	v.write.Lock()
	defer v.write.Unlock()
	e, err := v.Get(id)
	if err != nil {
		return err
	}
	if e.Hold == on && !e.Doubt {
		return nil
	}
	if err := v.append(indexRecord{What: whatHold, Seq: e.Seq, ID: id, On: on}); err != nil {
		return fmt.Errorf("note hold of %s: %w", id, err)
	}
	return nil
}

// Delete the parts of a recording; its entry stays. The keys that opened it
// never lay on this disk; their wrapped copies go with the header.
func (v *Vault) Delete(verdict retention.Verdict) error {
	if !verdict.Permits() {
		return fmt.Errorf("delete %s: %w: %s", verdict.ID(), ErrKept, verdict.Why())
	}
	v.write.Lock()
	defer v.write.Unlock()
	e, err := v.Get(verdict.ID())
	if err != nil {
		return err
	}
	// The verdict may be older than a hold.
	switch {
	case e.State == Deleted:
		return nil
	case e.State != Receipted || e.Hold || e.Doubt:
		return fmt.Errorf("delete %s: %w: it is %s, hold %v, doubt %v", e.ID, ErrKept, e.State, e.Hold, e.Doubt)
	}
	if err := v.append(indexRecord{What: whatDeleted, Seq: e.Seq, ID: e.ID}); err != nil {
		return fmt.Errorf("note deletion of %s: %w", e.ID, err)
	}
	// From here a cut is finished by the next Open.
	if err := v.discard(e.Seq); err != nil {
		return fmt.Errorf("delete %s: %w; it is tried again at the next start", e.ID, err)
	}
	return nil
}

// append puts a record on the disk and then into the entries. write is held.
func (v *Vault) append(r indexRecord) error {
	r.At = v.cfg.Now().UTC().Truncate(time.Millisecond)
	ref, n, err := v.idx.append(r)
	if err != nil {
		return err
	}
	r.N = n
	v.mu.Lock()
	defer v.mu.Unlock()
	v.apply(r, ref)
	for c := range v.watch {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	return nil
}

// PartFile is one part, read-only, exactly as long as the manifest says.
type PartFile struct {
	*io.SectionReader
	f File
}

// Close the file.
func (p *PartFile) Close() error { return p.f.Close() }

// OpenPart opens a part that the manifest names, for upload.
func (v *Vault) OpenPart(id string, n int, kind fleet.Kind) (*PartFile, error) {
	e, err := v.Get(id)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(e.Parts, func(p fleet.Part) bool { return p.N == n && p.Kind == kind })
	if i < 0 || e.State == Deleted {
		return nil, fmt.Errorf("part %d %s of recording %s: %w", n, kind, id, ErrUnknown)
	}
	f, err := v.fs.Open(partName(e.Seq, id, n, kind), false)
	if err != nil {
		return nil, fmt.Errorf("part %d %s of recording %s: %w", n, kind, id, err)
	}
	size, err := f.Size()
	if err == nil && size < e.Parts[i].Size {
		err = fmt.Errorf("it has %d bytes, its manifest says %d", size, e.Parts[i].Size)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("part %d %s of recording %s: %w", n, kind, id, err), f.Close())
	}
	return &PartFile{SectionReader: io.NewSectionReader(f, 0, e.Parts[i].Size), f: f}, nil
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
