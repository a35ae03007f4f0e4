package oggopus

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
)

// cut gives the pages of a file.
func cut(t testing.TB, file []byte) [][]byte {
	t.Helper()
	var out [][]byte
	for len(file) > 0 {
		n, err := pageSize(file)
		if err != nil {
			t.Fatal(err)
		}
		out, file = append(out, file[:n]), file[n:]
	}
	return out
}

func strict(b []byte) (n int, err error) {
	r := NewReader(bytes.NewReader(b))
	for {
		if _, err := r.Next(); err != nil {
			if err == io.EOF {
				return n, nil
			}
			return n, err
		}
		n++
	}
}

func tolerant(b []byte) (slots []Slot, d Damage, err error) {
	r := NewTolerantReader(bytes.NewReader(b))
	for {
		s, err := r.Next()
		if err == io.EOF {
			return slots, r.Damage(), nil
		}
		if err != nil {
			return slots, r.Damage(), err
		}
		slots = append(slots, s)
	}
}

func TestStrictSeesEveryDamage(t *testing.T) {
	l := leg(t, 30, 300)
	file := write(t, l, l)
	if n, err := strict(file); n != 30 || err != nil {
		t.Fatalf("%d slots, %v", n, err)
	}
	for at := range file {
		bad := bytes.Clone(file)
		bad[at] ^= 0x10
		if _, err := strict(bad); !errors.Is(err, ErrFormat) {
			t.Fatalf("byte %d changed: %v", at, err)
		}
	}
	for n := range file {
		if _, err := strict(file[:n]); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut off at %d: %v", n, err)
		}
	}
	pages := cut(t, write(t, append(l, l...), append(l, l...)))
	for i := range pages {
		if _, err := strict(bytes.Join(slices.Delete(slices.Clone(pages), i, i+1), nil)); !errors.Is(err, ErrFormat) {
			t.Errorf("without page %d: %v", i, err)
		}
		if _, err := strict(bytes.Join(slices.Insert(slices.Clone(pages), i, pages[i]), nil)); !errors.Is(err, ErrFormat) {
			t.Errorf("page %d twice: %v", i, err)
		}
	}
	if _, err := strict(append(bytes.Clone(file), 0)); !errors.Is(err, ErrFormat) {
		t.Errorf("a byte behind the end: %v", err)
	}
}

func TestTolerant(t *testing.T) {
	a, c := leg(t, 250, 300), leg(t, 250, 500)
	file := write(t, a, c)
	pages := cut(t, file)
	without := func(i ...int) []byte {
		var out []byte
		for k, p := range pages {
			if !slices.Contains(i, k) {
				out = append(out, p...)
			}
		}
		return out
	}
	check := func(name string, b []byte, slots int, missing func(i int) bool, truncated bool) {
		t.Helper()
		got, d, err := tolerant(b)
		if err != nil || len(got) != slots || d.Truncated != truncated {
			t.Fatalf("%s: %d slots, %+v, %v", name, len(got), d, err)
		}
		for i, s := range got {
			if s.Missing != missing(i) {
				t.Fatalf("%s: slot %d missing=%v", name, i, s.Missing)
			}
			if !s.Missing && (!bytes.Equal(s.Agent, a[i]) || !bytes.Equal(s.Customer, c[i])) {
				t.Fatalf("%s: slot %d holds other packets", name, i)
			}
		}
	}
	second := func(n ...int) func(int) bool {
		return func(i int) bool { return slices.Contains(n, i/PageSlots) }
	}
	check("whole", file, 250, second(), false)
	check("no header", without(0, 1), 250, second(), false)
	check("second 2 gone", without(3), 250, second(1), false)
	check("seconds 1, 3, 4 gone", without(2, 4, 5), 250, second(0, 2, 3), false)
	check("end gone", without(6), 200, second(), true)
	check("page twice", slices.Concat(without(4, 5, 6), pages[3], pages[4], pages[5], pages[6]), 250, second(), false)
	check("rubbish between", slices.Concat(without(4, 5, 6), []byte("OggS rubbish OggSOgg"), pages[4], pages[5], pages[6], []byte("Og")), 250, second(), false)
	check("cut in second 4", file[:len(file)-len(pages[6])-9], 150, second(), true)
	bad := bytes.Clone(file)
	bad[len(pages[0])+len(pages[1])+len(pages[2])+300] ^= 1
	check("one bit", bad, 250, second(1), false)

	if _, _, err := tolerant([]byte("no Ogg at all, OggS or not")); !errors.Is(err, ErrFormat) {
		t.Errorf("rubbish: %v", err)
	}
	if _, _, err := tolerant(nil); !errors.Is(err, ErrFormat) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := NewTolerantReader(iotest.ErrReader(iotest.ErrTimeout)).Next(); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("reader's error: %v", err)
	}
	if n, err := strict(file); n != 250 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	r := NewReader(iotest.OneByteReader(bytes.NewReader(file)))
	if a, _, err := DecodeAll(r); err != nil || len(a) != 250*SlotSamples-PreSkip {
		t.Errorf("byte by byte: %d samples, %v", len(a), err)
	}
}

func TestMissingIsSilent(t *testing.T) {
	l := leg(t, 200, 300)
	pages := cut(t, write(t, l, l))
	b := bytes.Join(slices.Delete(pages, 3, 4), nil)
	a, c, err := DecodeAll(NewTolerantReader(bytes.NewReader(b)))
	if err != nil || len(a) != 200*SlotSamples-PreSkip || len(c) != len(a) {
		t.Fatalf("%d, %d samples, %v", len(a), len(c), err)
	}
	quiet := func(s []int16) bool { return !slices.ContainsFunc(s, func(v int16) bool { return v != 0 }) }
	if !quiet(a[48000 : 96000-PreSkip]) {
		t.Error("the missing second is not silent")
	}
	if quiet(a[:48000-PreSkip]) || quiet(c[96000:]) {
		t.Error("what is there is silent")
	}
}

func FuzzReader(f *testing.F) {
	l := leg(f, 3, 300)
	f.Add(write(f, l, l))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := strict(b)
		slots, d, terr := tolerant2(b)
		if err == nil && (terr != nil || slots != n || d != Damage{}) {
			t.Fatalf("strictly %d slots; tolerantly %d, %+v, %v", n, slots, d, terr)
		}
	})
}

// tolerant2 counts, and gives up on a claim of hours.
func tolerant2(b []byte) (n int, d Damage, err error) {
	r := NewTolerantReader(bytes.NewReader(b))
	for n < 5000 {
		s, err := r.Next()
		if err == io.EOF {
			return n, r.Damage(), nil
		}
		if err != nil {
			return n, r.Damage(), err
		}
		if !s.Missing && (Fits(s.Agent) != nil || Fits(s.Customer) != nil) {
			return n, r.Damage(), errors.New("a slot that does not fit")
		}
		n++
	}
	return n, r.Damage(), nil
}

// FuzzFraming: what goes in self-delimited comes out as it was.
func FuzzFraming(f *testing.F) {
	for _, p := range oddFraming(rand.New(rand.NewPCG(9, 9))) {
		f.Add(p, []byte("rest"))
	}
	f.Fuzz(func(t *testing.T, pkt, rest []byte) {
		b, err := appendSelfDelimited(nil, pkt)
		if err != nil {
			return
		}
		got, tail, err := cutSelfDelimited(append(b, rest...))
		if err != nil || !bytes.Equal(got, pkt) || !bytes.Equal(tail, rest) {
			t.Fatalf("% x became % x, rest % x, %v", pkt, got, tail, err)
		}
	})
}
