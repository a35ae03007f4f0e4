package consoletest

import (
	"testing"

	"deskset/firmware/console"
)

func TestFakeIsASeat(t *testing.T) {
	TestSeat(t, func(*testing.T) (console.Seat, string) { return NewFake(nil), "1024" })
}
