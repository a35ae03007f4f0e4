package retention

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	received := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	day := func(n float64) time.Time { return received.Add(time.Duration(n * float64(Day))) }
	good := Copy{ID: "r", Received: received}
	at := func(t time.Time, free float64) Now {
		return Now{Time: t, Trusted: true, LastSigned: t.Add(-time.Hour), FreeFraction: free}
	}
	for _, c := range []struct {
		name   string
		copy   Copy
		now    Now
		policy Policy
		permit bool
		why    string
	}{
		{"after 30 days", good, at(day(30), 0.9), Default(), true, "30 days ago"},
		{"a second before", good, at(day(30).Add(-time.Second), 0.9), Default(), false, "grace of 30 days ends on 2026-10-01"},
		{"short of disk, after 7 days", good, at(day(7), 0.39), Default(), true, "7 days ago"},
		{"short of disk, before", good, at(day(6.99), 0.39), Default(), false, "grace of 7 days"},
		{"40 % is not short", good, at(day(8), 0.40), Default(), false, "grace of 30 days"},
		{"free space unknown", good, at(day(8), math.NaN()), Default(), false, "grace of 30 days"},
		{"disk empty of room, not confirmed", Copy{ID: "r"}, at(day(400), 0), Default(), false, "not confirmed"},
		{"hold", Copy{ID: "r", Received: received, Hold: true}, at(day(40), 0), Default(), false, "legal hold"},
		{"hold may be lost", Copy{ID: "r", Received: received, Doubt: true}, at(day(40), 0), Default(), false, "index was damaged"},
		{"clock not trusted", good, Now{Time: day(40), LastSigned: day(39), FreeFraction: 0}, Default(), false, "not trusted"},
		{"clock in 1970", good, at(time.Unix(0, 0), 0), Default(), false, "before a time"},
		{"clock in 1970, anchor too", good, Now{Time: time.Unix(9, 0), Trusted: true, LastSigned: time.Unix(0, 0)}, Default(), false, "before a time"},
		{"clock in 2038", good, Now{Time: time.Unix(math.MaxInt32, 0), Trusted: true, LastSigned: day(3)}, Default(), false, "45 days past"},
		{"clock in 2038, nothing signed since", good, Now{Time: time.Unix(math.MaxInt32, 0), Trusted: true}, Default(), false, "45 days past"},
		{"clock in 2038, not trusted", good, Now{Time: time.Unix(math.MaxInt32, 0), LastSigned: day(3)}, Default(), false, "not trusted"},
		{"clock behind the centre's", good, Now{Time: day(31), Trusted: true, LastSigned: day(32)}, Default(), false, "before a time"},
		{"years later, in touch", good, at(day(3000), 0.9), Default(), true, "30 days ago"},
		{"nothing", Copy{}, Now{}, Policy{}, false, "no name"},
		{"policy of zero", good, at(day(40), 0), Policy{}, false, "no sense"},
		{"short longer than long", good, at(day(40), 0), Policy{Grace: Day, ShortGrace: 2 * Day, ShortBelow: 0.4}, false, "no sense"},
	} {
		v := Decide(c.copy, c.now, c.policy)
		if v.Permits() != c.permit || !strings.Contains(v.Why(), c.why) {
			t.Errorf("%s: permits %v, %q; want %v, %q", c.name, v.Permits(), v.Why(), c.permit, c.why)
		}
		if v.ID() != c.copy.ID {
			t.Errorf("%s: verdict on %q", c.name, v.ID())
		}
	}
	if d := Decide(good, at(day(1), 0.9), Default()).Due(); !d.Equal(day(30)) {
		t.Errorf("due %v", d)
	}
}

func TestZeroVerdict(t *testing.T) {
	var v Verdict
	if v.Permits() || v.ID() != "" || v.Why() == "" {
		t.Errorf("%+v", v)
	}
}

// FuzzDecide: without a receipt, with a hold, or on a bad clock nothing goes.
func FuzzDecide(f *testing.F) {
	f.Add(int64(1788264000), int64(1790942400), int64(1790942300), true, false, 0.5)
	f.Add(int64(1788264000), int64(0), int64(0), true, false, 0.1)
	f.Add(int64(1788264000), int64(math.MaxInt32), int64(1788264000), true, false, 0.1)
	f.Fuzz(func(t *testing.T, received, now, signed int64, trusted, hold bool, free float64) {
		r, n := time.Unix(received, 0), time.Unix(now, 0)
		v := Decide(Copy{ID: "r", Received: r, Hold: hold},
			Now{Time: n, Trusted: trusted, LastSigned: time.Unix(signed, 0), FreeFraction: free}, Default())
		if !v.Permits() {
			return
		}
		if hold || !trusted || r.IsZero() || n.Sub(r) < 7*Day || n.Sub(r) < 30*Day && !(free < 0.4) {
			t.Fatalf("received %v, now %v, trusted %v, hold %v, free %v: %s", r, n, trusted, hold, free, v.Why())
		}
	})
}
