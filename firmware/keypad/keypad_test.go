package keypad

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"deskset/firmware/panel"
)

const ms = time.Millisecond

type edge struct {
	key  panel.Key
	down bool
	at   time.Duration
}

func play(edges []edge, until time.Duration) []Event {
	var p Keypad
	var out []Event
	for _, e := range edges {
		out = append(out, p.Edge(e.key, e.down, e.at)...)
	}
	return append(out, p.Tick(until)...)
}

func words(ev []Event) string {
	var b []string
	for _, e := range ev {
		b = append(b, fmt.Sprintf("%v@%v", e.Kind, e.At))
	}
	return strings.Join(b, " ")
}

func TestKey(t *testing.T) {
	d := func(at time.Duration) edge { return edge{panel.DND, true, at} }
	u := func(at time.Duration) edge { return edge{panel.DND, false, at} }
	for _, c := range []struct {
		name  string
		edges []edge
		until time.Duration
		want  string
	}{
		{"touch on the edge's own tick", []edge{d(7 * ms)}, 7 * ms, "touch@7ms"},
		{"press after 5 ms", []edge{d(7 * ms), u(90 * ms)}, 200 * ms, "touch@7ms press@12ms release@90ms"},
		{"a glitch does nothing", []edge{d(7 * ms), u(9 * ms)}, 200 * ms, "touch@7ms untouch@12ms"},
		{"bounce makes one press", []edge{d(0), u(1 * ms), d(2 * ms), u(3 * ms), d(4 * ms), u(100 * ms), d(101 * ms), u(103 * ms)}, 300 * ms, "touch@0s press@5ms release@100ms"},
		{"open at 5 ms, closed again: late, not lost", []edge{d(0), u(4 * ms), d(6 * ms)}, 100 * ms, "touch@0s untouch@5ms touch@10ms press@15ms"},
		{"an edge in the lock is seen at its end", []edge{d(0), u(8 * ms)}, 100 * ms, "touch@0s press@5ms release@10ms"},
		{"stuck", []edge{d(0), u(31 * time.Second)}, 40 * time.Second, "touch@0s press@5ms stuck@30s free@31s"},
		{"a repeated level does no harm", []edge{d(0), d(20 * ms), d(30 * ms), u(40 * ms), u(50 * ms)}, time.Second, "touch@0s press@5ms release@40ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := words(play(c.edges, c.until)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestHoldActsAtExpiry(t *testing.T) {
	for k, h := range Holds {
		got := words(play([]edge{{k, true, ms}}, h+ms))
		want := fmt.Sprintf("touch@1ms press@6ms long-press@%v", h+ms)
		if got != want {
			t.Errorf("%s: got %s, want %s", k, got, want)
		}
		got = words(play([]edge{{k, true, ms}, {k, false, h - ms}}, 2*h))
		if want = fmt.Sprintf("touch@1ms press@6ms release@%v", h-ms); got != want {
			t.Errorf("%s let go early: got %s, want %s", k, got, want)
		}
	}
}

// FuzzKeypad: whatever the edges, each key's events are well-formed: no press
// without a touch, no double press without a release, nothing out of order.
func FuzzKeypad(f *testing.F) {
	f.Add([]byte{0, 3, 1, 1, 0, 200, 9, 40})
	f.Add([]byte{5, 255, 5, 255, 5, 255})
	f.Fuzz(func(t *testing.T, script []byte) {
		var p Keypad
		var now time.Duration
		var got []Event
		for i := 0; i+1 < len(script); i += 2 {
			now += time.Duration(script[i+1]) * ms / 2
			k := panel.Keys[int(script[i]>>1)%len(panel.Keys)]
			got = append(got, p.Edge(k, script[i]&1 == 1, now)...)
		}
		got = append(got, p.Tick(now+time.Hour)...)
		if d := p.Deadline(); d != 0 {
			t.Fatalf("an hour after the last edge something is still due at %v", d)
		}
		if !slices.IsSortedFunc(got, func(a, b Event) int { return cmp.Compare(a.At, b.At) }) {
			t.Fatalf("out of order: %s", words(got))
		}
		after := map[Kind][]Kind{
			Touch: {Untouch, Release, StuckFree}, Untouch: {Touch}, Press: {Touch}, LongPress: {Press},
			StuckDown: {Press, LongPress}, Release: {Press, LongPress}, StuckFree: {StuckDown},
		}
		last := map[panel.Key]Kind{}
		for _, e := range got {
			prev, seen := last[e.Key]
			if !seen {
				prev = Release
			}
			if !slices.Contains(after[e.Kind], prev) {
				t.Fatalf("%s: %v after %v", e.Key, e.Kind, prev)
			}
			last[e.Key] = e.Kind
		}
	})
}

// TestAKeyThatIsNone: a line that the panel does not have changes nothing and
// costs no time.
func TestAKeyThatIsNone(t *testing.T) {
	got := play([]edge{{"toaster", true, 0}, {"toaster", false, ms}, {panel.DND, true, 20 * ms}}, time.Hour)
	if words(got) != "touch@20ms press@25ms stuck@30.02s" {
		t.Error(words(got))
	}
}

// TestReleaseTellsOfItsOwnKey: a key held for its time stays so whatever
// others do meanwhile.
func TestReleaseTellsOfItsOwnKey(t *testing.T) {
	s := time.Second
	for _, e := range play([]edge{{panel.Help, true, 0}, {panel.DND, true, 4 * s}, {panel.DND, false, 5 * s}, {panel.Help, false, 6 * s}}, 7*s) {
		if e.Kind == Release && e.Long != (e.Key == panel.Help) {
			t.Errorf("%+v", e)
		}
	}
}
