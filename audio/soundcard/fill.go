package soundcard

// fill watches how much reserve a ring keeps and says when the sound must be
// shortened or lengthened to bring it back to its target. The least reserve of a
// window counts, since the level swings by a period with the phase between the
// two sides.
type fill struct {
	target int // samples in reserve when the next frame is due
	base   int // the target to come back to
	least  int
	frames int // in this window
	calm   int // frames since the last underrun
	under  uint64
}

const (
	deadband  = 240 // 5 ms
	window    = 25  // frames: half a second
	fast      = 2   // frames, as long as much is to be caught up
	much      = 960 // 20 ms
	maxTarget = 1920
	raise     = 240
	often     = 10 * 50 // frames between underruns that are no accident
	calmLimit = 20 * 50 // frames without an underrun before the target falls
)

func newFill(base int) *fill {
	return &fill{target: base, base: base, least: ringSize, calm: often}
}

// next takes the reserve seen before a frame is added (or after it was taken)
// and the ring's underruns so far, and returns by how many samples the frame
// should be shortened (> 0) or lengthened (< 0).
func (f *fill) next(reserve int, underruns uint64) int {
	if underruns != f.under {
		if f.calm < often { // one stall is an accident, two are the machine
			f.target = min(f.target+raise, maxTarget)
		}
		f.under, f.calm = underruns, 0
		f.reset()
	}
	if f.calm++; f.calm >= calmLimit && f.target > f.base {
		f.target, f.calm = max(f.target-raise/2, f.base), often
	}
	f.least = min(f.least, reserve)
	f.frames++
	off := f.least - f.target
	hurry := off > much && f.frames >= fast
	if !hurry && f.frames < window {
		return 0
	}
	f.reset()
	if off > deadband || off < -deadband {
		return min(max(off, -maxLag), maxLag)
	}
	return 0
}

// reset forgets the window, after a change that it would not describe.
func (f *fill) reset() { f.least, f.frames = ringSize, 0 }
