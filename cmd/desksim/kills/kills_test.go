package kills

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deskset/cmd/desksim/rig"
	"deskset/firmware/fleet"
	"deskset/firmware/vault"
	"deskset/firmware/vault/sealed"
)

const id = "0f8fad5b-d9cb-469f-a165-70867728950e"

// TestOnDisk counts whole segments only, of the newest recording only.
func TestOnDisk(t *testing.T) {
	dir := t.TempDir()
	key, err := sealed.GenerateKey(sealed.Offline)
	if err != nil {
		t.Fatal(err)
	}
	part := func(seq uint64, kind fleet.Kind, segments int, torn bool) {
		t.Helper()
		w, b, err := sealed.NewWriter(sealed.Meta{ID: id, Seq: seq, Part: 1, Kind: kind}, []*sealed.PublicKey{key.Public()})
		if err != nil {
			t.Fatal(err)
		}
		for range segments {
			s, err := w.Segment(bytes.Repeat([]byte("x"), 3000), false)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, s...)
		}
		if torn {
			b = b[:len(b)-100]
		}
		b = append(b, make([]byte, 64<<10)...) // a slab's rest
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%08d-%s.1.%s", seq, id, kind)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	part(6, fleet.Voice, 9, false)
	part(7, fleet.Facts, 2, false)
	part(7, fleet.Voice, 5, true)
	if err := os.WriteFile(filepath.Join(dir, "slab.000001"), make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	seq, got, segments, err := onDisk(dir)
	if err != nil || seq != 7 || got != id {
		t.Fatalf("number %d, %s, %v", seq, got, err)
	}
	if segments["1/facts"] != 2 || segments["1/voice"] != 4 {
		t.Errorf("segments %v, want 2 of facts and 4 whole ones of voice", segments)
	}
}

// TestLossesAreSeen holds a recording against what was there before its kill.
func TestLossesAreSeen(t *testing.T) {
	desk := &rig.Desk{Seat: &rig.Seat{Name: "S-0001"}}
	before := func() cut {
		return cut{desk: desk, id: id, seq: 7, inCall: true, spoken: 4500 * time.Millisecond, segments: map[string]int{"1/voice": 4, "1/facts": 2}}
	}
	part := func(kind fleet.Kind, n int) fleet.Part { return fleet.Part{N: 1, Kind: kind, Segments: n} }
	for _, c := range []struct {
		name  string
		parts []fleet.Part
		gone  bool
		want  string // of the fault; empty: none
	}{
		{"all there", []fleet.Part{part(fleet.Facts, 2), part(fleet.Voice, 4)}, false, ""},
		{"more than was seen", []fleet.Part{part(fleet.Facts, 3), part(fleet.Voice, 4)}, false, ""},
		{"a segment less", []fleet.Part{part(fleet.Facts, 2), part(fleet.Voice, 3)}, false, "had 4 segments before the kill, now 3"},
		{"a part less", []fleet.Part{part(fleet.Voice, 4)}, false, "part 1/facts had 2 segments before the kill and is gone"},
		{"no recording", nil, true, "was on the disk before the kill and is gone"},
	} {
		r := &run{cuts: []cut{before()}}
		entries := map[string]vault.Entry{id: {ID: id, Seq: 7, Parts: c.parts}}
		if c.gone {
			delete(entries, id)
		}
		var rep Report
		var faults []string
		r.losses(entries, &rep, func(f string, a ...any) { faults = append(faults, fmt.Sprintf(f, a...)) })
		if c.want == "" && len(faults) > 0 || c.want != "" && (len(faults) == 0 || !strings.Contains(strings.Join(faults, "\n"), c.want)) {
			t.Errorf("%s: faults %q, want %q", c.name, faults, c.want)
		}
	}
	// Too much of the end is gone.
	c := before()
	c.spoken = 7 * time.Second
	r := &run{cuts: []cut{c}}
	var rep Report
	faults := 0
	r.losses(map[string]vault.Entry{id: {ID: id, Parts: []fleet.Part{part(fleet.Facts, 2), part(fleet.Voice, 4)}}}, &rep, func(string, ...any) { faults++ })
	if faults != 1 || rep.MaxLost != 3000 {
		t.Errorf("3 s lost: %d faults, %d ms", faults, rep.MaxLost)
	}
}
