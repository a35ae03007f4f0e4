package audiotest

import (
	"fmt"
	"math"
	"strings"
)

// LegsReport is the comparison of the two legs of a call.
type LegsReport struct {
	OK       bool     `json:"ok"`
	Why      []string `json:"why,omitempty"`
	Agent    Report   `json:"agent"`
	Customer Report   `json:"customer"`
}

// String is both legs in one line, or what is wrong.
func (r LegsReport) String() string {
	if !r.OK {
		return strings.Join(r.Why, "; ")
	}
	return fmt.Sprintf("agent: %s; customer: %s", r.Agent, r.Customer)
}

// CompareLegs judges both channels of a recording: each as Compare does, that
// the other speaker is not heard in it, and that the two are in step. wantAgent
// and wantCustomer share one time line, as gotAgent and gotCustomer do. The
// bounds are the defaults.
func CompareLegs(wantAgent, wantCustomer, gotAgent, gotCustomer []int16) LegsReport {
	return CompareLegsWith(Options{}, wantAgent, wantCustomer, gotAgent, gotCustomer)
}

// CompareLegsWith is CompareLegs with other bounds.
func CompareLegsWith(opt Options, wantAgent, wantCustomer, gotAgent, gotCustomer []int16) LegsReport {
	o := opt.defaults()
	a, c := compare(wantAgent, gotAgent, o), compare(wantCustomer, gotCustomer, o)
	// Where a leg was not found, the other's place is the best guess.
	aLag, cLag := a.lag, c.lag
	if a.Match < o.MinMatch {
		aLag = c.lag
	}
	if c.Match < o.MinMatch {
		cLag = aLag
	}
	a.judgeLeak(aLag, c.want, cLag, o)
	c.judgeLeak(cLag, a.want, aLag, o)
	r := LegsReport{Agent: a.done(), Customer: c.done()}
	for _, why := range r.Agent.Why {
		r.Why = append(r.Why, "agent: "+why)
	}
	for _, why := range r.Customer.Why {
		r.Why = append(r.Why, "customer: "+why)
	}
	if d := a.OffsetMs - c.OffsetMs; len(r.Why) == 0 && math.Abs(d) > bound(o.MaxOffset) {
		r.Why = append(r.Why, fmt.Sprintf("the legs are %.0f ms out of step", math.Abs(d)))
	}
	r.OK = len(r.Why) == 0
	return r
}

// leakMargin is added to what is measured, in dB: of a faint second speaker
// Opus keeps that much less of the waveform.
const leakMargin = 3

// judgeLeak looks for the other speaker.
func (r *Report) judgeLeak(lag int, other []float64, otherLag int, o Options) {
	heard := activeRMS(r.got, activity(r.got, frame), frame)
	own := activeRMS(r.want, activity(r.want, frame), frame)
	loud := activeRMS(other, activity(other, frame), frame)
	if heard < silentRMS || own < silentRMS || loud < silentRMS {
		return // said already
	}
	gain, chance, ownGain := leakage(r.got, r.want, lag, other, otherLag)
	// Where own is not to be found, the whole level stands for it.
	r.LeakDB = round(max(db(gain*loud/max(ownGain*own, heard/4))+leakMargin, floorDB))
	switch {
	case r.LeakDB <= o.MaxLeak:
	case gain < 2*chance: // no more than any delay shows
		r.fail("the other speaker cannot be told from chance below %.0f dB", r.LeakDB)
	default:
		r.fail("the other speaker is heard at %.0f dB", r.LeakDB)
	}
}
