// Package storetest is the conformance suite of package store: what every
// implementation must do, as tests. An implementation's own tests add the
// power cuts that fit its medium.
package storetest

import (
	"testing"

	"deskset/firmware/centre/store"
)

// Stores is one implementation's set.
type Stores struct {
	Recordings store.Recordings
	Seats      store.Seats
	Tokens     store.Tokens
	Holds      store.Holds
	Log        store.Log
}

// Factory opens an empty set of stores, and says how to open the same ones
// again, as another process would.
type Factory func(t *testing.T) (open func() Stores)

// Run runs the whole suite.
func Run(t *testing.T, f Factory) {
	t.Run("Recordings", func(t *testing.T) { recordings(t, f) })
	t.Run("Seats", func(t *testing.T) { seats(t, f) })
	t.Run("Tokens", func(t *testing.T) { tokens(t, f) })
	t.Run("Holds", func(t *testing.T) { holds(t, f) })
	t.Run("Log", func(t *testing.T) { log(t, f) })
}
