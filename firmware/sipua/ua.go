package sipua

import (
	"context"
	"errors"
)

// UA is one account at one PBX. Make it with New, then call Run once.
type UA struct{ events chan Event }

// New checks the configuration and starts nothing.
func New(cfg Config) (*UA, error) { return &UA{events: make(chan Event)}, nil }

// Run connects, registers and serves calls until ctx ends; then it hangs up,
// unregisters (both within 2 s) and closes the events' channel. It returns nil
// after an ordered end.
func (u *UA) Run(ctx context.Context) error { return errors.New("sipua: being built") }

// Events is the one ordered stream of what happens; one consumer.
func (u *UA) Events() <-chan Event { return u.events }

// Registered tells whether the PBX has the seat's contact now.
func (u *UA) Registered() bool { return false }

// Stats may be called at any time.
func (u *UA) Stats() Stats { return Stats{} }

// Invite calls target (a number, or a sip: URI) with our offer.
func (u *UA) Invite(target string, sdp []byte) (*Call, error) { return nil, ErrFlowLost }
