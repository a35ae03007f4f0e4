package media

import "fmt"

// Direction is the direction of a leg's sound as seen from the seat (RFC 8866
// section 6.7). The zero Direction is Inactive.
type Direction uint8

const (
	Inactive Direction = 0
	SendOnly Direction = 1 // we hold the far end
	RecvOnly Direction = 2 // the far end holds us
	SendRecv Direction = SendOnly | RecvOnly
)

// Sends says whether the seat sends.
func (d Direction) Sends() bool { return d&SendOnly != 0 }

// Receives says whether the seat receives.
func (d Direction) Receives() bool { return d&RecvOnly != 0 }

// Reverse is the same direction seen from the other end.
func (d Direction) Reverse() Direction {
	return d>>1&1 | d&1<<1
}

// String is the name of the SDP attribute.
func (d Direction) String() string {
	switch d {
	case Inactive:
		return "inactive"
	case SendOnly:
		return "sendonly"
	case RecvOnly:
		return "recvonly"
	case SendRecv:
		return "sendrecv"
	}
	return fmt.Sprintf("direction(%d)", uint8(d))
}

// directionOf reads the name of an SDP attribute.
func directionOf(name string) (Direction, bool) {
	switch name {
	case "inactive":
		return Inactive, true
	case "sendonly":
		return SendOnly, true
	case "recvonly":
		return RecvOnly, true
	case "sendrecv":
		return SendRecv, true
	}
	return 0, false
}
