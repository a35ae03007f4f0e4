package recording

import (
	"time"

	"deskset/audio/oggopus"
)

// page is one second of the time line that may still change.
type page struct {
	slots  [2][oggopus.PageSlots][]byte
	stored bool
	dirty  bool           // changed since
	place  uint64         // in the store
	before oggopus.Writer // as it was before this page, to make it again
	size   int
}

// onePage is the most bytes that are certain to make a single Ogg page of 50
// packets (255 lacing values), so that a page made again takes the same number.
const onePage = 50000

// silence is 20 ms of digital silence, CELT full band, mono (RFC 6716).
var silence = []byte{0xf8, 0xff, 0xfe}

// advance the time line to at; false when the recording is over.
func (r *Recorder) advance(at int64) bool {
	if r.ended {
		return false
	}
	if !r.began {
		r.began, r.origin = true, at
	}
	r.now = max(r.now, at-r.origin)
	if end := r.pause.from + pauseSlots; r.pause.on && r.now >= end*slotLen {
		r.resume("timer", end)
	}
	for (r.sealed+1)*pageLen <= r.now {
		if r.now < (r.sealed+1)*pageLen+grace && !r.complete(r.page(r.sealed)) {
			break
		}
		r.seal(oggopus.PageSlots, false)
	}
	for len(r.pages) > 0 && r.first < r.sealed && (r.first+1)*pageLen+late <= r.now {
		r.drop()
	}
	return true
}

// page with the given number; it must not be older than first.
func (r *Recorder) page(n int64) *page {
	for r.first+int64(len(r.pages)) <= n {
		r.pages = append(r.pages, &page{})
	}
	return r.pages[n-r.first]
}

// complete says that waiting brings nothing more.
func (r *Recorder) complete(p *page) bool {
	for n := range r.legs {
		if !r.legs[n].heard {
			continue
		}
		for i := range p.slots[n] {
			slot := r.sealed*oggopus.PageSlots + int64(i)
			if p.slots[n][i] == nil && !r.pause.covers(slot) && !r.hold.covers(slot) {
				return false
			}
		}
	}
	return true
}

// put a 20 ms mono packet into its slot, unless one stands there.
func (r *Recorder) put(n int, slot int64, pkt []byte) {
	l := &r.legs[n]
	if slot < 0 || slot < r.first*oggopus.PageSlots {
		l.late++
		return
	}
	if slot*slotLen > r.now+2*pageLen || r.pause.covers(slot) {
		return
	}
	p := r.page(slot / oggopus.PageSlots)
	at := &p.slots[n][slot%oggopus.PageSlots]
	if *at != nil {
		return // a duplicate
	}
	*at = pkt
	p.dirty = p.dirty || p.stored
	l.last = max(l.last, slot)
}

// fill puts silence where a pause was, so that nothing is concealed there.
func (r *Recorder) fill(p *page, number int64) {
	for i := range oggopus.PageSlots {
		if r.pause.covers(number*oggopus.PageSlots + int64(i)) {
			p.slots[agentLeg][i], p.slots[customerLeg][i] = silence, silence
		}
	}
}

// seal stores the next page.
func (r *Recorder) seal(slots int, last bool) {
	p := r.page(r.sealed)
	r.fill(p, r.sealed)
	p.before = *r.ogg
	b, err := r.ogg.Page(p.slots[agentLeg][:slots], p.slots[customerLeg][:slots], last)
	if err != nil {
		// Every packet was looked at before, so this is a fault of ours: keep
		// the time line, and say what is missing.
		r.cfg.Log.Error("page cannot be made", "page", r.sealed, "err", err)
		clear(p.slots[agentLeg][:])
		clear(p.slots[customerLeg][:])
		if b, err = r.ogg.Page(p.slots[agentLeg][:slots], p.slots[customerLeg][:slots], last); err != nil {
			r.cfg.Log.Error("page is lost", "page", r.sealed, "err", err)
			r.sealed++
			return
		}
	}
	p.size = len(b)
	p.place = r.cfg.Store.Voice(b, time.Duration(slots)*20*time.Millisecond)
	p.stored = true
	r.sealed++
}

// amend a stored page into which late packets came.
func (r *Recorder) amend(p *page) {
	p.dirty = false
	w := p.before
	b, err := w.Page(p.slots[agentLeg][:], p.slots[customerLeg][:], false)
	if err != nil || max(len(b), p.size) > onePage || !r.cfg.Store.Amend(p.place, b) {
		r.cfg.Log.Warn("late packets are not kept", "err", err)
	}
}

// drop the oldest page: what is missing in it stays missing.
func (r *Recorder) drop() {
	p := r.pages[0]
	if p.dirty {
		r.amend(p)
	}
	r.countGaps(p, r.first, oggopus.PageSlots)
	r.pages = r.pages[1:]
	r.first++
}

// finish stores what is left with the end mark on the last page.
func (r *Recorder) finish() {
	end := (r.now + slotLen - 1) / slotLen
	for n := range r.legs {
		end = max(end, min(r.legs[n].last+1, end+oggopus.PageSlots/2))
	}
	for r.sealed < end/oggopus.PageSlots {
		r.seal(oggopus.PageSlots, false)
	}
	for _, p := range r.pages {
		if p.dirty {
			r.amend(p)
		}
	}
	rest := int(end - r.sealed*oggopus.PageSlots)
	r.seal(rest, true)
	for i, p := range r.pages {
		number := r.first + int64(i)
		slots := int(min(oggopus.PageSlots, max(0, end-number*oggopus.PageSlots)))
		r.countGaps(p, number, slots)
	}
	r.pages = nil
	for n := range r.legs {
		r.legs[n].gaps.close(r, n)
	}
}
