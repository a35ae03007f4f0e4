// Package crashfs is a disk in memory that loses power where a test says: the
// other side of fsstore.FS. A test counts the operations of a piece of work,
// cuts at each of them, and looks at what Crash leaves.
package crashfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"time"

	"deskset/firmware/centre/store/fsstore"
)

// ErrCut is what every operation returns from the cut on.
var ErrCut = errors.New("power is gone")

// FS is the disk. The zero value is not usable; call New.
type FS struct {
	mu      sync.Mutex
	names   map[string]*node // "." is the root
	journal []*change        // of names, in order
	ops     int
	cut     int // the operation that fails and all after it; 0: none
	fail    map[int]error
	// Deaf makes the named kind of sync lie: a mutant that a sweep must catch.
	Deaf map[Sync]bool
	// Space is what Free says.
	Space int64
}

// Sync is a kind of sync.
type Sync string

const (
	FileSync Sync = "file"
	DirSync  Sync = "dir"
)

type node struct {
	dir     bool
	data    []byte
	durable []byte // as of the last sync
}

// change is one change of names; undone means dropped by Crash.
type change struct {
	dirs   []string // that must be synced, any one of them
	synced bool
	apply  func(map[string]*node)
}

// New is an empty disk.
func New() *FS {
	return &FS{names: map[string]*node{".": {dir: true}}, fail: map[int]error{}, Deaf: map[Sync]bool{}, Space: 1 << 40}
}

// Ops is the number of changing operations so far.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// CutAt takes the power away at the n-th operation from now, counted from 1.
func (f *FS) CutAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = f.ops + n
}

// FailAt makes the n-th operation from now fail with err, and only that one.
func (f *FS) FailAt(n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[f.ops+n] = err
}

// Crash is the disk as found after the cut. What was synced is there. Of what
// was not, keep says how much: 0 nothing, 1 all, between: some, by chance,
// with file contents torn.
func (f *FS) Crash(keep float64, seed uint64) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	rnd := rand.New(rand.NewPCG(seed, 7))
	out := New()
	out.Space = f.Space
	last := 0
	for i, c := range f.journal {
		if c.synced {
			last = i + 1
		}
	}
	// Journals keep order: what is kept beyond the syncs is a prefix.
	upto := last + int(keep*float64(len(f.journal)-last)+rnd.Float64()*keep)
	for i, c := range f.journal {
		if c.synced || keep > 0 && i < upto {
			c.apply(out.names)
		}
	}
	for name := range out.names {
		for d := path.Dir(name); ; d = path.Dir(d) {
			if n := out.names[d]; n == nil || !n.dir {
				delete(out.names, name) // its directory was never synced: it cannot be reached
				break
			}
			if d == "." {
				break
			}
		}
	}
	copies := map[*node]*node{}
	for name, n := range out.names {
		if copies[n] == nil {
			c := &node{dir: n.dir, data: slices.Clone(n.durable)}
			if keep > 0 && rnd.Float64() < keep {
				c.data = slices.Clone(n.data)
				if keep < 1 && len(c.data) > len(n.durable) {
					// The size is there, the blocks are not all.
					hole := len(n.durable) + rnd.IntN(len(c.data)-len(n.durable)+1)
					clear(c.data[hole:])
				}
			}
			c.durable = slices.Clone(c.data)
			copies[n] = c
		}
		out.names[name] = copies[n]
	}
	for name := range out.names {
		n := out.names[name]
		out.journal = append(out.journal, &change{synced: true, apply: func(m map[string]*node) { m[name] = n }})
	}
	return out
}

// step counts an operation; call with mu held.
func (f *FS) step(op, p string) error {
	f.ops++
	if f.cut > 0 && f.ops >= f.cut {
		return &fs.PathError{Op: op, Path: p, Err: ErrCut}
	}
	if err := f.fail[f.ops]; err != nil {
		return &fs.PathError{Op: op, Path: p, Err: err}
	}
	return nil
}

// dead is step for operations that change nothing.
func (f *FS) dead(op, p string) error {
	if f.cut > 0 && f.ops >= f.cut {
		return &fs.PathError{Op: op, Path: p, Err: ErrCut}
	}
	return nil
}

func (f *FS) log(c *change) {
	f.journal = append(f.journal, c)
	c.apply(f.names)
}

func (f *FS) parent(op, p string) error {
	if n := f.names[path.Dir(p)]; n == nil || !n.dir {
		return &fs.PathError{Op: op, Path: p, Err: fs.ErrNotExist}
	}
	return nil
}

