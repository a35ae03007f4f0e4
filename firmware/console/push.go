package console

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"deskset/firmware/panel"
)

// How often a page hears of the seat at most, and how long one write may take
// before its reader is given up.
const (
	viewGap   = 50 * time.Millisecond
	levelsGap = 100 * time.Millisecond
	writeTime = 5 * time.Second
)

// levelsMessage is sent when nothing but the headset's levels has changed.
type levelsMessage struct {
	Type  string  `json:"type"`   // "levels"
	MicDB float64 `json:"mic_db"` // dBFS, whole
	EarDB float64 `json:"ear_db"`
}

// byeMessage is the last one: the pairing has ended and the page must empty.
type byeMessage struct {
	Type   string `json:"type"` // "bye"
	Reason string `json:"reason"`
}

// pusher tells one page of the seat: every change, but many as one, and never
// to a session that has lost the right to see.
type pusher struct {
	seat  Seat
	door  *door
	sess  *session
	now   func() time.Time
	write func(context.Context, []byte) error // one message

	seq    uint64
	view   string // as last sent, levels apart
	levels [2]float64
}

// run ends with the session's reason, or with an error: the context's, or that
// of a write that failed or took too long.
func (p *pusher) run(ctx context.Context) (reason string, err error) {
	changed, stop := p.seat.Changed()
	defer stop()
	levels := time.NewTicker(levelsGap)
	defer levels.Stop()
	gap := time.NewTimer(viewGap)
	defer gap.Stop()

	again := true // the view must be looked at as a whole
	for {
		v := visible(p.seat.View())
		if !p.door.maySee(p.sess, v.Agent) {
			<-p.sess.gone
			return p.sess.reason, nil
		}
		seq := p.seq
		if err := p.tell(ctx, v, again); err != nil {
			return "", err
		}
		if p.seq > seq { // the next view waits, and is all that changed meanwhile
			gap.Reset(viewGap)
			select {
			case <-ctx.Done():
				return "", ctx.Err()
			case <-p.sess.gone:
				return p.sess.reason, nil
			case <-gap.C:
			}
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-p.sess.gone:
			return p.sess.reason, nil
		case <-changed:
			again = true
		case <-levels.C:
			again = false
		}
	}
}

// tell sends what the page does not know yet.
func (p *pusher) tell(ctx context.Context, v panel.View, whole bool) error {
	levels := [2]float64{round(v.Headset.MicDB), round(v.Headset.EarDB)}
	v.Headset.MicDB, v.Headset.EarDB = levels[0], levels[1]
	var message any
	if whole {
		bare := v
		bare.Headset.MicDB, bare.Headset.EarDB = 0, 0
		b, err := json.Marshal(bare)
		if err != nil {
			return fmt.Errorf("encode the view: %w", err)
		}
		if string(b) != p.view {
			p.view = string(b)
			p.seq++
			message = viewMessage{"view", p.seq, p.now(), p.sess.until, v}
		}
	}
	if message == nil && levels != p.levels {
		message = levelsMessage{"levels", levels[0], levels[1]}
	}
	p.levels = levels
	if message == nil {
		return nil
	}
	return p.send(ctx, message)
}

func (p *pusher) send(ctx context.Context, message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	if err := p.write(ctx, b); err != nil {
		return fmt.Errorf("write to the page: %w", err)
	}
	return nil
}

// round keeps a level's whole dB; JSON knows no infinity.
func round(db float64) float64 {
	if math.IsNaN(db) {
		return -96
	}
	return math.Round(max(-96, min(db, 20)))
}
