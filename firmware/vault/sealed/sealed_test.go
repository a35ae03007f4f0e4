package sealed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"deskset/firmware/fleet"
)

var testKeys = sync.OnceValue(func() (k [3]*PrivateKey) {
	for i, use := range []Use{Online, Offline, Offline} {
		var err error
		if k[i], err = GenerateKey(use); err != nil {
			panic(err)
		}
	}
	return k
})

var meta = Meta{ID: "6f3c1a52-9d0e-4c7b-8a11-0123456789ab", Seq: 7, Kind: fleet.Voice, Part: 1}

func text(i int) string { return strings.Repeat(fmt.Sprintf("segment %d ", i), 200+i%4*200) }

// build a file of n segments; the offsets of the segments come with it.
func build(t testing.TB, n int, to ...*PublicKey) (b []byte, offs []int) {
	t.Helper()
	w, b, err := NewWriter(meta, to)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s, err := w.Segment([]byte(text(i)), i == n-1)
		if err != nil {
			t.Fatal(err)
		}
		if len(s) != SizeOf(len(text(i))) || len(s)%Block != 0 {
			t.Fatalf("segment of %d bytes in the file, SizeOf says %d", len(s), SizeOf(len(text(i))))
		}
		offs = append(offs, len(b))
		b = append(b, s...)
	}
	return b, append(offs, len(b))
}

