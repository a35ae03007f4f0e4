package record_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"deskset/firmware/record"
)

func lines(t testing.TB, fs ...record.Fact) []byte {
	t.Helper()
	var out []byte
	for _, f := range fs {
		b, err := record.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(b, []byte("\n")) != 1 || b[len(b)-1] != '\n' {
			t.Fatalf("%q is not one line", b)
		}
		out = append(out, b...)
	}
	return out
}

var call = []record.Fact{
	{At: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), Clock: "trusted", Ms: -1, Kind: record.Offered, Direction: "in", From: "+86139", To: "400", Text: "a\nb"},
	{At: time.Date(2026, 1, 2, 3, 4, 9, 0, time.UTC), Ms: 4000, Kind: record.Quality, Stats: &record.Stats{Lost: 3, JitterMs: 0.5}},
	{At: time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC), Ms: 55_000, Kind: "of-tomorrow", Text: "kept"},
}

func TestRoundTrip(t *testing.T) {
	got, err := record.Parse(lines(t, call...))
	if err != nil || !reflect.DeepEqual(got, call) {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, err := record.Parse(nil); len(got) != 0 || err != nil {
		t.Fatal(got, err)
	}
}

// Damage costs the lines it hits, and names the first.
func TestDamage(t *testing.T) {
	b := lines(t, call...)
	parts := bytes.SplitAfter(b, []byte("\n"))
	for name, c := range map[string]struct {
		in   []byte
		want int
		says string
	}{
		"cut at the end":     {b[:len(b)-4], 2, "line 3"},
		"garbage in between": {bytes.Join([][]byte{parts[0], []byte("x\x00\n"), parts[2]}, nil), 2, "line 2"},
		"wrong type":         {[]byte(`{"ms":"soon"}` + "\n" + string(parts[0])), 1, "line 1"},
		"blank lines":        {[]byte("\n\n" + string(parts[0]) + "\n"), 1, ""},
	} {
		got, err := record.Parse(c.in)
		if len(got) != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %d facts, %v", name, len(got), err)
		}
	}
}

// Reading never fails altogether, and what was read can be written and read
// again.
func FuzzParse(f *testing.F) {
	f.Add(lines(f, call...))
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, _ := record.Parse(b)
		if n := bytes.Count(b, []byte("\n")) + 1; len(facts) > n {
			t.Fatalf("%d facts in %d lines", len(facts), n)
		}
		for _, x := range facts {
			line, err := record.Marshal(x)
			if err != nil {
				continue // a time beyond the year 9999
			}
			again, err := record.Parse(line)
			if err != nil || len(again) != 1 {
				t.Fatalf("%q: %v", line, err)
			}
		}
	})
}
