package sipua

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// writeTimeout: a message that cannot be handed to TCP in this time means a
// dead connection.
const writeTimeout = 5 * time.Second

// outgoing messages that may wait for the writer; more means a dead connection.
const outgoing = 512

// flow is one connection to the PBX (RFC 5626): one reader, which hands every
// message to receive in the order of arrival, one writer, one pinger.
type flow struct {
	conn    Conn
	receive func(f *flow, msg []byte)
	skipped func(err error)

	every, timeout time.Duration // pings

	out  chan []byte
	dead chan struct{} // closed by fail
	once sync.Once
	err  error // why, once dead is closed

	ctx    context.Context // of the goroutines
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func newFlow(conn Conn, every, timeout time.Duration, receive func(*flow, []byte), skipped func(error)) *flow {
	ctx, cancel := context.WithCancel(context.Background())
	return &flow{
		ctx: ctx, cancel: cancel, conn: conn, receive: receive, skipped: skipped,
		every: every, timeout: timeout,
		out: make(chan []byte, outgoing), dead: make(chan struct{}),
	}
}

// start begins to read, write and ping; close must follow.
func (f *flow) start() {
	f.wg.Go(func() { f.read(f.ctx) })
	f.wg.Go(func() { f.write(f.ctx) })
	f.wg.Go(func() { f.ping(f.ctx) })
}

// close ends the flow, politely while ctx allows, and waits for its goroutines.
func (f *flow) close(ctx context.Context) {
	f.conn.Close(ctx)
	f.fail(errors.New("closed by the seat"))
	f.wg.Wait()
}

func (f *flow) fail(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.dead)
		f.cancel()
	})
}

// send queues one message; it never waits.
func (f *flow) send(msg []byte) {
	select {
	case f.out <- msg:
	default:
		f.fail(fmt.Errorf("the connection takes no messages"))
	}
}

var (
	crlf       = []byte("\r\n")
	doubleCRLF = []byte("\r\n\r\n")
)

func (f *flow) read(ctx context.Context) {
	for {
		msg, err := f.conn.Read(ctx)
		switch {
		case errors.Is(err, ErrOversized):
			f.skipped(err)
		case err != nil:
			f.fail(err)
			return
		case bytes.Equal(msg, doubleCRLF): // RFC 5626 section 4.4.1: ping
			f.send(crlf)
		case len(bytes.Trim(msg, "\r\n")) == 0: // its pong, or nothing
		default:
			f.receive(f, bytes.TrimLeft(msg, "\r\n"))
		}
	}
}

func (f *flow) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case msg := <-f.out:
			wctx, cancel := context.WithTimeout(ctx, writeTimeout)
			err := f.conn.Write(wctx, msg)
			cancel()
			if err != nil {
				f.fail(fmt.Errorf("write: %w", err))
				return
			}
		}
	}
}

// ping notices a connection that died without a word.
func (f *flow) ping(ctx context.Context) {
	t := time.NewTimer(f.every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		pctx, cancel := context.WithTimeout(ctx, f.timeout)
		err := f.conn.Ping(pctx)
		timedOut := pctx.Err() != nil && ctx.Err() == nil
		cancel()
		if timedOut {
			f.fail(fmt.Errorf("the PBX did not answer a ping within %v", f.timeout))
			return
		}
		if err != nil {
			f.fail(fmt.Errorf("ping: %w", err))
			return
		}
		t.Reset(f.every)
	}
}
