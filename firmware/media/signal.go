package media

import (
	"context"
	"fmt"
	"slices"
)

// Offer makes the leg's first offer.
func (l *Leg) Offer(ctx context.Context) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.step != fresh {
		return nil, l.outOfTurn("offer")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := l.listen(); err != nil {
		return nil, err
	}
	l.loc.setup, l.loc.mid, l.loc.bundle = "actpass", "0", true
	l.loc.sections = []section{{media: "audio", proto: "UDP/TLS/RTP/SAVPF"}}
	l.loc.payloads = offered(l.cfg.Codecs)
	l.step = offering
	return l.loc.marshal(), nil
}

// SetAnswer takes the answer to Offer and starts to connect. After an error
// (ErrDescription) the call cannot be: release it.
func (l *Leg) SetAnswer(answer []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.step != offering {
		return l.outOfTurn("take an answer")
	}
	r, deal, err := l.readAnswer(answer)
	if err != nil {
		return err
	}
	l.client = r.setup == "passive"
	if r.setup == "actpass" {
		return fmt.Errorf("%w: answer with setup:actpass", ErrDescription)
	}
	l.rem, l.step = r, stable
	l.deal.Store(deal)
	return l.connect(r, true)
}

// Answer answers a first offer and starts to connect. An offer that cannot be
// used gives ErrDescription: answer it with 488.
func (l *Leg) Answer(ctx context.Context, offer []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.step != fresh {
		return nil, l.outOfTurn("answer")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := parseRemote(offer)
	if err != nil {
		return nil, err
	}
	loc := l.loc
	deal, err := l.answerWith(&loc, r)
	if err != nil {
		return nil, err
	}
	// RFC 8842 section 5.3: where we may choose we speak first, which saves a
	// round trip.
	l.client = r.setup != "active"
	loc.setup = "passive"
	if l.client {
		loc.setup = "active"
	}
	if err := l.listen(); err != nil {
		return nil, err
	}
	l.loc, l.rem, l.step = loc, r, stable
	l.deal.Store(deal)
	if err := l.connect(r, r.lite); err != nil {
		return nil, err
	}
	return l.loc.marshal(), nil
}

// Reoffer makes a later offer: the same description with another direction.
// SendOnly or Inactive holds the far end, SendRecv takes it back.
func (l *Leg) Reoffer(dir Direction) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reoffer(dir)
}

// Refresh makes a later offer that changes nothing, as when the seat's
// signalling came back from another port. Unlike Reoffer(l.Direction()) it does
// not make a hold of the far end's the seat's own.
func (l *Leg) Refresh() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reoffer(l.want)
}

func (l *Leg) reoffer(dir Direction) ([]byte, error) {
	if l.step != stable {
		return nil, l.outOfTurn("offer again")
	}
	l.before, l.want = l.want, dir
	l.loc.dir = dir
	l.loc.version++
	l.step = reoffering
	return l.loc.marshal(), nil
}

// SetReanswer takes the answer to Reoffer. After an error the description of
// before is in force.
func (l *Leg) SetReanswer(answer []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.step != reoffering {
		return l.outOfTurn("take an answer")
	}
	l.step = stable
	r, deal, err := l.readAnswer(answer)
	if err == nil {
		err = l.sameTransport(r)
	}
	if err != nil {
		l.want, l.loc.dir = l.before, l.deal.Load().dir
		return err
	}
	l.rem = r
	l.deal.Store(deal)
	return nil
}

// CancelReoffer forgets a Reoffer that was refused (491, 488, no answer): what
// was agreed before stands.
func (l *Leg) CancelReoffer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.step == reoffering {
		l.step = stable
		l.want = l.before
		l.loc.dir = l.deal.Load().dir
	}
}

// AnswerReoffer answers a later offer of the far end, who may hold us, take us
// back or change the codec. After an error (ErrDescription: answer 488) the
// description of before is in force.
func (l *Leg) AnswerReoffer(offer []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.step != stable {
		return nil, l.outOfTurn("answer an offer")
	}
	r, err := parseRemote(offer)
	if err != nil {
		return nil, err
	}
	if err := l.sameTransport(r); err != nil {
		return nil, err
	}
	loc := l.loc
	deal, err := l.answerWith(&loc, r)
	if err != nil {
		return nil, err
	}
	loc.setup = "passive"
	if l.client {
		loc.setup = "active"
	}
	loc.version++
	l.loc, l.rem = loc, r
	l.deal.Store(deal)
	return l.loc.marshal(), nil
}

// answerWith fills in our answer to an offer.
func (l *Leg) answerWith(loc *local, r *remote) (*agreed, error) {
	first, list, err := answerTo(l.cfg.Codecs, r)
	if err != nil {
		return nil, err
	}
	loc.mid, loc.bundle, loc.sections, loc.audio = r.mid, r.bundle, r.sections, r.audio
	loc.payloads = list
	loc.dir = l.want & r.dir.Reverse()
	loc.ssrc = l.ssrcFor(first)
	return newAgreed(first, list, r.payloads, loc.dir, loc.ssrc), nil
}

// readAnswer checks an answer against the offer that is out.
func (l *Leg) readAnswer(answer []byte) (*remote, *agreed, error) {
	r, err := parseRemote(answer)
	if err != nil {
		return nil, nil, err
	}
	if len(r.sections) != len(l.loc.sections) || r.audio != l.loc.audio {
		return nil, nil, fmt.Errorf("%w: answer has other media sections than the offer", ErrDescription)
	}
	first, err := firstOf(r, l.loc.payloads)
	if err != nil {
		return nil, nil, err
	}
	l.loc.ssrc = l.ssrcFor(first)
	return r, newAgreed(first, l.loc.payloads, r.payloads, l.loc.dir&r.dir.Reverse(), l.loc.ssrc), nil
}

// ssrcFor is the source to send a codec under: another clock is another source
// (RFC 7160 section 4.1).
func (l *Leg) ssrcFor(p payload) uint32 {
	if d := l.deal.Load(); d != nil && d.codec.ClockRate() != p.clock {
		return randomSSRC()
	}
	return l.loc.ssrc
}

// sameTransport refuses a later description that would need new keys or a new
// ICE generation.
func (l *Leg) sameTransport(r *remote) error {
	same := func(a, b fingerprint) bool { return a.hash == b.hash && slices.Equal(a.sum, b.sum) }
	if !slices.EqualFunc(l.rem.fingerprints, r.fingerprints, same) {
		return fmt.Errorf("%w: another certificate in a running call", ErrDescription)
	}
	if r.ufrag != l.rem.ufrag || r.pwd != l.rem.pwd {
		return fmt.Errorf("%w: ICE restart in a running call", ErrDescription)
	}
	if l.client && r.setup == "active" || !l.client && r.setup == "passive" {
		return fmt.Errorf("%w: DTLS roles changed in a running call", ErrDescription)
	}
	return nil
}

func (l *Leg) outOfTurn(what string) error {
	if l.step == closedLeg {
		return ErrClosed
	}
	return fmt.Errorf("%w: cannot %s now", ErrState, what)
}
