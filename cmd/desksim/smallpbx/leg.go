package smallpbx

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"deskset/audio/codec"
	"deskset/cmd/desksim/smallpbx/rtplite"
	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/emiago/sipgo/sip"
	"github.com/pion/rtp"
)

// leg is one party in a call: its dialog and its media.
type leg struct {
	c      *core
	user   string // extension, or the number that a caller gave
	name   string
	caller bool // it called us
	media  media
	out    *sender
	route  atomic.Pointer[link] // where its sound goes

	// A seat's dialog follows its instance to a new WebSocket.
	instance string
	viaWS    bool

	done chan struct{}

	// Guarded by core.mu.
	dialog *siplite.Dialog
	in     *siplite.Incoming // of a caller that is not answered yet
	flow   siplite.Flow      // last seen
	peer   *leg
	app    string // the application it is in: "600", "queue" ...
	up     bool
	ended  bool
	hold   rtplite.Direction // what it last asked for
	tone   context.CancelFunc
	giveUp context.CancelFunc // cancels its INVITE
}

// newLeg makes a leg with its media.
func (c *core) newLeg(user, name string, webRTC bool) (*leg, error) {
	l := &leg{c: c, user: user, name: name, done: make(chan struct{}), hold: rtplite.SendRecv}
	var err error
	if webRTC {
		l.media, err = newRTCMedia(c.mediaIP, c.cfg, l.received, l.mediaFailed)
	} else {
		l.media, err = newPlainMedia(c.mediaIP, c.cfg.Codecs, l.received)
	}
	if err != nil {
		return nil, err
	}
	l.out = newSender(l.media, !webRTC)
	c.mu.Lock()
	dead := c.dead
	if !dead {
		c.legs[l] = struct{}{}
	}
	c.mu.Unlock()
	if dead {
		l.media.close()
		return nil, ErrNotRunning
	}
	return l, nil
}

// mediaFailed ends the call of a seat that is not there any more. It waits for
// nothing: pion calls it.
func (l *leg) mediaFailed() {
	l.c.start(func() { l.hangup("its media is gone") })
}

// received takes one RTP packet from the leg's peer.
func (l *leg) received(p *rtp.Packet) {
	to := l.route.Load()
	if to == nil || len(p.Payload) == 0 {
		return
	}
	a, ok := l.media.agreed()
	if !ok {
		return
	}
	q := inPacket{ssrc: p.SSRC, seq: p.SequenceNumber, ts: p.Timestamp, marker: p.Marker, payload: p.Payload}
	if clock, ok := a.events[p.PayloadType]; ok {
		q.clock = clock
	} else if q.codec, ok = a.codecs[p.PayloadType]; !ok {
		return
	}
	to.deliver(q)
}

// findFlow is the way to the leg's peer now. A seat is waited for while its
// WebSocket is down.
func (l *leg) findFlow(ctx context.Context) (siplite.Flow, error) {
	for {
		l.c.pbx.mu.Lock()
		changed := l.c.pbx.changed
		l.c.pbx.mu.Unlock()
		l.c.mu.Lock()
		if l.viaWS && l.instance != "" {
			if b := l.c.findLocked(l.user, l.instance); b != nil {
				l.flow = b.flow
			}
		}
		f := l.flow
		l.c.mu.Unlock()
		if ws, ok := f.(*wsFlow); !ok || ws.alive() {
			return f, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, siplite.ErrFlowGone
		case <-l.c.ctx.Done():
			return nil, siplite.ErrClosed
		}
	}
}

func (l *leg) dialogConfig() siplite.DialogConfig {
	return siplite.DialogConfig{Flow: l.findFlow, Contact: l.c.contact, Handle: l.request}
}

// contact is the PBX's own target on a flow.
func (c *core) contact(f siplite.Flow) sip.Uri {
	u := siplite.UserURI("pbx", f.Local())
	if t := f.Transport(); t != "UDP" {
		u.UriParams.Add("transport", "ws")
	}
	return u
}

// answer accepts a calling leg's INVITE with 200.
func (l *leg) answer(ctx context.Context) error {
	l.c.mu.Lock()
	in := l.in
	l.c.mu.Unlock()
	if in == nil {
		return nil // it is up
	}
	sdp, err := l.media.answer(ctx, in.Req.Body())
	if err != nil {
		in.Respond(sip.StatusNotAcceptableHere, "", nil)
		return fmt.Errorf("answer %s: %w", mask(l.user), err)
	}
	l.c.mu.Lock()
	if l.ended {
		l.c.mu.Unlock()
		return errors.New("the caller is gone")
	}
	l.in, l.up = nil, true
	l.c.mu.Unlock()
	l.out.renegotiated()
	in.Respond(sip.StatusOK, "", sdp, l.dialog.ContactHeader(in.Flow), allow(),
		sip.NewHeader("Supported", "replaces, outbound"), sip.NewHeader("Content-Type", "application/sdp"))
	l.c.start(func() { // a caller that never ACKs is no call
		select {
		case <-in.Acked():
		case <-l.done:
		case <-l.c.ctx.Done():
		case <-time.After(siplite.Timeout):
			l.hangup("no ACK")
		}
	})
	l.c.pbx.bump()
	return nil
}

