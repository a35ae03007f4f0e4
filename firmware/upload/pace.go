package upload

import (
	"context"
	"io"
	"sync"
	"time"
)

// paced hands a request's body to the network: as fast as it goes when no
// call is on, else a little at a time. It looks at the call before each piece,
// so a call that begins in the middle of a request is spared too.
//
// net/http may go on reading a body after the answer has come; it closes the
// body when it is done, which Wait waits for.
type paced struct {
	ctx  context.Context
	r    io.Reader
	busy func() bool
	rate int // bytes a second

	once   sync.Once
	closed chan struct{}
	mu     sync.Mutex
	err    error // of the file, apart from errors of the network
}

func (p *paced) Read(b []byte) (int, error) {
	if p.busy() {
		b = b[:min(len(b), callRead)]
		t := time.NewTimer(time.Duration(len(b)) * time.Second / time.Duration(p.rate))
		defer t.Stop()
		select {
		case <-t.C:
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		}
	}
	n, err := p.r.Read(b)
	if err != nil && err != io.EOF {
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
	}
	return n, err
}

func (p *paced) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Wait blocks until nobody reads any more and returns the file's error.
func (p *paced) Wait() error {
	<-p.closed
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
