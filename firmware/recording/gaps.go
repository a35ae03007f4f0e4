package recording

import (
	"fmt"

	"deskset/audio/oggopus"
	"deskset/firmware/record"
)

// gaps turns missing slots into facts: one for each run of at least longGap,
// one a minute for all that is shorter.
type gaps struct {
	from, n    int64 // the run at hand, slots
	shortFrom  int64
	shortUntil int64
	shortCount int
}

const (
	longGap    = 5                      // slots, 100 ms
	shortEvery = 60 * oggopus.PageSlots // slots
)

// countGaps looks at a page that will not change any more.
func (r *Recorder) countGaps(p *page, number int64, slots int) {
	for n := range r.legs {
		l := &r.legs[n]
		for i := range slots {
			slot := number*oggopus.PageSlots + int64(i)
			if p.slots[n][i] != nil || !l.heard || slot < l.first || r.hold.covers(slot) || r.pause.covers(slot) {
				l.gaps.end(r, n)
				continue
			}
			if l.gaps.n == 0 {
				l.gaps.from = slot
			}
			l.gaps.n++
		}
	}
}

// end of a run.
func (g *gaps) end(r *Recorder, n int) {
	if g.n == 0 {
		return
	}
	until := g.from + g.n
	if g.n >= longGap {
		r.fact(record.Fact{
			Kind: record.Gap, Leg: legNames[n], Ms: toMs(g.from * slotLen), UntilMs: toMs(until * slotLen),
			Count: int(g.n), Text: "nothing was received",
		})
		g.n = 0
		return
	}
	if g.shortCount == 0 {
		g.shortFrom = g.from
	}
	g.shortCount += int(g.n)
	g.shortUntil = until
	g.n = 0
	if until-g.shortFrom >= shortEvery {
		g.short(r, n)
	}
}

func (g *gaps) short(r *Recorder, n int) {
	if g.shortCount == 0 {
		return
	}
	r.fact(record.Fact{
		Kind: record.Gap, Leg: legNames[n], Ms: toMs(g.shortFrom * slotLen), UntilMs: toMs(g.shortUntil * slotLen),
		Count: g.shortCount, Text: fmt.Sprintf("%d packets of 20 ms are missing here and there", g.shortCount),
	})
	g.shortCount = 0
}

func (g *gaps) close(r *Recorder, n int) {
	g.end(r, n)
	g.short(r, n)
}
