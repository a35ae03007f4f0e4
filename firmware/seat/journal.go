package seat

import (
	"context"
	"sync"
	"time"
)

// journalSize is how many events are remembered.
const journalSize = 1000

// Event is one thing that happened at the seat, without any number or name of
// a customer: fit for `deskset events` and for a support bundle.
type Event struct {
	Seq  uint64    `json:"seq"`
	At   time.Time `json:"at"`
	Part string    `json:"part"` // "key", "state", "call", "pbx", "headset", ...
	Text string    `json:"text"`
}

// journal remembers the last events and lets others follow.
type journal struct {
	now  func() time.Time
	mu   sync.Mutex
	last []Event
	seq  uint64
	news chan struct{}
}

func newJournal(now func() time.Time) *journal {
	return &journal{now: now, news: make(chan struct{})}
}

func (j *journal) add(part, text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	j.last = append(j.last, Event{j.seq, j.now(), part, text})
	if len(j.last) > journalSize {
		j.last = append(j.last[:0], j.last[len(j.last)-journalSize:]...)
	}
	close(j.news)
	j.news = make(chan struct{})
}

// after returns the events behind seq and a channel that closes at the next.
func (j *journal) after(seq uint64) ([]Event, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, e := range j.last {
		if e.Seq > seq {
			return append([]Event(nil), j.last[i:]...), j.news
		}
	}
	return nil, j.news
}

// Events calls f with every event behind seq, in order. With follow it goes on
// until ctx ends or f returns an error.
func (s *Seat) Events(ctx context.Context, seq uint64, follow bool, f func(Event) error) error {
	for {
		all, news := s.events.after(seq)
		for _, e := range all {
			if err := f(e); err != nil {
				return err
			}
			seq = e.Seq
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		}
	}
}
