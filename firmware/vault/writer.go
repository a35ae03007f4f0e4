package vault

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/record"
	"deskset/firmware/vault/sealed"
)

// writer is the goroutine of one recording: it alone touches the disk.
type writer struct {
	r     *Recording
	v     *Vault
	next  map[fleet.Kind]int // part number
	cur   map[fleet.Kind]*part
	ended []fleet.Part // parts that failed after something was stored
	batch []byte       // facts at hand
	page  *page        // voice at hand
	place map[uint64]placed
}

type placed struct {
	p    *part
	seg  uint64
	head []byte
}

func newWriter(r *Recording) *writer {
	return &writer{
		r: r, v: r.v, next: map[fleet.Kind]int{}, cur: map[fleet.Kind]*part{}, place: map[uint64]placed{},
	}
}

func (w *writer) run() {
	r := w.r
	defer w.v.ended(r.id)
	defer close(r.done)
	var failing int
	var since time.Time
	for {
		more, err := w.step()
		if err == nil {
			failing = 0
			w.recovered()
			if more {
				select {
				case <-r.stop:
					w.finish(false)
					return
				default:
				}
				continue
			}
			if r.isClosing() {
				if w.idle() {
					w.finish(true)
					return
				}
				continue // end marks are left to be written
			}
			select {
			case <-r.wake:
			case <-r.stop:
				w.finish(false)
				return
			}
			continue
		}
		if failing == 0 {
			since = w.v.cfg.Now()
		}
		failing++
		w.failed(err, failing)
		if r.isClosing() && w.v.cfg.Now().Sub(since) > closeMax {
			w.finish(false)
			return
		}
		if failing == 1 && !noSpace(err) {
			continue // a new part at once
		}
		t := time.NewTimer(min(250*time.Millisecond<<min(failing, 4), 2*time.Second))
		select {
		case <-t.C:
		case <-r.stop:
			t.Stop()
			w.finish(false)
			return
		}
	}
}

func (r *Recording) isClosing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closing
}

// step stores at most one segment of each kind; more says that work is left.
func (w *writer) step() (more bool, err error) {
	r := w.r
	if r.Seq() == 0 {
		if err := w.register(); err != nil {
			return true, err
		}
	}
	err = errors.Join(w.stepFacts(), w.stepAmend(), w.stepVoice())
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.busyAt = time.Time{}
	}
	return len(r.factq)+len(r.voiceq)+len(r.amends) > 0, err
}

// register takes the next number. The index is written before any file, so no
// file is without an entry.
func (w *writer) register() error {
	v := w.v
	v.write.Lock()
	defer v.write.Unlock()
	v.mu.Lock()
	seq := v.next
	v.mu.Unlock()
	w.begin()
	if err := v.append(indexRecord{What: whatCreated, Seq: seq, ID: w.r.id}); err != nil {
		return fmt.Errorf("take number %d: %w", seq, err)
	}
	w.r.mu.Lock()
	w.r.seq = seq
	w.r.mu.Unlock()
	return nil
}

// begin notes since when the disk is at work.
func (w *writer) begin() {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	if w.r.busyAt.IsZero() {
		w.r.busyAt = w.v.cfg.Now()
	}
}

// part returns the open part of a kind, or begins one.
func (w *writer) part(kind fleet.Kind) (*part, error) {
	w.begin()
	if p := w.cur[kind]; p != nil {
		return p, nil
	}
	w.next[kind]++
	to := w.r.facts
	if kind == fleet.Voice {
		to = w.r.voice
	}
	p, err := w.v.newPart(sealed.Meta{ID: w.r.id, Seq: w.r.Seq(), Kind: kind, Part: w.next[kind]}, to)
	if err != nil {
		return nil, err
	}
	w.cur[kind] = p
	return p, nil
}

// store the sealed segment; a part that broke is put aside.
func (w *writer) store(p *part) error {
	err := p.store()
	var broken errBroken
	if errors.As(err, &broken) {
		w.v.log.Error("part of a recording is ended early", "rec", w.r.id, "part", p.name, "segments", p.segs, "err", err)
		delete(w.cur, p.kind)
		if p.segs == 0 {
			w.v.drop(p)
			return err
		}
		w.ended = append(w.ended, p.entry())
		w.v.pool.refuse(p.name)
		p.w.Wipe()
		p.f.Close() // its error is of no use: nothing more is claimed of it
	}
	return err
}

func (w *writer) stepFacts() error {
	r := w.r
	r.mu.Lock()
	if r.closing && r.lost.pages > 0 && len(r.voiceq) == 0 && w.page == nil {
		w.noteLoss()
	}
	if len(w.batch) == 0 && len(r.factq) > 0 {
		n := 0
		for n < len(r.factq) && len(w.batch)+len(r.factq[n]) <= batchMax {
			w.batch = append(w.batch, r.factq[n]...)
			n++
		}
		r.factq = r.factq[n:]
		r.factSize -= len(w.batch)
		r.factAt = w.v.cfg.Now()
	}
	last := r.closing && len(r.factq) == 0 && len(r.voiceq) == 0 && w.page == nil
	r.mu.Unlock()
	if len(w.batch) == 0 && (!last || !w.unmarked(fleet.Facts)) {
		return nil
	}
	p, err := w.part(fleet.Facts)
	if err != nil {
		return err
	}
	if p.todo == nil {
		if _, err := p.seal(w.batch, last); err != nil {
			return err
		}
	}
	if err := w.store(p); err != nil {
		return err
	}
	clear(w.batch)
	w.batch = w.batch[:0]
	return nil
}

