package sipua

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"deskset/firmware/sipua/wsflow"
)

// Conn is one WebSocket connection with the subprotocol "sip". Read is called
// by one goroutine; the others may be called at the same time as Read.
type Conn interface {
	// Read returns the next whole message (text or binary, fragments joined).
	// An error that wraps ErrOversized means that one message was skipped and
	// the connection lives; any other error ends the connection.
	Read(ctx context.Context) ([]byte, error)
	// Write sends one message.
	Write(ctx context.Context, msg []byte) error
	// Ping sends a ping and waits for its pong. Needs a concurrent Read.
	Ping(ctx context.Context) error
	// Close ends the connection, with the closing handshake if ctx allows,
	// at once if it is already cancelled.
	Close(ctx context.Context) error
}

// Config of one account at one PBX.
type Config struct {
	URL      string      // wss://host:port/path; ws:// only with Insecure
	Insecure bool        // plain ws is allowed
	TLS      *tls.Config // roots of the private CA; nil: the system's
	Domain   string      // of the account's address; "": the URL's host
	User     string      // account, also the only user our From ever names
	AuthUser string      // "": User
	Password string
	Instance string        // urn:uuid:..., stable for a seat (RFC 5626 section 4.1)
	Display  string        // display name in our From; may be ""
	Expires  time.Duration // asked for at REGISTER; 0: 10 minutes
	// UserAgent of the User-Agent header; "": "deskset".
	UserAgent string
	// QueueHeaders name, in order, where the queue's name may stand in an
	// INVITE; nil: X-Queue, Diversion.
	QueueHeaders []string
	Log          *slog.Logger // nil: discarded

	PingEvery   time.Duration // between keep-alive pings; 0: 3 s
	PingTimeout time.Duration // pong awaited so long; 0: 3 s

	// Dial opens the connection; nil: WebSocket over TCP.
	Dial func(ctx context.Context, url string) (Conn, error)
}

var (
	// ErrCredentials: the PBX refused the account. Only a person can help;
	// the user agent tries again about once a minute.
	ErrCredentials = errors.New("the PBX refused the account's user name or password: check the account in the seat's policy and at the PBX")
	// ErrFlowLost: there is no connection to the PBX, or it broke meanwhile.
	ErrFlowLost = errors.New("no connection to the PBX")
	// ErrState: the call is not in a state in which this can be done.
	ErrState = errors.New("not possible in the call's state")
	// ErrOversized: a message above MaxMessage was skipped.
	ErrOversized = wsflow.ErrOversized
	// ErrGlare: both sides re-offered at once and it did not resolve in time.
	ErrGlare = errors.New("both sides changed the call at once")
)

// MaxMessage is the largest message accepted from the PBX, bytes.
const MaxMessage = 64 << 10

// Stats counts what passed since New.
type Stats struct {
	Sent, Received uint64 // SIP messages
	Oversized      uint64 // skipped
	Unparsable     uint64 // skipped
	Flows          uint64 // connections made
	Registrations  uint64 // REGISTERs accepted
}
