package media

import "errors"

var (
	// ErrDescription says that a session description from the far end cannot
	// be used; the text says why. An offer is then refused with 488, a call
	// with such an answer released.
	ErrDescription = errors.New("media: session description not acceptable")
	// ErrState says that a method was called out of turn, as SetAnswer without
	// an Offer.
	ErrState = errors.New("media: out of turn")
	// ErrClosed says that the leg is closed.
	ErrClosed = errors.New("media: leg closed")
	// ErrNoEvents says that the far end takes no telephone events (RFC 4733).
	ErrNoEvents = errors.New("media: far end takes no DTMF events")
	// ErrDigits says that a string to send holds something that is no DTMF
	// digit, or more digits than may wait.
	ErrDigits = errors.New("media: not DTMF digits")
	// ErrConnect says that ICE or DTLS did not come up; the text says which.
	ErrConnect = errors.New("media: not connected")
	// ErrLost says that the far end stopped answering ICE checks.
	ErrLost = errors.New("media: connection lost")
)
