// Package fleet is what a seat and its centre say to each other: the signed
// policy, enrolment, manifests and receipts, the event stream. It holds the
// wire types and the seat's client; the other end is firmware/centre.
package fleet

import (
	"fmt"
	"time"
)

// Policy is what the centre lets a seat do. It reaches the seat only as a
// signed.Policy document and is never replaced by one with a lower Version.
type Policy struct {
	Version   uint64    `json:"version"` // rises by one with each change
	Seat      string    `json:"seat"`    // the only seat it is for, e.g. "S-0001"
	Centre    string    `json:"centre"`  // name of the centre that issued it
	Issued    time.Time `json:"issued"`
	PBX       []PBX     `json:"pbx"` // in order of preference; at least one
	Dial      Dial      `json:"dial"`
	Agents    []string  `json:"agents,omitempty"` // agent numbers that may sign in; empty: any
	Recording Recording `json:"recording"`
	Times     Times     `json:"times"`
	Retention Retention `json:"retention"`
}

// PBX is one SIP-over-WebSocket server and the seat's account on it.
type PBX struct {
	URL      string `json:"url"`    // "wss://host:8089/ws"; "ws://" only if the seat's file says insecure
	Domain   string `json:"domain"` // of the address of record
	User     string `json:"user"`
	Auth     string `json:"auth,omitempty"` // digest user name, if not User
	Password string `json:"password"`
	CA       string `json:"ca,omitempty"`      // PEM; empty: the centre's CA
	Expires  int    `json:"expires,omitempty"` // seconds asked for in REGISTER, default 120
}

// Dial sorts the targets a seat may call. Anything in neither list is refused.
type Dial struct {
	Emergency     []string `json:"emergency,omitempty"` // exact numbers, always allowed
	Internal      []string `json:"internal,omitempty"`  // exact extensions and feature codes
	BlindTransfer bool     `json:"blind_transfer"`
}

// Recording says whether calls are recorded and for whom they are sealed.
// Recipient keys are MLKEM768-X25519 HPKE public keys, base64.
type Recording struct {
	Enabled bool        `json:"enabled"`
	Basis   string      `json:"basis"` // why it is kept: "centre-policy", "consent"
	Facts   []Recipient `json:"facts"` // the centre's online key
	Voice   []Recipient `json:"voice"` // offline keys: primary and escrow
}

// Recipient is a public key that recordings are sealed to.
type Recipient struct {
	ID  string `json:"id"`  // KeyID of firmware/vault, for the reader to find its key
	Key string `json:"key"` // base64, as crypto/hpke encodes it
}

// Times are the seat's rules of thumb, in the unit each name says.
type Times struct {
	RONARings      int `json:"rona_rings"`       // rings before the call goes back to the queue, R25
	WrapUpSeconds  int `json:"wrap_up_seconds"`  // R21
	HoldCueSeconds int `json:"hold_cue_seconds"` // R22
	HoldMaxSeconds int `json:"hold_max_seconds"` // R22
	RingBacks      int `json:"ring_backs"`       // outbound gives up after, R26
	MuteCueSeconds int `json:"mute_cue_seconds"` // R23
}

// Retention of the seat's own copy, counted from the centre's receipt.
type Retention struct {
	GraceDays      int `json:"grace_days"`       // 30
	ShortGraceDays int `json:"short_grace_days"` // 7, when the disk is short
}

// DefaultTimes are the rulebooks' figures.
func DefaultTimes() Times {
	return Times{RONARings: 3, WrapUpSeconds: 60, HoldCueSeconds: 15, HoldMaxSeconds: 30, RingBacks: 6, MuteCueSeconds: 10}
}

// Check says what is wrong with a policy for the given seat.
func (p *Policy) Check(seat string) error {
	switch {
	case p.Seat != seat:
		return fmt.Errorf("policy is for seat %q, this is %q", p.Seat, seat)
	case p.Version == 0:
		return fmt.Errorf("policy has no version")
	case len(p.PBX) == 0:
		return fmt.Errorf("policy names no PBX")
	case p.Recording.Enabled && len(p.Recording.Facts) == 0:
		return fmt.Errorf("policy wants recordings but names no key for the facts")
	case p.Recording.Enabled && len(p.Recording.Voice) == 0:
		return fmt.Errorf("policy wants recordings but names no key for the voice")
	}
	for i, x := range p.PBX {
		if x.URL == "" || x.User == "" || x.Domain == "" {
			return fmt.Errorf("policy: PBX %d lacks url, domain or user", i+1)
		}
	}
	return nil
}
