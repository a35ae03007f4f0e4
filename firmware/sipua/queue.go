package sipua

import (
	"context"
	"sync"
)

// queue holds events without bound, so that whoever tells one never waits for
// the seat and nothing is dropped; one goroutine brings them to the channel.
type queue struct {
	mu   sync.Mutex
	list []Event
	more chan struct{} // one token: the list is not empty
	out  chan Event
}

func newQueue() *queue {
	return &queue{more: make(chan struct{}, 1), out: make(chan Event, 16)}
}

func (q *queue) push(e Event) {
	q.mu.Lock()
	q.list = append(q.list, e)
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
}

func (q *queue) take() []Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.list
	q.list = nil
	return l
}

// run delivers until stop is closed and all is delivered, or until hard ends;
// then it closes the channel.
func (q *queue) run(hard context.Context, stop <-chan struct{}) {
	defer close(q.out)
	for {
		if !q.deliver(hard) {
			return
		}
		select {
		case <-q.more:
		case <-hard.Done():
			return
		case <-stop:
			q.deliver(hard)
			return
		}
	}
}

func (q *queue) deliver(hard context.Context) bool {
	for _, e := range q.take() {
		select {
		case q.out <- e:
		case <-hard.Done():
			return false
		}
	}
	return true
}
