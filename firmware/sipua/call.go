package sipua

import "context"

// Call is one call. Its methods may be called from any goroutine; on a call
// that is over the hanging-up ones do nothing and the others give ErrState.
type Call struct{ id string }

// ID is the SIP Call-ID.
func (c *Call) ID() string { return c.id }

// Inbound tells who called.
func (c *Call) Inbound() bool { return false }

// Header of the inbound INVITE, first value; "" when there is none.
func (c *Call) Header(name string) string { return "" }

// Ringing sends 180.
func (c *Call) Ringing() error { return ErrState }

// Answer accepts an inbound call with our answer; the 200 is repeated until
// the ACK comes (Confirmed) or 32 s have passed (Ended).
func (c *Call) Answer(sdp []byte) error { return ErrState }

// Reject refuses an inbound call with a code of 400-699.
func (c *Call) Reject(code int) error { return ErrState }

// Hangup ends the call in whatever state it is: CANCEL, BYE or a refusal.
func (c *Call) Hangup() error { return nil }

// Bye is Hangup.
func (c *Call) Bye() error { return c.Hangup() }

// Cancel is Hangup.
func (c *Call) Cancel() error { return c.Hangup() }

// Reinvite offers a changed session and waits for the answer. Glare (491) is
// retried by itself until ctx ends.
func (c *Call) Reinvite(ctx context.Context, sdp []byte) (answer []byte, err error) {
	return nil, ErrState
}

// AnswerReoffer accepts what Reoffer told.
func (c *Call) AnswerReoffer(sdp []byte) error { return ErrState }

// RejectReoffer refuses it (400-699); the session stays as it was.
func (c *Call) RejectReoffer(code int) error { return ErrState }

// Refer asks the PBX to connect the other party to target (blind transfer).
// ReferStatus tells how it goes.
func (c *Call) Refer(target string) error { return ErrState }

// ReferReplaces connects this call's other party with that of other (attended
// transfer, RFC 3891).
func (c *Call) ReferReplaces(other *Call) error { return ErrState }
