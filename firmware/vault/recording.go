package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/vault/sealed"

	"github.com/google/uuid"
)

const (
	// SlowAfter is the backlog at which a recording counts as failed for the
	// agent, though nothing is lost yet.
	SlowAfter = 2 * time.Second
	// QueueMax is how much voice waits in RAM for a slow disk. Beyond it the
	// oldest is given up and the gap is noted in the facts.
	QueueMax = 30 * time.Second

	factsMax  = 4 << 20          // bytes of facts waiting in RAM
	batchMax  = 256 << 10        // bytes of facts in one segment
	closeMax  = 15 * time.Second // for a failing disk to take the end
	hungAfter = 5 * time.Second  // past the deadline of Close
	keepPlace = 8                // segments that can still be amended
)

// Recipients are the keys that a recording is sealed to.
type Recipients struct {
	Facts []fleet.Recipient // the centre's online key
	Voice []fleet.Recipient // offline keys only
}

// Level of a recording's health.
type Level string

const (
	LevelOK     Level = "ok"
	LevelSlow   Level = "slow"   // more than SlowAfter waits in RAM: show REC failed
	LevelFailed Level = "failed" // the disk takes nothing: show REC failed
)

// Health of a recording, with words for a person and the next step.
type Health struct {
	Level Level
	Words string
}

// Recording is one call being written. Its methods never wait for the disk,
// Close apart, and may be called from any goroutine.
type Recording struct {
	v     *Vault
	id    string
	facts []*sealed.PublicKey
	voice []*sealed.PublicKey

	wake chan struct{}
	stop chan struct{} // closed: write no more, seal what is there
	done chan struct{}

	mu       sync.Mutex // guards what follows
	head     func() []byte
	seq      uint64
	factq    [][]byte
	factSize int
	factAt   time.Time // when the oldest came
	voiceq   []page
	amends   []page
	queued   time.Duration
	pos      time.Duration // end of the last page on the time line
	ord      uint64
	busy     page      // being stored
	busyAt   time.Time // since when, zero: idle
	lost     lostSpan
	failed   string
	closing  bool
	stopped  bool
	manifest fleet.Manifest
	err      error
}

type page struct {
	ord  uint64
	data []byte
	from time.Duration
	dur  time.Duration
}

type lostSpan struct {
	from, to time.Duration
	pages    int
	why      string
}

// Create begins a recording. It is refused when the disk holds only the
// reserve (ErrFull) or a key does not parse; the disk is written by the
// recording's own goroutine, which ends with Close.
func (v *Vault) Create(to Recipients) (*Recording, error) {
	facts, err := sealed.ParsePublics(to.Facts)
	if err != nil {
		return nil, fmt.Errorf("begin recording: facts: %w", err)
	}
	voice, err := sealed.ParsePublics(to.Voice)
	if err != nil {
		return nil, fmt.Errorf("begin recording: voice: %w", err)
	}
	if len(facts) == 0 || len(voice) == 0 {
		return nil, errors.New("begin recording: the policy names no key for facts or none for voice")
	}
	if s, err := v.Space(); err == nil && s.Full() {
		return nil, fmt.Errorf("begin recording: %w: %d MB free, %d MB are held in reserve; let recordings upload, or ask IT",
			ErrFull, s.Free>>20, s.Reserve>>20)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, ErrClosed
	}
	r := &Recording{
		v: v, id: uuid.NewString(), facts: facts, voice: voice,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	v.making[r.id] = r
	v.live.Go(func() { newWriter(r).run() })
	return r, nil
}

// ID of the recording, a random UUID.
func (r *Recording) ID() string { return r.id }

// Seq is the seat's number of it; 0 until that stands on the disk.
func (r *Recording) Seq() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}

// VoiceHead sets what every voice part begins with (the Ogg headers), before
// the first Voice. A part after the first begins where the disk failed; head is
// called from the recording's goroutine.
func (r *Recording) VoiceHead(head func() []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head = head
}

// Facts queues one line. Lines are stored before any voice that waits.
func (r *Recording) Facts(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		r.v.log.Error("fact comes after the end", "rec", r.id, "bytes", len(line))
		return
	}
	r.pushFacts(slices.Clone(line))
}

