package sipua

import "time"

// Event is one of the types below. The events of one user agent come in the
// order in which they happened; those of one call begin with Incoming (or with
// [UA.Invite] having returned) and end with exactly one Failed or Ended.
type Event interface{ event() }

// Registered: the PBX has the seat's contact. Refreshes are not told.
type Registered struct {
	Recovered bool          // it was registered before and had lost it: refresh live calls now
	Expires   time.Duration // as the PBX granted
}

// Lost: no calls can come in. Told once when it happens and again only when
// the cause changes; the user agent keeps trying by itself.
type Lost struct {
	Err   error         // says what to do next; errors.Is(Err, ErrCredentials) for a refused account
	Retry time.Duration // about how long until the next try
}

// Incoming: the PBX offers a call; 100 Trying was already sent. The seat calls
// Ringing, Answer or Reject.
type Incoming struct {
	Call       *Call
	From       string // number (user part) of the caller: P-Asserted-Identity before From; "" when withheld
	Name       string // display name, printable, at most 64 runes; may be ""
	Queue      string // from Config.QueueHeaders; may be ""
	Offer      []byte // SDP, never empty
	AutoAnswer bool   // the PBX asks for it (Alert-Info, Call-Info); whether to obey is the seat's affair
	Replaces   *Call  // answering this ends that one (RFC 3891); nil as a rule
}

// Progress: a provisional answer (101-199) to our INVITE.
type Progress struct {
	Call *Call
	Code int
	SDP  []byte // early media, nil when there is none
}

// Answered: our INVITE was accepted; the ACK is sent.
type Answered struct {
	Call *Call
	SDP  []byte // the answer to our offer
}

// Confirmed: the ACK to our 200 arrived, the inbound call stands.
type Confirmed struct{ Call *Call }

// Failed: our INVITE was refused or got no answer. Code is the SIP status
// (408 when nothing came in time, 503 when the flow broke). A redirection
// (3xx) is not followed.
type Failed struct {
	Call   *Call
	Code   int
	Reason string
}

// Reoffer: the PBX offers a changed session within the call. It must be
// answered with AnswerReoffer or RejectReoffer; unanswered it is refused with
// 488 after 10 s.
type Reoffer struct {
	Call *Call
	SDP  []byte
}

// Identity: the PBX says that the party at the other end is another one now,
// as after a transfer.
type Identity struct {
	Call       *Call
	From, Name string
}

// Ended: the call is over. After a local hang-up it comes at once; the BYE is
// brought to the PBX in the background.
type Ended struct {
	Call     *Call
	ByRemote bool
	Code     int    // SIP cause if one was told (Reason header, RFC 3326), else 0
	Reason   string // in words
}

// ReferStatus: how the transfer asked for by Refer or ReferReplaces goes. The
// last one has Done; it succeeded if Code is 200-299. The seat then hangs up
// its own leg.
type ReferStatus struct {
	Call *Call
	Code int
	Done bool
}

// Referred: the PBX asked this seat to transfer itself; it was refused (603).
type Referred struct {
	Call   *Call // nil outside a call
	Target string
}

func (Registered) event()  {}
func (Lost) event()        {}
func (Incoming) event()    {}
func (Progress) event()    {}
func (Answered) event()    {}
func (Confirmed) event()   {}
func (Failed) event()      {}
func (Reoffer) event()     {}
func (Identity) event()    {}
func (Ended) event()       {}
func (ReferStatus) event() {}
func (Referred) event()    {}