// early starts a calling leg's media before it is answered, by a 183.
func (l *leg) early(ctx context.Context) error {
	l.c.mu.Lock()
	in := l.in
	l.c.mu.Unlock()
	sdp, err := l.media.answer(ctx, in.Req.Body())
	if err != nil {
		in.Respond(sip.StatusNotAcceptableHere, "", nil)
		return err
	}
	l.out.renegotiated()
	in.Respond(183, "", sdp, l.dialog.ContactHeader(in.Flow), sip.NewHeader("Content-Type", "application/sdp"))
	return nil
}

// hangup ends the leg from our side: BYE, CANCEL, or a refusal of its INVITE.
func (l *leg) hangup(why string) {
	l.c.mu.Lock()
	up, in, giveUp := l.up, l.in, l.giveUp
	l.c.mu.Unlock()
	if !l.finish(why) {
		return
	}
	switch {
	case in != nil:
		in.Respond(sip.StatusTemporarilyUnavailable, "", nil)
		l.dialog.Close()
	case up:
		if !l.c.start(l.bye) {
			l.dialog.Close()
		}
	case giveUp != nil:
		giveUp()
	}
}

// bye says goodbye, to a seat that is reconnecting too.
func (l *leg) bye() {
	defer l.dialog.Close()
	ctx, cancel := context.WithTimeout(l.c.ctx, siplite.Timeout)
	defer cancel()
	for {
		_, err := l.dialog.Request(ctx, sip.BYE, nil, nil)
		if !errors.Is(err, siplite.ErrFlowGone) || ctx.Err() != nil {
			return // answered (481 is as good: the BYEs crossed), or never to be
		}
	}
}

// finish takes the leg out of everything, once; its peer is hung up.
func (l *leg) finish(why string) bool {
	l.c.mu.Lock()
	if l.ended {
		l.c.mu.Unlock()
		return false
	}
	l.ended = true
	peer := l.peer
	l.unbridge()
	delete(l.c.legs, l)
	l.c.mu.Unlock()
	l.c.log.Info("leg ended", "leg", mask(l.user), "why", why)
	close(l.done)
	if !l.c.start(l.media.close) {
		l.media.close()
	}
	if peer != nil {
		peer.hangup("the other side ended")
	}
	l.c.pbx.bump()
	return true
}

// drop ends the leg without a word, when the PBX is killed.
func (l *leg) drop() {
	l.c.mu.Lock()
	ended := l.ended
	l.ended = true
	if !ended {
		l.unbridge()
		delete(l.c.legs, l)
	}
	l.c.mu.Unlock()
	if !ended {
		close(l.done)
		l.media.close()
	}
}

// bridge lets two legs speak to each other.
func (c *core) bridge(a, b *leg) bool {
	c.mu.Lock()
	defer c.pbx.bump()
	defer c.mu.Unlock()
	if a.ended || b.ended {
		return false
	}
	a.unbridge()
	b.unbridge()
	a.app, b.app = "", ""
	a.peer, b.peer = b, a
	a.wire()
	b.wire()
	return true
}

// unbridge takes the leg off its peer and stops its tone. With core.mu.
func (l *leg) unbridge() {
	if p := l.peer; p != nil {
		l.peer, p.peer = nil, nil
		p.route.Store(nil)
		p.quiet()
	}
	l.route.Store(nil)
	l.quiet()
}

// wire sets where the leg's sound goes, from who is bridged and who holds. With
// core.mu.
func (l *leg) wire() {
	p := l.peer
	if p == nil {
		return
	}
	// While either side holds, neither hears the other; who is held hears music.
	holding := l.hold != rtplite.SendRecv
	held := p.hold != rtplite.SendRecv
	if holding || held {
		l.route.Store(nil)
	} else if l.route.Load() == nil || l.route.Load().to != p.out {
		l.route.Store(&link{to: p.out})
	}
	if held && !holding {
		s := sound(holdTone)
		if l.c.cfg.Hold == HoldSilent {
			s = silence
		}
		l.sing(s)
	} else {
		l.quiet()
	}
}

// sing plays a sound to the leg until quiet. With core.mu.
func (l *leg) sing(s sound) {
	if l.tone != nil || l.ended || l.c.dead {
		return
	}
	ctx, cancel := context.WithCancel(l.c.ctx)
	l.tone = cancel
	l.c.wg.Go(func() { play(ctx, l.out, s) })
}

// quiet stops the tone. With core.mu.
func (l *leg) quiet() {
	if l.tone != nil {
		l.tone()
		l.tone = nil
	}
}

// mask shows no more of a number than tells legs apart.
func mask(user string) string {
	if len(user) <= 4 {
		return user
	}
	return "***" + user[len(user)-2:]
}

// codecName is for Calls.
func (l *leg) codecName() string {
	if a, ok := l.out.format(); ok {
		return a.send.Codec.Name()
	}
	return codec.None.Name()
}
