package seat

import (
	"testing"

	"deskset/firmware/console"
	"deskset/firmware/console/consoletest"
)

// TestConsole holds the real seat to what the page relies on.
func TestConsole(t *testing.T) {
	consoletest.TestSeat(t, func(t *testing.T) (console.Seat, string) {
		b := newBench(t)
		b.register()
		return b.seat, "7041"
	})
}
