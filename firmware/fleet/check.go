package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
)

// Limits of what a seat may send. They are far above a day's work and far
// below what would hurt the centre.
const (
	MaxParts         = 256             // of one recording
	MaxPartSize      = 1 << 30         // bytes
	MaxRecordingSize = 2 << 30         // bytes, all parts together
	MaxManifest      = 256 << 10       // bytes, as signed
	MaxMessage       = 64 << 10        // bytes, one line of the event stream
	MaxSegments      = 24 * 60 * 60    // of one part: a day
	maxAlarms        = 32              // of one SeatState
	maxText          = 256             // bytes of any short text
	MaxSeq           = uint64(1) << 53 // what JSON carries without loss
)

// SeatName says what is wrong with a seat's name: 1 to 32 letters, digits, '-'
// and '_', so that it is safe as a file name, a certificate name and a log
// value.
func SeatName(s string) error {
	if s == "" || len(s) > 32 {
		return fmt.Errorf("seat name %q: use 1 to 32 characters", clip(s))
	}
	for i, r := range s {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || i > 0 && (r == '-' || r == '_')
		if !ok {
			return fmt.Errorf("seat name %q: use letters, digits, '-' and '_', beginning with a letter or digit", clip(s))
		}
	}
	return nil
}

// RecordingID says what is wrong with a recording's id: a UUID in its one
// canonical form (RFC 9562 section 4), so that it is safe as a file name.
func RecordingID(s string) error {
	u, err := uuid.Parse(s)
	if err != nil || u.String() != s {
		return fmt.Errorf("recording id %q is not a UUID in lower case", clip(s))
	}
	return nil
}

// Check says what is wrong with a manifest that the named seat has sent.
func (m *Manifest) Check(seat string) error {
	switch {
	case m.Format != ManifestFormat:
		return fmt.Errorf("manifest: format %q is not %q", clip(m.Format), ManifestFormat)
	case m.Seat != seat:
		return fmt.Errorf("manifest: it is of seat %q, not %q", clip(m.Seat), seat)
	case m.Seq == 0 || m.Seq > MaxSeq:
		return fmt.Errorf("manifest: sequence number %d is out of range", m.Seq)
	case m.End != EndClosed && m.End != EndRecovered && m.End != EndVoid:
		return fmt.Errorf("manifest: unknown end %q", clip(string(m.End)))
	case !printable(m.Firmware):
		return fmt.Errorf("manifest: firmware %q is not a short printable text", clip(m.Firmware))
	case m.End == EndVoid && len(m.Parts) > 0:
		return fmt.Errorf("manifest: a void recording cannot have parts")
	case m.End == EndClosed && len(m.Parts) == 0:
		return fmt.Errorf("manifest: a closed recording has no parts")
	case len(m.Parts) > MaxParts:
		return fmt.Errorf("manifest: %d parts, at most %d", len(m.Parts), MaxParts)
	}
	if err := RecordingID(m.ID); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	var total int64
	seen := map[string]bool{}
	for _, p := range m.Parts {
		if err := p.check(); err != nil {
			return fmt.Errorf("manifest: %w", err)
		}
		if seen[p.Name()] {
			return fmt.Errorf("manifest: part %s is named twice", p.Name())
		}
		seen[p.Name()] = true
		total += p.Size
	}
	if total > MaxRecordingSize {
		return fmt.Errorf("manifest: %d bytes in all, at most %d", total, int64(MaxRecordingSize))
	}
	return nil
}

// Name of a part within its recording, e.g. "0/voice": the end of its path.
func (p Part) Name() string { return fmt.Sprintf("%d/%s", p.N, p.Kind) }

func (p Part) check() error {
	switch {
	case p.N < 0 || p.N >= 10_000:
		return fmt.Errorf("part number %d is out of range", p.N)
	case p.Kind != Facts && p.Kind != Voice:
		return fmt.Errorf("part %d: unknown kind %q", p.N, clip(string(p.Kind)))
	case p.Segments < 0 || p.Segments > MaxSegments:
		return fmt.Errorf("part %s: %d segments is out of range", p.Name(), p.Segments)
	case p.Size <= 0 || p.Size > MaxPartSize:
		return fmt.Errorf("part %s: size %d is out of range", p.Name(), p.Size)
	case !lowerHex(p.SHA256, sha256.Size):
		return fmt.Errorf("part %s: sha256 is not %d hex digits in lower case", p.Name(), 2*sha256.Size)
	}
	return nil
}

// Find returns the part with that number and kind.
func (m *Manifest) Find(n int, k Kind) (Part, bool) {
	for _, p := range m.Parts {
		if p.N == n && p.Kind == k {
			return p, true
		}
	}
	return Part{}, false
}

// Size is the sum of all parts, in bytes.
func (m *Manifest) Size() (n int64) {
	for _, p := range m.Parts {
		n += p.Size
	}
	return n
}

// Digest is the hex SHA-256 of a document, as Receipt.Manifest has it.
func Digest(doc []byte) string {
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:])
}

// Check says why a receipt is not the one for the manifest m, whose signed
// document is doc.
func (r *Receipt) Check(m *Manifest, doc []byte) error {
	switch {
	case r.Format != ReceiptFormat:
		return fmt.Errorf("receipt: format %q is not %q", clip(r.Format), ReceiptFormat)
	case r.Seat != m.Seat || r.Seq != m.Seq || r.ID != m.ID:
		return fmt.Errorf("receipt: it is for recording %s (number %d of seat %q), not %s", clip(r.ID), r.Seq, clip(r.Seat), m.ID)
	case r.Manifest != Digest(doc):
		return fmt.Errorf("receipt: it is for another manifest of recording %s", m.ID)
	case r.Received.IsZero():
		return fmt.Errorf("receipt: it does not say when the recording was received")
	case r.RetainUntil.Before(r.Received.Add(24 * time.Hour)):
		return fmt.Errorf("receipt: the centre would keep the recording for less than a day")
	}
	return nil
}

// Check says what is wrong with a seat's report of itself.
func (s *SeatState) Check() error {
	switch {
	case !printable(s.Agent) || !printable(s.State) || !printable(s.Firmware):
		return fmt.Errorf("seat state: a text is too long or not printable")
	case s.State == "":
		return fmt.Errorf("seat state: no state")
	case s.Since < 0 || s.Pending < 0:
		return fmt.Errorf("seat state: a negative figure")
	case len(s.Alarms) > maxAlarms:
		return fmt.Errorf("seat state: %d alarms, at most %d", len(s.Alarms), maxAlarms)
	}
	for _, a := range s.Alarms {
		if !printable(a) {
			return fmt.Errorf("seat state: an alarm is too long or not printable")
		}
	}
	return nil
}

func lowerHex(s string, bytes int) bool {
	if len(s) != 2*bytes || strings.ToLower(s) != s {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}

func printable(s string) bool {
	return len(s) <= maxText && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// clip keeps what a stranger sent short enough for an error.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}
