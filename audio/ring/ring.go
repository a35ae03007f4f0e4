// Package ring is a lock-free ring of 16-bit samples between one writer and one
// reader: an audio callback that must never wait, and the goroutine that makes
// or takes its sound.
//
// One goroutine (or foreign thread) may call the writer's methods and one the
// reader's, at the same time; Len, Cap and Dropped may be called by anyone.
// Each side publishes its own counter with an atomic store after it has touched
// the samples and loads the other's before it does: under the Go memory model
// that orders every access to a sample. Nothing allocates after New.
package ring

import (
	"fmt"
	"sync/atomic"
)

// Counters are the positions of both sides. They run for ever and are folded by
// the ring's size; the pads keep the two sides' cache lines apart. The layout is
// fixed, 128 bytes, so that one side may be C (stdatomic, the same protocol).
type Counters struct {
	Written atomic.Uint64 // by the writer only
	Dropped atomic.Uint64 // by the writer only
	_       [48]byte
	Read    atomic.Uint64 // by the reader only
	_       [56]byte
}

// Ring holds samples.
type Ring struct {
	buf  []int16
	mask uint64
	c    *Counters
}

// New makes a ring for n samples; n must be a power of two, else it panics
// (it is always a constant of the program).
func New(n int) *Ring { return Over(make([]int16, n), &Counters{}) }

// Over makes a ring of memory that may be shared with C; the caller keeps it
// alive. len(buf) must be a power of two, else it panics.
func Over(buf []int16, c *Counters) *Ring {
	n := len(buf)
	if n < 2 || n&(n-1) != 0 {
		panic(fmt.Sprintf("ring: size %d is not a power of two", n))
	}
	return &Ring{buf: buf, mask: uint64(n - 1), c: c}
}

// Write copies as much of s as there is room for and returns how much that
// was; the rest is counted as dropped. Writer's side.
func (r *Ring) Write(s []int16) int {
	w := r.c.Written.Load()
	room := uint64(len(r.buf)) - (w - r.c.Read.Load())
	n := min(uint64(len(s)), room)
	if n < uint64(len(s)) {
		r.c.Dropped.Add(uint64(len(s)) - n)
	}
	at := w & r.mask
	first := copy(r.buf[at:], s[:n])
	copy(r.buf, s[first:n])
	r.c.Written.Store(w + n)
	return int(n)
}

// Read copies up to len(s) samples out and returns how many there were.
// Reader's side.
func (r *Ring) Read(s []int16) int {
	n := r.Peek(s)
	r.c.Read.Add(uint64(n))
	return n
}

// Peek copies up to len(s) samples out without taking them and returns how many
// there were. Reader's side.
func (r *Ring) Peek(s []int16) int {
	at := r.c.Read.Load()
	n := min(uint64(len(s)), r.c.Written.Load()-at)
	first := copy(s[:n], r.buf[at&r.mask:])
	copy(s[first:n], r.buf)
	return int(n)
}

// Skip throws up to n samples away and returns how many. Reader's side.
func (r *Ring) Skip(n int) int {
	at := r.c.Read.Load()
	k := min(uint64(max(n, 0)), r.c.Written.Load()-at)
	r.c.Read.Store(at + k)
	return int(k)
}

// Len returns how many samples wait to be read. The writer sees no less than
// what is there, the reader no more.
func (r *Ring) Len() int {
	// read first: it never overtakes written, so the difference cannot be negative.
	at := r.c.Read.Load()
	return int(min(r.c.Written.Load()-at, uint64(len(r.buf))))
}

// Cap returns the size given to New.
func (r *Ring) Cap() int { return len(r.buf) }

// Dropped returns how many samples Write found no room for.
func (r *Ring) Dropped() uint64 { return r.c.Dropped.Load() }
