package fleet

import "time"

// EnrolRequest asks for a certificate. Token is one-time, made by
// `deskfleet seats add`. CSR is PEM PKCS #10 with the seat's own P-256 key.
type EnrolRequest struct {
	Token string `json:"token"`
	CSR   string `json:"csr"`
}

// EnrolReply gives the seat its name, certificate and first policy.
type EnrolReply struct {
	Seat      string `json:"seat"`
	Chain     string `json:"chain"`      // PEM, leaf first
	CentreKey string `json:"centre_key"` // PEM SubjectPublicKeyInfo; signs policies and receipts
	PolicyJWS string `json:"policy_jws"` // signed.Policy
}

// Manifest names every byte of a recording without naming a person. The seat
// signs it with the key of its certificate.
type Manifest struct {
	Format   string `json:"format"` // "deskset-manifest/1"
	Seat     string `json:"seat"`
	Seq      uint64 `json:"seq"` // gap-free a seat, from 1
	ID       string `json:"id"`  // UUID of the recording
	Firmware string `json:"firmware"`
	End      End    `json:"end"`
	Parts    []Part `json:"parts"`
}

const ManifestFormat = "deskset-manifest/1"

// End says how a recording came to its end.
type End string

const (
	EndClosed    End = "closed"    // the call ended and the last segment is marked so
	EndRecovered End = "recovered" // power or process was lost; whole segments only
	EndVoid      End = "void"      // a number was taken but nothing was written
)

// Part is one sealed file. A recording has a new part after each failed write.
type Part struct {
	N        int    `json:"n"`
	Kind     Kind   `json:"kind"`
	Segments int    `json:"segments"`
	Size     int64  `json:"size"`   // bytes
	SHA256   string `json:"sha256"` // hex, of those bytes
}

// Kind of what a part holds.
type Kind string

const (
	Facts Kind = "facts" // who, when, what happened; opened by the centre
	Voice Kind = "voice" // Ogg Opus, two streams; opened offline only
)

// Receipt is the centre's promise that a recording is durable there.
type Receipt struct {
	Format      string    `json:"format"` // "deskset-receipt/1"
	Centre      string    `json:"centre"`
	Seat        string    `json:"seat"`
	Seq         uint64    `json:"seq"`
	ID          string    `json:"id"`
	Manifest    string    `json:"manifest"` // hex SHA-256 of the manifest document as uploaded
	Received    time.Time `json:"received"`
	RetainUntil time.Time `json:"retain_until"`
	Note        string    `json:"note,omitempty"` // what the centre could not do, e.g. open the facts; the bytes are safe all the same
}

const ReceiptFormat = "deskset-receipt/1"

// UploadState is the centre's answer to "what do you have of this recording?"
type UploadState struct {
	Manifest bool        `json:"manifest"`
	Parts    []PartState `json:"parts"`
	Receipt  string      `json:"receipt,omitempty"` // signed.Receipt once all is durable
	Hold     bool        `json:"hold,omitempty"`    // a legal hold stands
}

// PartState is how much of a part the centre holds, in bytes.
type PartState struct {
	N    int   `json:"n"`
	Kind Kind  `json:"kind"`
	Have int64 `json:"have"`
	Done bool  `json:"done"` // complete, hash checked, synced
}

// Message is one line of the event stream, either way. Exactly one member
// beside Seq is set.
type Message struct {
	State  *SeatState `json:"state,omitempty"`  // seat to centre, on change and each 2 s
	Policy string     `json:"policy,omitempty"` // centre to seat: signed.Policy
	Hold   *LegalHold `json:"hold,omitempty"`   // centre to seat
	Ping   int64      `json:"ping,omitempty"`   // centre to seat; echoed back as Pong
	Pong   int64      `json:"pong,omitempty"`
}

// SeatState is what the floor may see of a seat. It names the agent and no
// customer.
type SeatState struct {
	Agent    string   `json:"agent,omitempty"`
	State    string   `json:"state"`    // panel.State
	Since    int64    `json:"since_ms"` // milliseconds in that state
	Firmware string   `json:"firmware"`
	Pending  int      `json:"pending"` // recordings not yet receipted
	Alarms   []string `json:"alarms,omitempty"`
}

// LegalHold stops or allows the deletion of one recording on the seat.
type LegalHold struct {
	ID string `json:"id"`
	On bool   `json:"on"`
}

// Problem is the body of every refusal (RFC 9457, application/problem+json).
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"` // what to do next
}

// Paths of the centre's API. All but Enrol need the seat's certificate.
const (
	PathEnrol  = "/v1/enrol"       // POST EnrolRequest -> EnrolReply
	PathStream = "/v1/stream"      // WebSocket, JSON text Messages
	PathRec    = "/v1/recordings/" // see below
	// GET  {id}                       -> UploadState
	// PUT  {id}/manifest              signed.Manifest
	// PUT  {id}/parts/{n}/{kind}      Content-Range: bytes A-B/TOTAL (RFC 9110 14.4);
	//                                 200 durable so far, 416 with UploadState when A is not Have
	// POST {id}/receipt               -> signed.Receipt, only when every part is Done
)
