// Package retention decides whether the seat's copy of a recording may go. It
// is pure: no disk, no clock. The vault deletes only what a Verdict of this
// package permits, so no other code can delete a recording.
package retention

import (
	"fmt"
	"time"
)

// Day is 24 hours.
const Day = 24 * time.Hour

// Policy of the seat's own copy, counted from the centre's receipt. The centre
// keeps the lawful copy.
type Policy struct {
	Grace      time.Duration // kept so long
	ShortGrace time.Duration // kept so long when the disk is short
	ShortBelow float64       // free part of the disk below which it is short, 0 to 1
}

// Default is 30 days, 7 when less than 40 % of the disk is free.
func Default() Policy { return Policy{Grace: 30 * Day, ShortGrace: 7 * Day, ShortBelow: 0.40} }

// MaxSilence is how far the seat's clock may run ahead of the last time that
// the centre signed. Beyond it the clock is doubted, trusted or not.
const MaxSilence = 45 * Day

// Copy is what is known of one recording on the seat.
type Copy struct {
	ID       string
	Received time.Time // the centre's receipt, by the centre's clock; zero: none
	Hold     bool      // a legal hold stands
	Doubt    bool      // the seat may have lost a hold: its index was damaged
}

// Now is the moment of the decision.
type Now struct {
	Time         time.Time
	Trusted      bool      // the clock was set by the network and has not jumped
	LastSigned   time.Time // newest time the centre has signed, in any receipt
	FreeFraction float64   // of the disk, 0 to 1
}

// Verdict on one recording. The zero Verdict permits nothing; only Decide
// makes one that does.
type Verdict struct {
	id     string
	permit bool
	why    string
	next   time.Time
}

// Permits says whether the recording may be deleted.
func (v Verdict) Permits() bool { return v.permit }

// ID of the recording it is about.
func (v Verdict) ID() string { return v.id }

// Why in words.
func (v Verdict) Why() string {
	if v.why == "" {
		return "no decision was made"
	}
	return v.why
}

// Due is when grace ends, zero when that is not known.
func (v Verdict) Due() time.Time { return v.next }

// Decide whether a recording may go. Every doubt keeps it.
func Decide(c Copy, now Now, p Policy) Verdict {
	keep := func(why string) Verdict { return Verdict{id: c.ID, why: why} }
	switch {
	case c.ID == "":
		return keep("it has no name")
	case c.Received.IsZero():
		return keep("the centre has not confirmed it")
	case c.Hold:
		return keep("a legal hold stands")
	case c.Doubt:
		return keep("the seat's index was damaged: wait for the centre to say whether a hold stands")
	case p.Grace <= 0 || p.ShortGrace <= 0 || p.ShortGrace > p.Grace:
		return keep("the policy of grace makes no sense")
	}
	grace := p.Grace
	if now.FreeFraction < p.ShortBelow { // NaN is not short
		grace = p.ShortGrace
	}
	due := c.Received.Add(grace)
	v := Verdict{id: c.ID, next: due}
	anchor := now.LastSigned
	if anchor.Before(c.Received) {
		anchor = c.Received
	}
	switch {
	case !now.Trusted:
		v.why = "the clock is not trusted"
	case now.Time.Before(anchor):
		v.why = "the clock stands before a time that the centre has signed"
	case now.Time.Sub(anchor) > MaxSilence:
		v.why = "the clock is more than 45 days past the last time that the centre signed"
	case now.Time.Before(due):
		v.why = fmt.Sprintf("its grace of %d days ends on %s", grace/Day, due.UTC().Format(time.DateOnly))
	default:
		v.permit = true
		v.why = fmt.Sprintf("confirmed by the centre more than %d days ago", grace/Day)
	}
	return v
}
