// Package siplite is the small SIP core (RFC 3261) that the demo's PBX and its
// scripted phones share: transactions, dialogs and digest over any [Flow].
//
// It parses and prints messages with sipgo/sip and owns everything above that:
// retransmission on UDP, matching, CANCEL, ACK, dialog state. It starts no
// listener of its own: whoever reads a socket hands each message to
// [Endpoint.Receive] in the order of arrival, and handlers are called in that
// order, on the reader's goroutine; a handler must not block.
package siplite

import (
	"errors"
	"time"
)

// Timers of RFC 3261 section 17.1.1.1.
const (
	T1 = 500 * time.Millisecond
	T2 = 4 * time.Second
	// Timeout is 64*T1: how long an unanswered request is waited for.
	Timeout = 64 * T1
)

// MaxMessage bounds one message, in bytes: larger ones are dropped unread.
const MaxMessage = 65535

var (
	// ErrTimeout says that no final response came within [Timeout].
	ErrTimeout = errors.New("no answer within 64*T1")
	// ErrFlowGone says that the connection went away before the final response.
	ErrFlowGone = errors.New("the connection is gone")
	// ErrClosed says that the endpoint was closed.
	ErrClosed = errors.New("the endpoint is closed")
)

// Flow is a way to one peer: a UDP address, or one WebSocket connection.
// Flows are compared with ==.
type Flow interface {
	// Send writes one message; it must not block for long, and may be called
	// from any goroutine.
	Send(msg []byte) error
	// Reliable tells whether the transport delivers by itself (no retransmission).
	Reliable() bool
	// Transport is the Via's transport: UDP, WS or WSS.
	Transport() string
	// Local is the sent-by of our Via, host:port.
	Local() string
	// Remote is the peer's address, host:port.
	Remote() string
	// Done is closed when the connection is gone; nil when it never goes.
	Done() <-chan struct{}
}
