package smallpbx

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"deskset/cmd/desksim/phone"
)

// ours finds the stacks of goroutines that belong to the PBX, the phones or pion.
func ours() string {
	var left strings.Builder
	buf := make([]byte, 1<<20)
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		mine := strings.Contains(g, "deskset/cmd/desksim/") || strings.Contains(g, "pion/") || strings.Contains(g, "coder/websocket")
		if mine && !strings.Contains(g, "testing.tRunner") {
			left.WriteString(g + "\n\n")
		}
	}
	return left.String()
}

// TestNothingLeft ends PBX and parties in the middle of calls of every kind: no
// goroutine may stay. It runs alone, before the parallel tests.
func TestNothingLeft(t *testing.T) {
	for _, how := range []string{"in order", "killed"} {
		t.Run(how, func(t *testing.T) {
			if left := ours(); left != "" {
				t.Fatalf("before:\n%s", left)
			}
			t.Run("calls", func(t *testing.T) {
				p := startPBX(t, nil)
				cust := customer(t, p, "opus")
				other := customer(t, p, "PCMU")
				s := startSeat(t, p, "101")
				ringing := startPhone(t, p, "202", "PCMU", phone.Policy{LetRing: true})
				_, in := callSeat(t, cust, s)
				in.direct(sendOnly) // hold music plays
				call(t, other, "600")
				if _, err := other.Call(t.Context(), "202"); err != nil {
					t.Fatal(err)
				}
				next(t, ringing.Incoming(), "call")
				call(t, other, "700") // nobody is free
				if how == "killed" {
					if err := p.Stop(); err != nil {
						t.Fatal(err)
					}
				}
			})
			for range 100 {
				if ours() == "" {
					return
				}
				time.Sleep(20 * time.Millisecond) // a goroutine's last steps have no event
			}
			t.Errorf("left:\n%s", ours())
		})
	}
}
