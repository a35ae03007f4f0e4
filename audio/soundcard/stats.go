package soundcard

import "runtime"

// Stats are the counts of a card since New and the state of its rings now.
type Stats struct {
	CaptureCallbacks  uint64
	PlaybackCallbacks uint64
	// EarUnderruns counts the gaps the ear heard: nothing was there to play.
	EarUnderruns uint64
	// MicMissed counts frames asked of a live microphone that were not there.
	MicMissed uint64
	// MicOverruns and EarOverruns count samples a full ring had no room for.
	MicOverruns, EarOverruns uint64
	// Slips counts the splices of the fill controllers, SlippedSamples what they
	// left out or played twice.
	Slips, SlippedSamples uint64
	// MicFill and EarFill are samples in reserve when the last frame was taken
	// or given; EarTarget is what the ear's controller steers for.
	MicFill, EarFill, EarTarget int
	// Opened counts openings: 1 is the first, more are re-openings.
	Opened uint64
	// Abandoned counts devices whose closing hangs at the moment.
	Abandoned int
}

// Stats may be called by anyone.
func (c *Card) Stats() Stats {
	k := &c.consumer
	c.mu.Lock()
	st := c.total
	c.mu.Unlock()
	if s := c.cur.Load(); s != nil {
		s.addTo(&st)
	}
	st.MicMissed = k.micMissed.Load()
	st.Slips = k.slips.Load()
	st.SlippedSamples = k.moved.Load()
	st.MicFill, st.EarFill = int(k.micLevel.Load()), int(k.earLevel.Load())
	st.EarTarget = int(k.earTarget.Load())
	st.Abandoned = int(c.abandoned.Load())
	return st
}

// retire adds a closed stream's counts to the total.
func (c *Card) retire(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.addTo(&c.total)
}

func (s *stream) addTo(st *Stats) {
	st.CaptureCallbacks += s.micCalls.Load()
	st.PlaybackCallbacks += s.earCalls.Load()
	st.EarUnderruns += s.underruns.Load()
	st.MicOverruns += s.mic.Dropped()
	st.EarOverruns += s.ear.Dropped()
	st.Opened++
	runtime.KeepAlive(s)
}
