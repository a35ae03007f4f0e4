package sipua

import "time"

// Waiting times between tries to be registered again. Full jitter spreads a
// floor of seats that lost the PBX at the same moment; the cap stays low for
// the first minutes, in which most outages end.
const (
	backoffFirst  = 500 * time.Millisecond
	backoffLeast  = 50 * time.Millisecond
	backoffShort  = 4 * time.Second
	backoffLong   = 60 * time.Second
	backoffSwitch = 5 * time.Minute
	// A refused password does not get better by asking often, and PBXs ban.
	backoffRefused = 60 * time.Second
	backoffBelieve = 2 // refusals before that
)

// backoff gives the waiting time before try n (from 0) when the outage has
// lasted beyond backoffSwitch or not; r is random in [0,1).
func backoff(n int, long bool, r float64) time.Duration {
	ceiling := backoffFirst << min(n, 20)
	limit := backoffShort
	if long {
		limit = backoffLong
	}
	if ceiling > limit {
		ceiling = limit
	}
	return max(time.Duration(r*float64(ceiling)), backoffLeast)
}

// backoffAuth is the wait after a refused account: between half and a whole
// backoffRefused.
func backoffAuth(r float64) time.Duration {
	return backoffRefused/2 + time.Duration(r*float64(backoffRefused/2))
}
