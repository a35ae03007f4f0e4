// Package crashfs is a disk in memory that loses what was not synced. It is
// for sweeps of power cuts: run an operation once, take a snapshot at each step,
// restart from each with unsynced sectors dropped, kept, torn or scrambled and
// unsynced names forgotten, and look whether a promise was broken. It also
// refuses any chosen step (EIO, ENOSPC) and can pretend to sync.
package crashfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"

	"deskset/firmware/vault"
)

// Sector is what a disk writes whole, in bytes.
const Sector = 512

// Kind of a step.
type Kind string

const (
	Create   Kind = "create"
	Write    Kind = "write"
	Truncate Kind = "truncate"
	Sync     Kind = "sync"
	Rename   Kind = "rename"
	Remove   Kind = "remove"
	SyncDir  Kind = "syncdir"
)

// Step is one change that is asked of the disk.
type Step struct {
	N    int // from 1
	Kind Kind
	Name string
	To   string // of a rename
	Nth  int    // how often this file was asked to sync, this time included
}

// Disk is a vault.FS. Its hooks are set before it is used.
type Disk struct {
	// Before is called before each step, with the state that a cut at that
	// moment leaves (see Restart). It must not call the disk.
	Before func(Step, *Image)
	// Fail refuses a step with the error it returns. A write that is refused
	// has still written a part of its bytes.
	Fail func(Step) error
	// Forget makes a sync do nothing and say that all is well: a mutant.
	Forget func(Step) bool
	// Capacity in bytes; 0: unlimited. Beyond it writes get ENOSPC.
	Capacity int64

	mu     sync.Mutex
	steps  int
	names  map[string]*inode
	kept   map[string]*inode // names that a cut leaves for certain
	dirOps []dirOp
}

type inode struct {
	data  []byte
	kept  []byte // as synced
	dirty map[int]bool
	syncs int
	lost  bool // a sync failed: what was dirty is nowhere
}

type dirOp struct {
	remove string
	set    string
	node   *inode
}

// New is an empty disk.
func New() *Disk {
	return &Disk{names: map[string]*inode{}, kept: map[string]*inode{}}
}

// Steps taken so far.
func (d *Disk) Steps() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.steps
}

// step counts and asks the hooks. mu is held.
func (d *Disk) step(s Step) error {
	d.steps++
	s.N = d.steps
	if d.Before != nil {
		d.Before(s, d.image())
	}
	if d.Fail != nil {
		return d.Fail(s)
	}
	return nil
}

// Open a file.
func (d *Disk) Open(name string, create bool) (vault.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[name]
	if n == nil {
		if !create {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		if err := d.step(Step{Kind: Create, Name: name}); err != nil {
			return nil, &fs.PathError{Op: "create", Path: name, Err: err}
		}
		n = &inode{dirty: map[int]bool{}}
		d.names[name] = n
		d.dirOps = append(d.dirOps, dirOp{set: name, node: n})
	}
	return &file{d: d, name: name, n: n}, nil
}

// Rename a file.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[from]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	if err := d.step(Step{Kind: Rename, Name: from, To: to}); err != nil {
		return &fs.PathError{Op: "rename", Path: from, Err: err}
	}
	delete(d.names, from)
	d.names[to] = n
	d.dirOps = append(d.dirOps, dirOp{remove: from, set: to, node: n})
	return nil
}

// Remove a file.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if err := d.step(Step{Kind: Remove, Name: name}); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	delete(d.names, name)
	d.dirOps = append(d.dirOps, dirOp{remove: name})
	return nil
}

// List the files.
func (d *Disk) List() ([]vault.Info, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []vault.Info
	for name, n := range d.names {
		out = append(out, vault.Info{Name: name, Size: int64(len(n.data))})
	}
	slices.SortFunc(out, func(a, b vault.Info) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out, nil
}

// SyncDir makes names last.
func (d *Disk) SyncDir() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Step{Kind: SyncDir}
	if err := d.step(s); err != nil {
		return &fs.PathError{Op: "sync", Path: ".", Err: err}
	}
	if d.Forget != nil && d.Forget(s) {
		return nil
	}
	for _, o := range d.dirOps {
		o.apply(d.kept)
	}
	d.dirOps = nil
	return nil
}

func (o dirOp) apply(names map[string]*inode) {
	if o.remove != "" {
		delete(names, o.remove)
	}
	if o.set != "" {
		names[o.set] = o.node
	}
}

// Space of the disk; half a terabyte is free when there is no Capacity.
func (d *Disk) Space() (free, total int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.Capacity == 0 {
		return 1 << 39, 1 << 39, nil
	}
	return max(0, d.Capacity-d.used()), d.Capacity, nil
}

func (d *Disk) used() (n int64) {
	for _, i := range d.names {
		n += int64(len(i.data))
	}
	return n
}

// SetCapacity changes Capacity while the disk is in use.
func (d *Disk) SetCapacity(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Capacity = n
}

// Lock never fails: a cut frees it.
func (d *Disk) Lock() (io.Closer, error) { return io.NopCloser(nil), nil }

// ReadFile is the whole of a file as a running system sees it.
func (d *Disk) ReadFile(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[name]
	if n == nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return slices.Clone(n.data), nil
}

// WriteFile puts a file there, synced, without counting a step: for tests that
// damage one.
func (d *Disk) WriteFile(name string, b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := &inode{data: slices.Clone(b), kept: slices.Clone(b), dirty: map[int]bool{}}
	d.names[name], d.kept[name] = n, n
}

// Drop takes a file away without counting a step.
func (d *Disk) Drop(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.names, name)
	delete(d.kept, name)
}

type file struct {
	d    *Disk
	name string
	n    *inode
}

