//go:build !linux

package media

import "testing"

func newPacer(testing.TB) *ticker { return newTicker() }
