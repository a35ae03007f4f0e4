package walltime

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTrustComesFromTheCentreOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(time.Now)
		if _, ok := c.Now(); ok {
			t.Fatal("trusts its own clock")
		}
		signed := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
		c.Learn(signed)
		time.Sleep(time.Hour)
		got, ok := c.Now()
		if !ok || !got.Equal(signed.Add(time.Hour)) {
			t.Fatalf("an hour later: %v, trusted %v", got, ok)
		}
		c.Learn(signed.Add(time.Minute)) // a receipt that was long on its way
		if got, _ := c.Now(); !got.Equal(signed.Add(time.Hour)) {
			t.Fatalf("an older time set the clock back to %v", got)
		}
		c.Learn(signed.Add(2 * time.Hour))
		if got, _ := c.Now(); !got.Equal(signed.Add(2 * time.Hour)) {
			t.Fatalf("a newer time was not believed: %v", got)
		}
	})
}
