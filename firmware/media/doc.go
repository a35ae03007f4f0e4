// Package media carries the sound of a call: one WebRTC audio leg a call (Leg)
// and the loop that moves sound between the headset and the leg (Pump).
//
// A Leg is ICE (RFC 8445, full agent, one host candidate), DTLS-SRTP (RFC 5763,
// RFC 5764) and RTP/RTCP on one UDP socket (RFC 3550, RFC 5761), set up by an
// SDP of our own profile. It is built on pion's modules but not on its
// PeerConnection, because wake-ups are what a call costs: once media flows the
// socket leaves the runtime's poller, and the Pump empties it, decrypts,
// decodes, encodes and sends on one goroutine, once a frame of the headset's
// clock. Only STUN and DTLS, which come every few seconds, pass to pion's
// goroutines.
//
// What leaves the seat: RTP with the encoder's payloads, telephone events, RTCP
// reports. The seat's own tones are mixed after the tap and the encoder and can
// never reach the customer's leg.
package media