// stepAmend comes before stepVoice, so that the end mark stays last.
func (w *writer) stepAmend() error {
	r := w.r
	for {
		p := w.cur[fleet.Voice]
		if p != nil && p.todo != nil {
			return nil // a page waits for space; amendments wait behind it
		}
		r.mu.Lock()
		if len(r.amends) == 0 {
			r.mu.Unlock()
			return nil
		}
		a := r.amends[0]
		r.amends = r.amends[1:]
		r.mu.Unlock()
		if w.page != nil && w.page.ord == a.ord { // it is stored once more anyway
			w.page.data = a.data
			continue
		}
		at, ok := w.place[a.ord]
		if !ok || at.p != p || p.last {
			continue
		}
		w.begin()
		if err := p.amend(at.seg, append(bytes.Clone(at.head), a.data...)); err != nil {
			return err
		}
		if err := w.store(p); err != nil {
			p.todo = nil
			if noSpace(err) && w.cur[fleet.Voice] == p {
				// The number is spent, and the file must show no hole: the
				// page as it was stands, the amendment is dropped.
				w.abandon(p)
			}
			return err
		}
	}
}

// abandon ends a part that holds a sealed segment which will not be stored.
func (w *writer) abandon(p *part) {
	w.ended = append(w.ended, p.entry())
	delete(w.cur, p.kind)
	if err := p.finish(); err != nil {
		w.v.log.Warn("part is not cut to its length", "part", p.name, "err", err)
	}
}

func (w *writer) stepVoice() error {
	r := w.r
	r.mu.Lock()
	if w.page == nil && len(r.voiceq) > 0 {
		pg := r.voiceq[0]
		r.voiceq = r.voiceq[1:]
		r.queued -= pg.dur
		w.page = &pg
		r.busy = pg
	}
	last := r.closing && len(r.voiceq) == 0 && len(r.amends) == 0
	head := r.head
	r.mu.Unlock()
	if w.page == nil && (!last || !w.unmarked(fleet.Voice)) {
		return nil
	}
	p, err := w.part(fleet.Voice)
	if err != nil {
		return err
	}
	if w.page == nil {
		if p.todo == nil {
			if _, err := p.seal(nil, true); err != nil {
				return err
			}
		}
		return w.store(p)
	}
	if p.todo == nil {
		at := placed{p: p}
		if p.segs == 0 && head != nil {
			at.head = head()
		}
		at.seg, err = p.seal(append(bytes.Clone(at.head), w.page.data...), last)
		if err != nil {
			return err
		}
		w.place[w.page.ord] = at
		delete(w.place, w.page.ord-keepPlace)
	}
	if err := w.store(p); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	w.page, r.busy = nil, page{}
	if r.lost.pages > 0 {
		w.noteLoss()
	}
	return nil
}

// noteLoss tells the facts what was given up. r.mu is held.
func (w *writer) noteLoss() {
	l := w.r.lost
	w.r.lost = lostSpan{}
	w.v.log.Error("voice was lost", "rec", w.r.id, "from", l.from, "to", l.to, "pages", l.pages, "why", l.why)
	line, err := record.Marshal(record.Fact{
		At: w.v.cfg.Now(), Ms: l.from.Milliseconds(), UntilMs: l.to.Milliseconds(),
		Kind: record.Gap, By: "seat", Count: l.pages, Text: "not stored: " + l.why,
	})
	if err == nil {
		w.r.pushFacts(line)
	}
}

func (w *writer) failed(err error, times int) {
	r := w.r
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.failed
	switch {
	case noSpace(err):
		r.failed = "the disk is full: the call goes on, what does not fit in memory is not recorded; let recordings upload, or tell IT"
	case times > 1:
		r.failed = "the disk does not take the recording: the call goes on; tell IT, the storage of this seat must be replaced"
	}
	if r.failed != was || times == 1 {
		w.v.log.Error("recording cannot be stored", "rec", r.id, "err", err)
	}
}

func (w *writer) recovered() {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	if w.r.failed != "" {
		w.v.log.Info("recording is stored again", "rec", w.r.id)
	}
	w.r.failed = ""
}

// unmarked says that the last part of a kind lacks its end mark. Where that
// part failed, the mark goes into a part of its own.
func (w *writer) unmarked(kind fleet.Kind) bool {
	if p := w.cur[kind]; p != nil {
		return !p.last
	}
	return slices.ContainsFunc(w.ended, func(p fleet.Part) bool { return p.Kind == kind })
}

// idle says that nothing waits and every part has its end mark.
func (w *writer) idle() bool {
	r := w.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.factq)+len(r.voiceq)+len(r.amends) > 0 || len(w.batch) > 0 || w.page != nil {
		return false
	}
	return !w.unmarked(fleet.Facts) && !w.unmarked(fleet.Voice)
}

// finish seals what is on the disk.
func (w *writer) finish(whole bool) {
	r := w.r
	r.mu.Lock()
	r.stopped = true
	r.factq, r.voiceq, r.amends = nil, nil, nil
	r.busy, r.busyAt = page{}, time.Time{}
	r.mu.Unlock()
	parts := w.ended
	for _, p := range w.cur {
		if p.segs > 0 {
			parts = append(parts, p.entry())
		}
	}
	for _, p := range w.cur {
		if err := p.finish(); err != nil {
			w.v.log.Warn("part is not cut to its length", "part", p.name, "err", err)
		}
	}
	clear(w.batch)
	end := fleet.EndRecovered
	if whole {
		end = fleet.EndClosed
	}
	seq := r.Seq()
	var m fleet.Manifest
	err := errors.New("the disk took nothing of the recording")
	if seq > 0 {
		m, err = w.v.seal(seq, r.id, end, parts)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifest, r.err = m, err
	if err != nil {
		w.v.log.Error("recording has no manifest yet", "rec", r.id, "seq", seq, "err", err)
	}
}
