package soundcard

// fill watches the reserve between two sides of a ring and says when the sound
// must be shortened or lengthened to bring it back to its target. The least
// reserve of a window counts: what is more than it never was of use.
type fill struct {
	target int // samples
	base   int // the target to come back to
	much   int // above the target by so much is caught up fast
	least  int
	frames int // in this window
	calm   int // frames since the last underrun
	under  uint64
}

const (
	deadband  = 240 // 5 ms
	window    = 25  // frames: half a second
	fast      = 2   // frames, as long as much is to be caught up
	maxTarget = 1920
	raise     = 240
	often     = 10 * 50 // frames between underruns that are no accident
	calmLimit = 20 * 50 // frames without an underrun before the target falls
)

// newFill makes the controller of a ring whose device has periods of that many
// samples: by up to one of them the reserve swings by itself.
func newFill(base, period int) *fill {
	return &fill{target: base, base: base, much: period, least: ringSize, calm: often}
}

// next takes the reserve at a frame and the ring's underruns so far, and returns
// by how many samples the frame should be shortened (> 0) or lengthened (< 0).
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
	hurry := off > f.much && f.frames >= fast
	if !hurry && f.frames < window {
		return 0
	}
	f.reset()
	if off > deadband || off < -deadband {
		return off
	}
	return 0
}

// reset forgets the window, after a change that it would not describe.
func (f *fill) reset() { f.least, f.frames = ringSize, 0 }

// margin is the ear's reserve in samples: how late the next frame might come
// before a period finds the ring short. The device takes whole periods, so the
// ring's level alone would jump by one of them at each crossing of the phases;
// the time since the last period makes it continuous.
func margin(level, period, sincePeriod int) int {
	return (level/period+1)*period - min(max(sincePeriod, 0), period)
}

// reserve is the level to lay down, in whole periods, so that the margin is
// within the deadband of target.
func reserve(target, period, sincePeriod int) int {
	need := max(target-deadband, 0) + min(max(sincePeriod, 0), period)
	return (need+period-1)/period*period - period
}