func (f *file) ReadAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.n.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.d.step(Step{Kind: Write, Name: f.name})
	if err == nil && f.d.Capacity > 0 {
		if grow := off + int64(len(b)) - int64(len(f.n.data)); grow > 0 && f.d.used()+grow > f.d.Capacity {
			err = syscall.ENOSPC
		}
	}
	if err != nil {
		part := len(b) / 2
		if errors.Is(err, syscall.ENOSPC) {
			part = min(part, max(0, len(f.n.data)-int(off)))
		}
		f.put(b[:part], off)
		return part, &fs.PathError{Op: "write", Path: f.name, Err: err}
	}
	f.put(b, off)
	return len(b), nil
}

func (f *file) put(b []byte, off int64) {
	if len(b) == 0 {
		return
	}
	end := int(off) + len(b)
	if end > len(f.n.data) {
		f.n.data = append(f.n.data, make([]byte, end-len(f.n.data))...)
	}
	copy(f.n.data[off:], b)
	for s := int(off) / Sector; s*Sector < end; s++ {
		f.n.dirty[s] = true
	}
}

func (f *file) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.step(Step{Kind: Truncate, Name: f.name}); err != nil {
		return &fs.PathError{Op: "truncate", Path: f.name, Err: err}
	}
	if size <= int64(len(f.n.data)) {
		f.n.data = f.n.data[:size:size]
		return nil
	}
	f.n.data = append(f.n.data, make([]byte, size-int64(len(f.n.data)))...)
	return nil
}

func (f *file) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (f *file) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.n.syncs++
	s := Step{Kind: Sync, Name: f.name, Nth: f.n.syncs}
	if err := f.d.step(s); err != nil {
		// The kernel has dropped the pages: a later sync says nothing of them.
		f.n.lost = true
		return &fs.PathError{Op: "sync", Path: f.name, Err: err}
	}
	if f.d.Forget != nil && f.d.Forget(s) || f.n.lost {
		return nil
	}
	f.n.sync()
	return nil
}

// sync in place: what is kept grows with the file, so a sync costs what is dirty.
func (n *inode) sync() {
	k := slices.Clone(n.kept) // images share the old one
	if len(k) > len(n.data) {
		k = k[:len(n.data)]
	}
	k = append(k, make([]byte, len(n.data)-len(k))...)
	for s := range n.dirty {
		if s*Sector < len(n.data) {
			copy(k[s*Sector:], n.data[s*Sector:min((s+1)*Sector, len(n.data))])
		}
	}
	n.kept = k
	clear(n.dirty)
}

func (f *file) Close() error { return nil }

// Image is the state of a disk at one moment.
type Image struct {
	nodes  map[*inode]*inode // a copy of each
	names  map[string]*inode
	kept   map[string]*inode
	dirOps []dirOp
	cap    int64
}

func (d *Disk) image() *Image {
	im := &Image{nodes: map[*inode]*inode{}, cap: d.Capacity, names: map[string]*inode{}, kept: map[string]*inode{}}
	cp := func(n *inode) *inode {
		if n == nil {
			return nil
		}
		c := im.nodes[n]
		if c == nil {
			c = &inode{data: slices.Clone(n.data), kept: n.kept, dirty: map[int]bool{}}
			for s := range n.dirty {
				c.dirty[s] = true
			}
			im.nodes[n] = c
		}
		return c
	}
	for k, n := range d.names {
		im.names[k] = cp(n)
	}
	for k, n := range d.kept {
		im.kept[k] = cp(n)
	}
	for _, o := range d.dirOps {
		im.dirOps = append(im.dirOps, dirOp{o.remove, o.set, cp(o.node)})
	}
	return im
}

// Image of the disk now.
func (d *Disk) Image() *Image {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.image()
}

// Restart is the disk that a machine finds after the power went at that moment.
// What was synced is there; of the rest each sector and each change of a name
// is, by the dice, there or not, and now and then a sector holds rubbish.
func (im *Image) Restart(rng *rand.Rand) *Disk {
	d := New()
	d.Capacity = im.cap
	keep := []float64{0, 0.1, 0.5, 0.9, 1}[rng.IntN(5)]
	names := map[string]*inode{}
	for k, n := range im.kept {
		names[k] = n
	}
	gone := map[string]bool{} // after a change that was lost, nothing of that name
	for _, o := range im.dirOps {
		if rng.Float64() >= keep || o.remove != "" && gone[o.remove] {
			gone[o.set] = true
			continue
		}
		delete(gone, o.set)
		o.apply(names)
	}
	made := map[*inode]*inode{}
	for _, k := range slices.Sorted(mapKeys(names)) {
		n := names[k]
		if made[n] == nil {
			made[n] = n.cut(rng, keep)
		}
		d.names[k], d.kept[k] = made[n], made[n]
	}
	return d
}

func mapKeys(m map[string]*inode) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (n *inode) cut(rng *rand.Rand, keep float64) *inode {
	size := len(n.kept)
	if rng.Float64() < keep {
		size = len(n.data)
	}
	b := make([]byte, size)
	copy(b, n.kept)
	for s := 0; s*Sector < size; s++ {
		if !n.dirty[s] {
			continue
		}
		to := b[s*Sector : min((s+1)*Sector, size)]
		switch x := rng.Float64(); {
		case x < keep:
			if s*Sector < len(n.data) {
				clear(to)
				copy(to, n.data[s*Sector:])
			}
		case x > 0.98 && s*Sector >= len(n.kept): // never written before
			for i := range to {
				to[i] = byte(rng.Uint32())
			}
		}
	}
	return &inode{data: b, kept: slices.Clone(b), dirty: map[int]bool{}}
}

// String of a step, for messages.
func (s Step) String() string {
	return fmt.Sprintf("step %d: %s %s%s", s.N, s.Kind, s.Name, s.To)
}
