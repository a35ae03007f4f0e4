package sealed

import (
	"bytes"
	"testing"
)

// The seeds in testdata/fuzz are whole, torn and damaged files of this
// package's own making.

func FuzzHeader(f *testing.F) {
	b, _ := build(f, 1, testKeys()[1].Public())
	f.Add(b[:Block])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil {
			return
		}
		if len(h.Keys) != len(h.wrapped) || h.size > int64(len(b)) {
			t.Fatalf("%+v", h)
		}
		again := Header{Meta: h.Meta, Keys: h.Keys, wrapped: h.wrapped}
		if c, err := again.encode(); err == nil && h.Part > 0 && again.sum != h.sum && bytes.Equal(c, b[:h.size]) {
			t.Fatal("the same bytes have two hashes")
		}
	})
}

func FuzzScan(f *testing.F) {
	b, offs := build(f, 3, testKeys()[1].Public())
	f.Add(b)
	f.Add(b[:offs[2]+700])
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Scan(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if l.Size > int64(len(b)) || l.Segments < 0 || l.Segments*Block > len(b) {
			t.Fatalf("%+v of %d bytes", l, len(b))
		}
		// With a key that is not the file's, nothing may be read.
		if r, err := Open(bytes.NewReader(b), int64(len(b)), testKeys()[0]); err == nil {
			if s, err := r.Next(); err == nil {
				t.Fatalf("segment %d was opened", s.Seq)
			}
		}
	})
}

func FuzzPrivateKey(f *testing.F) {
	b, err := MarshalPrivate(testKeys()[1])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParsePrivate(b)
		if err != nil {
			return
		}
		if k.ID() == "" || k.Use() != Online && k.Use() != Offline {
			t.Fatalf("key %q for %q", k.ID(), k.Use())
		}
	})
}
