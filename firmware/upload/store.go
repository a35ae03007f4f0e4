// Package upload brings sealed recordings to the centre: oldest first, resumed
// where they stopped, and never at the cost of a call. A recording counts as
// delivered only by a receipt that the centre has signed for exactly it.
package upload

import (
	"io"

	"deskset/firmware/fleet"
)

// Store is where sealed recordings wait. The vault is the real one. All
// methods may be called from the uploader's goroutine while recordings are
// being made.
type Store interface {
	// List names the closed recordings that have no receipt yet, in any order.
	List() ([]Recording, error)
	// Manifest is the signed manifest (signed.Manifest), the same bytes each time.
	Manifest(id string) ([]byte, error)
	// OpenPart opens one sealed file of a recording.
	OpenPart(id string, n int, kind fleet.Kind) (Part, error)
	// Receipted keeps the verified receipt durably. From its return on the
	// recording is no longer listed.
	Receipted(id string, receipt []byte) error
	// Changed returns a channel that receives, or is closed, once List may have
	// grown. It may be lossy, as a channel of capacity one is, but the last
	// change must come through.
	Changed() <-chan struct{}
}

// Recording is one that waits to be uploaded.
type Recording struct {
	ID  string
	Seq uint64 // order of making
}

// Part is an open sealed file; *os.File is one.
type Part interface {
	io.ReaderAt
	io.Closer
}
