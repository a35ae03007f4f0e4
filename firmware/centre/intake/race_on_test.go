//go:build race

package intake_test

// stride thins the sweeps out where the race detector makes them ten times
// slower; without it every operation is cut.
const stride = 11
