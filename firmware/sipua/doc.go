// Package sipua is the seat's SIP user agent: one account, one reliable flow
// to one PBX over WebSocket (RFC 7118), kept registered (RFC 3261 section 10,
// RFC 5626) and carrying the dialogs of the seat's calls. A seat with two PBXs
// runs two of them.
//
// The package speaks signalling only: session descriptions pass through it as
// bytes. What happens is told by one ordered channel of events that drops
// nothing; what the seat wants is asked by small methods of [Call] that may be
// called from any goroutine and, with the exception of [Call.Reinvite], return
// without waiting for the network.
//
// Dialogs outlive the flow: when the WebSocket breaks in a call the call stays,
// the user agent comes back with the same instance and reg-id, says
// Registered{Recovered: true}, and the seat then refreshes each call by
// [Call.Reinvite]. A BYE or CANCEL that found no answer before the break is
// sent again on the new flow, so no call is left behind at the PBX.
package sipua