// Open implements fsstore.FS.
func (f *FS) Open(p string) (fsstore.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.dead("open", p); err != nil {
		return nil, err
	}
	n := f.names[p]
	if n == nil || n.dir {
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	return &file{f, p, n}, nil
}

// Write implements fsstore.FS.
func (f *FS) Write(p string) (fsstore.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("create", p); err != nil {
		return nil, err
	}
	if err := f.parent("create", p); err != nil {
		return nil, err
	}
	if f.names[p] == nil {
		n := &node{}
		f.log(&change{dirs: []string{path.Dir(p)}, apply: func(m map[string]*node) { m[p] = n }})
	}
	return &file{f, p, f.names[p]}, nil
}

// Rename implements fsstore.FS.
func (f *FS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("rename", from); err != nil {
		return err
	}
	n := f.names[from]
	if n == nil || f.parent("rename", to) != nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	f.log(&change{dirs: []string{path.Dir(from), path.Dir(to)}, apply: func(m map[string]*node) {
		delete(m, from)
		m[to] = n
	}})
	return nil
}

// Remove implements fsstore.FS.
func (f *FS) Remove(p string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("remove", p); err != nil {
		return err
	}
	if f.names[p] == nil {
		return &fs.PathError{Op: "remove", Path: p, Err: fs.ErrNotExist}
	}
	f.log(&change{dirs: []string{path.Dir(p)}, apply: func(m map[string]*node) { delete(m, p) }})
	return nil
}

// Mkdir implements fsstore.FS.
func (f *FS) Mkdir(p string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.names[p]; n != nil && n.dir {
		return f.dead("mkdir", p)
	}
	if err := f.step("mkdir", p); err != nil {
		return err
	}
	if err := f.parent("mkdir", p); err != nil {
		return err
	}
	f.log(&change{dirs: []string{path.Dir(p)}, apply: func(m map[string]*node) { m[p] = &node{dir: true} }})
	return nil
}

// ReadDir implements fsstore.FS.
func (f *FS) ReadDir(p string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.dead("readdir", p); err != nil {
		return nil, err
	}
	if n := f.names[p]; n == nil || !n.dir {
		return nil, &fs.PathError{Op: "readdir", Path: p, Err: fs.ErrNotExist}
	}
	var out []fs.DirEntry
	for name, n := range f.names {
		if name != "." && path.Dir(name) == p {
			out = append(out, entry{path.Base(name), n.dir})
		}
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int {
		if a.Name() < b.Name() {
			return -1
		}
		return 1
	})
	return out, nil
}

// SyncDir implements fsstore.FS.
func (f *FS) SyncDir(p string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("syncdir", p); err != nil {
		return err
	}
	if f.names[p] == nil {
		return &fs.PathError{Op: "syncdir", Path: p, Err: fs.ErrNotExist}
	}
	if f.Deaf[DirSync] {
		return nil
	}
	for _, c := range f.journal {
		c.synced = c.synced || slices.Contains(c.dirs, p)
	}
	return nil
}

// Free implements fsstore.FS.
func (f *FS) Free() (int64, error) { return f.Space, nil }

// Lock implements fsstore.FS: one process only uses a disk in memory.
func (f *FS) Lock(p string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return io.NopCloser(nil), f.dead("lock", p)
}

type file struct {
	f *FS
	p string
	n *node
}

func (h *file) ReadAt(b []byte, off int64) (int, error) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if err := h.f.dead("read", h.p); err != nil {
		return 0, err
	}
	if off >= int64(len(h.n.data)) {
		return 0, io.EOF
	}
	n := copy(b, h.n.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (h *file) WriteAt(b []byte, off int64) (int, error) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if h.f.cut > 0 && h.f.ops >= h.f.cut {
		return 0, &fs.PathError{Op: "write", Path: h.p, Err: ErrCut}
	}
	err := h.f.step("write", h.p)
	if err != nil {
		b = b[:len(b)/2] // torn
	}
	if need := int(off) + len(b); need > len(h.n.data) {
		h.n.data = append(h.n.data, make([]byte, need-len(h.n.data))...)
	}
	copy(h.n.data[off:], b)
	return len(b), err
}

func (h *file) Truncate(size int64) error {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if err := h.f.step("truncate", h.p); err != nil {
		return err
	}
	if d := int(size) - len(h.n.data); d > 0 {
		h.n.data = append(h.n.data, make([]byte, d)...)
	}
	h.n.data = h.n.data[:size:size]
	return nil
}

func (h *file) Sync() error {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if err := h.f.step("sync", h.p); err != nil {
		return err
	}
	if !h.f.Deaf[FileSync] {
		h.n.durable = slices.Clone(h.n.data)
	}
	return nil
}

func (h *file) Size() (int64, error) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	return int64(len(h.n.data)), h.f.dead("stat", h.p)
}

func (h *file) Close() error { return nil }

type entry struct {
	name string
	dir  bool
}

func (e entry) Name() string { return e.name }
func (e entry) IsDir() bool  { return e.dir }
func (e entry) Type() fs.FileMode {
	if e.dir {
		return fs.ModeDir
	}
	return 0
}
func (e entry) Info() (fs.FileInfo, error) { return info{e}, nil }

type info struct{ entry }

func (i info) Size() int64        { return 0 }
func (i info) Mode() fs.FileMode  { return i.Type() }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) Sys() any           { return nil }
func (i info) String() string     { return fmt.Sprintf("%s (dir %v)", i.name, i.dir) }
