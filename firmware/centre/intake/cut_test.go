package intake_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"deskset/firmware/centre/centretest"
	"deskset/firmware/centre/store/crashfs"
)

// sweep cuts the power at every changing operation of taking one recording in,
// with nothing, some and all of what was not synced surviving. It returns the
// number of cuts and the first violation.
func sweep(t *testing.T, r *rig, rec *centretest.Recording, deaf crashfs.Sync, every int) (cuts int, violation error) {
	t.Helper()
	const piece = 12_000
	for cut := 1; ; cut += every {
		for i, keep := range []float64{0, 0.3, 0.7, 1} {
			r.fresh(t)
			if deaf != "" {
				r.disk.Deaf[deaf] = true
			}
			var a acked
			r.disk.CutAt(cut)
			err := r.send(rec, piece, &a)
			if err == nil {
				return cuts, nil // the work has fewer operations
			}
			if !errors.Is(err, crashfs.ErrCut) {
				return cuts, fmt.Errorf("cut %d: %w", cut, err)
			}
			cuts++
			r.disk = r.disk.Crash(keep, uint64(cut*10+i))
			if err := r.open(); err != nil {
				return cuts, fmt.Errorf("cut %d, keep %v: the centre does not start: %w", cut, keep, err)
			}
			if err := r.kept(rec, a); err != nil {
				return cuts, fmt.Errorf("cut %d, keep %v: %w", cut, keep, err)
			}
			// The seat goes on and gets there. A part that the cut left torn is
			// refused by its hash once, then sent again.
			var err2 error
			for range 3 {
				if err2 = r.send(rec, piece, &a); err2 == nil {
					break
				}
			}
			if err2 != nil {
				return cuts, fmt.Errorf("cut %d, keep %v: the upload does not go on: %w", cut, keep, err2)
			}
			if err := r.kept(rec, a); err != nil {
				return cuts, fmt.Errorf("cut %d, keep %v, after going on: %w", cut, keep, err)
			}
		}
	}
}

func TestPowerCuts(t *testing.T) {
	r := newRig(t)
	rec := centretest.Make(t, r.spec(1))
	cuts, err := sweep(t, r, rec, "", stride)
	if err != nil {
		t.Fatal(err)
	}
	if cuts < 100/stride {
		t.Fatalf("only %d cuts", cuts)
	}
	t.Logf("%d power cuts, nothing acknowledged was lost", cuts)
}

// The sweep is worth something only if it notices a forgotten sync.
func TestPowerCutsCatchMutants(t *testing.T) {
	r := newRig(t)
	rec := centretest.Make(t, r.spec(1))
	for _, deaf := range []crashfs.Sync{crashfs.FileSync, crashfs.DirSync} {
		cuts, err := sweep(t, r, rec, deaf, 1)
		if err == nil {
			t.Errorf("without %s syncs %d cuts found nothing", deaf, cuts)
		} else {
			t.Logf("without %s syncs: %v", deaf, err)
		}
	}
}

// A failing or full disk at any single operation: an error, nothing
// acknowledged that is not there, and the next attempt succeeds.
func TestDiskErrors(t *testing.T) {
	r := newRig(t)
	rec := centretest.Make(t, r.spec(1))
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		for n := 1; ; n += stride {
			r.fresh(t)
			var a acked
			r.disk.FailAt(n, cause)
			err := r.send(rec, 12_000, &a)
			if err == nil {
				if n < 30 {
					t.Fatalf("only %d operations", n)
				}
				break
			}
			if err := r.kept(rec, a); err != nil {
				t.Fatalf("%v at %d: %v", cause, n, err)
			}
			for range 3 {
				if err = r.send(rec, 12_000, &a); err == nil {
					break
				}
			}
			if err != nil {
				t.Fatalf("%v at %d: the next attempt fails: %v", cause, n, err)
			}
			if err := r.kept(rec, a); err != nil {
				t.Fatalf("%v at %d: %v", cause, n, err)
			}
		}
	}
}