// read everything; what is damaged comes back by number.
func read(b []byte, size int64, k *PrivateKey) (got map[uint64]string, lost []uint64, clean bool, err error) {
	r, err := Open(bytes.NewReader(b), size, k)
	if err != nil {
		return nil, nil, false, err
	}
	got = map[uint64]string{}
	for {
		s, err := r.Next()
		var d *Damage
		switch {
		case err == io.EOF:
			return got, lost, r.Clean(), nil
		case errors.As(err, &d):
			for i := range d.Count {
				lost = append(lost, d.Seq+i)
			}
		case err != nil:
			return got, lost, false, err
		default:
			got[s.Seq] = string(s.Data)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	k := testKeys()
	b, offs := build(t, 9, k[1].Public(), k[2].Public())
	for _, key := range k[1:] {
		got, lost, clean, err := read(b, int64(len(b)), key)
		if err != nil || len(lost) > 0 || !clean || len(got) != 9 {
			t.Fatalf("%d segments, lost %v, clean %v, %v", len(got), lost, clean, err)
		}
		for i := range 9 {
			if got[uint64(i)] != text(i) {
				t.Fatalf("segment %d differs", i)
			}
		}
	}
	if _, _, _, err := read(b, int64(len(b)), k[0]); !errors.Is(err, ErrNotRecipient) {
		t.Fatalf("a stranger's key: %v", err)
	}
	l, err := Scan(bytes.NewReader(b), int64(len(b)))
	if err != nil || l.Segments != 9 || !l.Clean || l.Size != int64(offs[9]) || l.Header.Meta != meta {
		t.Fatalf("%+v: %v", l, err)
	}
	if !slices.Equal(l.Header.Keys, []string{k[1].ID(), k[2].ID()}) {
		t.Fatalf("recipients %v", l.Header.Keys)
	}
}

// TestTornAndStale cuts a file at every sector, in a slab that an earlier
// recording of the same kind has filled.
func TestTornAndStale(t *testing.T) {
	k := testKeys()
	stale, _ := build(t, 20, k[1].Public())
	b, offs := build(t, 6, k[1].Public())
	for cut := offs[0]; cut <= len(b); cut += 512 {
		file := slices.Clone(stale)
		copy(file, b[:cut])
		whole := 0
		for whole < 6 && offs[whole+1] <= cut {
			whole++
		}
		l, err := Scan(bytes.NewReader(file), int64(len(file)))
		if err != nil || l.Segments != whole || l.Size != int64(offs[whole]) || l.Clean != (whole == 6) || l.Damaged != 0 {
			t.Fatalf("cut at %d: %+v: %v", cut, l, err)
		}
		got, lost, clean, err := read(file, l.Size, k[1])
		if err != nil || len(got) != whole || len(lost) != 0 || clean != (whole == 6) {
			t.Fatalf("cut at %d: %d segments, lost %v: %v", cut, len(got), lost, err)
		}
	}
}

// TestFlipEveryByte: the segment that holds the byte is refused, every other
// one is read; the header stands twice, so a byte of it costs nothing.
func TestFlipEveryByte(t *testing.T) {
	k := testKeys()
	b, offs := build(t, 4, k[1].Public())
	step := 101
	if os.Getenv("DESKSET_FULL") != "" {
		step = 1
	}
	for i := 0; i < len(b); i += step {
		bad := slices.Clone(b)
		bad[i] ^= 1 << (i % 8)
		hit := -1
		for s := range 4 {
			if i >= offs[s] && i < offs[s+1] {
				hit = s
			}
		}
		got, lost, clean, err := read(bad, int64(len(bad)), k[1])
		if err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
		want := 4
		if hit >= 0 {
			want = 3
			if len(lost) != 1 || lost[0] != uint64(hit) {
				t.Fatalf("byte %d in segment %d: lost %v", i, hit, lost)
			}
		} else if len(lost) != 0 {
			t.Fatalf("byte %d of the header: lost %v", i, lost)
		}
		if len(got) != want || clean != (hit != 3) {
			t.Fatalf("byte %d: %d segments, clean %v", i, len(got), clean)
		}
		for s, v := range got {
			if v != text(int(s)) {
				t.Fatalf("byte %d: segment %d differs", i, s)
			}
		}
		if l, err := Scan(bytes.NewReader(bad), int64(len(bad))); err != nil || l.Segments != want {
			t.Fatalf("byte %d: scan %+v: %v", i, l, err)
		}
	}
}

func TestHeaderLostTwice(t *testing.T) {
	k := testKeys()
	b, _ := build(t, 2, k[1].Public())
	b[100] ^= 1
	b[Block+100] ^= 1
	if _, err := Scan(bytes.NewReader(b), int64(len(b))); !errors.Is(err, ErrHeader) {
		t.Fatalf("got %v", err)
	}
	for _, n := range []int{0, 1, 100, Block - 1} {
		if _, err := Scan(bytes.NewReader(b[:n]), int64(n)); !errors.Is(err, ErrHeader) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

// TestMixed: segments neither move within a file nor from file to file.
func TestMixed(t *testing.T) {
	k := testKeys()
	a, offs := build(t, 5, k[1].Public())
	b, _ := build(t, 5, k[1].Public())
	seg := func(f []byte, i int) []byte { return f[offs[i]:offs[i+1]] }

	swapped := slices.Clone(a)
	copy(swapped[offs[0]:], seg(a, 4)) // both one block
	got, lost, _, err := read(swapped, int64(len(a)), k[1])
	if err != nil || !slices.Equal(lost, []uint64{0}) || len(got) != 4 || got[4] != text(4) {
		t.Fatalf("moved: %d segments, lost %v: %v", len(got), lost, err)
	}
	foreign := slices.Clone(a)
	copy(foreign[offs[2]:], seg(b, 2))
	got, lost, _, err = read(foreign, int64(len(a)), k[1])
	if err != nil || !slices.Equal(lost, []uint64{2}) || len(got) != 4 {
		t.Fatalf("foreign: %d segments, lost %v: %v", len(got), lost, err)
	}
	// A lost end shows against the manifest's size.
	_, lost, clean, err := read(a[:offs[4]], int64(offs[4]), k[1])
	if err != nil || clean || len(lost) != 0 {
		t.Fatalf("short: lost %v, clean %v: %v", lost, clean, err)
	}
	// Right checksum, wrong seal: the frame is the attacker's own.
	forged := slices.Clone(a)
	f := forged[offs[1]:offs[2]]
	f[70] ^= 1
	h, err := parseHeader(a)
	if err != nil {
		t.Fatal(err)
	}
	sum := frameSum(&h.sum, f)
	copy(f[32:], sum[:])
	got, lost, _, err = read(forged, int64(len(a)), k[1])
	if err != nil || !slices.Equal(lost, []uint64{1}) || len(got) != 4 {
		t.Fatalf("forged: %d segments, lost %v: %v", len(got), lost, err)
	}
}

func TestAmend(t *testing.T) {
	k := testKeys()
	w, b, err := NewWriter(meta, []*PublicKey{k[1].Public()})
	if err != nil {
		t.Fatal(err)
	}
	put := func(s []byte, err error) int {
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, s...)
		return len(b) - len(s)
	}
	put(w.Segment([]byte("zero"), false))
	put(w.Segment([]byte("one"), false))
	put(w.Segment([]byte("two"), false))
	at := put(w.Amend(1, []byte("ONE")))
	put(w.Segment([]byte("four"), false))
	put(w.Amend(1, []byte("One")))
	put(w.Segment([]byte("six"), true))
	if _, err := w.Amend(9, nil); err == nil {
		t.Fatal("a segment to come was amended")
	}
	order := func(b []byte) string {
		r, err := Open(bytes.NewReader(b), int64(len(b)), k[1])
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for {
			s, err := r.Next()
			if err == io.EOF {
				return strings.Join(out, " ")
			}
			if err != nil {
				out = append(out, err.Error())
				continue
			}
			out = append(out, string(s.Data))
		}
	}
	if got := order(b); got != "zero One two four six" {
		t.Fatalf("got %q", got)
	}
	bad := slices.Clone(b)
	bad[at+2*Block+80] ^= 1 // the second amendment
	const lost = "segment 5 is damaged: no whole segment is found there, or its seal does not open"
	if got := order(bad); got != "zero ONE two four "+lost+" six" {
		t.Fatalf("got %q", got)
	}
	w.Wipe()
	if _, err := w.Segment(nil, true); err == nil {
		t.Fatal("sealed after Wipe")
	}
}

func TestLimits(t *testing.T) {
	k := testKeys()
	if _, _, err := NewWriter(meta, nil); err == nil {
		t.Error("no recipient")
	}
	many := slices.Repeat([]*PublicKey{k[1].Public()}, MaxRecipients)
	w, b, err := NewWriter(meta, many)
	if err != nil {
		t.Fatalf("%d recipients: %v", MaxRecipients, err)
	}
	if _, err := w.Segment(make([]byte, MaxData+1), false); err == nil {
		t.Error("too large a segment")
	}
	s, err := w.Segment(make([]byte, MaxData), true)
	if err != nil || len(s) != MaxBlocks*Block {
		t.Fatalf("largest segment: %d bytes, %v", len(s), err)
	}
	b = append(b, s...)
	if got, _, clean, err := read(b, int64(len(b)), k[1]); err != nil || !clean || len(got[0]) != MaxData {
		t.Fatalf("largest segment: %v", err)
	}
	for _, m := range []Meta{{}, {ID: "x", Kind: fleet.Voice, Part: 1}, {ID: meta.ID, Kind: "x", Part: 1}, {ID: meta.ID, Kind: fleet.Facts}} {
		if _, _, err := NewWriter(m, many[:1]); err == nil {
			t.Errorf("%+v was taken", m)
		}
	}
}

func TestKeyFiles(t *testing.T) {
	for _, k := range testKeys() {
		f, err := MarshalPrivate(k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePrivate(f)
		if err != nil || got.ID() != k.ID() || got.Use() != k.Use() {
			t.Fatalf("%v", err)
		}
		pub, err := ParsePublic(k.Public().Recipient())
		if err != nil || pub.ID() != k.ID() {
			t.Fatalf("%v", err)
		}
		for i := range f {
			bad := slices.Clone(f)
			bad[i] ^= 1
			// Either refused, or the change was of no account (a line end).
			if got, err := ParsePrivate(bad); err == nil && got.ID() != k.ID() {
				t.Fatalf("byte %d: another key was read", i)
			}
		}
		if _, err := ParsePrivate(append(f, f...)); err == nil {
			t.Error("two keys in a file")
		}
		r := k.Public().Recipient()
		r.ID = testKeys()[0].ID()
		if r.ID != k.ID() {
			if _, err := ParsePublic(r); err == nil {
				t.Error("a key under another's name")
			}
		}
	}
	for _, s := range []string{"", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if _, err := ParsePrivate([]byte(s)); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}

// TestFIPS runs the round trip with everything but approved algorithms turned
// off (https://go.dev/doc/security/fips140).
func TestFIPS(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^(TestRoundTrip|TestAmend|TestKeyFiles)$")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func BenchmarkSegment(b *testing.B) {
	w, _, err := NewWriter(meta, []*PublicKey{testKeys()[1].Public()})
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 6300) // one second of 2 x 24 kbit/s
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Segment(data, false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewWriter(b *testing.B) {
	to := []*PublicKey{testKeys()[1].Public(), testKeys()[2].Public()}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := NewWriter(meta, to); err != nil {
			b.Fatal(err)
		}
	}
}
