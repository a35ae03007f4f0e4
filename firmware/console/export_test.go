package console

import (
	"context"
	"time"
)

// What tests outside this package need: consoletest imports it, so they cannot
// be inside.

var DecodeAction, EncodeAction = decodeAction, encodeAction

// Page is one page's end of a pusher.
type Page struct {
	Run func(context.Context) (reason string, err error)
	End func(reason string)
	See func(agent string)
}

func NewPage(seat Seat, agent string, write func(context.Context, []byte) error) Page {
	d := &door{now: time.Now}
	d.sess = &session{began: time.Now(), until: time.Now().Add(sessionLife), gone: make(chan struct{}), agent: agent}
	p := &pusher{seat: seat, door: d, sess: d.sess, now: time.Now, write: write}
	return Page{Run: p.run, End: d.drop, See: d.see}
}

// Allower is a limiter for "ask" of any peer.
func Allower(now func() time.Time) func(peer string) bool {
	l := &limiter{now: now}
	return func(peer string) bool { return l.allow(askAtAll, peer) }
}

const MaxPeers = maxPeers

var NewBounded = newBounded

const MaxPeerConns = maxPeerConns