func (r *Recording) pushFacts(line []byte) {
	if n := len(line); n == 0 || line[n-1] != '\n' {
		line = append(line, '\n')
	}
	if r.stopped || r.factSize+len(line) > factsMax || len(line) > batchMax {
		r.v.log.Error("fact is lost", "rec", r.id, "bytes", len(line), "stopped", r.stopped)
		return
	}
	if len(r.factq) == 0 {
		r.factAt = r.v.cfg.Now()
	}
	r.factq = append(r.factq, line)
	r.factSize += len(line)
	r.notify()
}

// Voice queues the next dur of the time line, which then belongs to the
// recording, and returns its place for Amend.
func (r *Recording) Voice(data []byte, dur time.Duration) (place uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := page{ord: r.ord, data: data, from: r.pos, dur: dur}
	r.ord++
	r.pos += dur
	if r.closing {
		return p.ord
	}
	if len(data) > sealed.MaxData/2 {
		r.giveUp(p, "a page is too large")
		return p.ord
	}
	r.voiceq = append(r.voiceq, p)
	r.queued += dur
	for r.queued > QueueMax {
		why := r.failed
		if why == "" {
			why = "the disk is too slow"
		}
		r.giveUp(r.voiceq[0], why)
		r.queued -= r.voiceq[0].dur
		r.voiceq = r.voiceq[1:]
	}
	r.notify()
	return p.ord
}

func (r *Recording) giveUp(p page, why string) {
	if r.lost.pages == 0 {
		r.lost = lostSpan{from: p.from, why: why}
	}
	r.lost.to = p.from + p.dur
	r.lost.pages++
}

// Amend replaces a page that Voice took, for packets that came late. It says
// false when the page is too old or lies in a part that has ended.
func (r *Recording) Amend(place uint64, data []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || r.closing || place >= r.ord || place+keepPlace < r.ord || len(data) > sealed.MaxData/2 {
		return false
	}
	for i := range r.voiceq {
		if r.voiceq[i].ord == place {
			r.voiceq[i].data = data
			return true
		}
	}
	if len(r.amends) >= keepPlace {
		return false // the disk takes nothing
	}
	r.amends = append(r.amends, page{ord: place, data: data})
	r.notify()
	return true
}

func (r *Recording) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Backlog is how far the disk is behind: voice that waits, or how long the
// oldest fact or write at hand has waited.
func (r *Recording) Backlog() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.backlog()
}

func (r *Recording) backlog() time.Duration {
	b := r.queued + r.busy.dur
	now := r.v.cfg.Now()
	if len(r.factq) > 0 {
		b = max(b, now.Sub(r.factAt))
	}
	if !r.busyAt.IsZero() {
		b = max(b, now.Sub(r.busyAt))
	}
	return b
}

// State of the recording now.
func (r *Recording) State() Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != "" {
		return Health{LevelFailed, r.failed}
	}
	if b := r.backlog(); b > SlowAfter {
		return Health{LevelSlow, fmt.Sprintf("the disk is %.0f s behind; if it lasts, tell IT", b.Seconds())}
	}
	return Health{Level: LevelOK}
}

// Close ends the recording: what waits is stored, the parts get their end mark
// and the manifest is signed. When ctx ends first, or the disk fails for 15 s,
// what is on the disk is sealed as it is. With an error the recording stands
// in the index without a manifest; it gets one as soon as the disk allows,
// at the latest with the next Open.
func (r *Recording) Close(ctx context.Context) (fleet.Manifest, error) {
	r.mu.Lock()
	r.closing = true
	r.notify()
	r.mu.Unlock()
	select {
	case <-r.done:
	case <-ctx.Done():
		r.mu.Lock()
		if !r.stopped {
			r.stopped = true
			close(r.stop)
		}
		r.mu.Unlock()
		t := time.NewTimer(hungAfter)
		defer t.Stop()
		select {
		case <-r.done:
		case <-t.C:
			return fleet.Manifest{}, fmt.Errorf("close recording %s: the disk does not answer; it is recovered at the next start", r.id)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.manifest, r.err
}
