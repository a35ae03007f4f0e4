package media

import (
	"time"

	"deskset/audio/codec"
	"deskset/audio/pcm"
	"deskset/firmware/record"
)

// figuresEvery is how often a line publishes its jitter buffer's figures, in
// frames: once a second.
const figuresEvery = 50

// line is a leg at the pump, with what the pump keeps for it. Only the pump's
// goroutine uses it.
type line struct {
	leg    *Leg
	tap    Tap
	pump   *Pump
	active bool
	held   bool

	enc     codec.Encoder
	encFor  codec.Codec
	encRate int
	playout Playout
	playFor codec.Codec
	take    func(Packet)  // l.packet, bound once
	at      int64         // sample clock at the start of this frame
	now     time.Duration // leg's time at this frame
	past    record.Stats  // figures of the buffers before this one
	frames  int
}

func newLine(p *Pump, leg *Leg) *line {
	l := &line{leg: leg, pump: p, past: leg.buffered()}
	l.take = l.packet
	return l
}

// set applies a plan. Sound of before a pause is not played after it.
func (l *line) set(tap Tap, active, held bool) {
	if !active || held {
		l.dropPlayout()
	}
	l.tap, l.active, l.held = tap, active, held
}

func (l *line) dropPlayout() {
	if l.playout != nil {
		l.past = l.figures()
		l.leg.setBuffered(l.past)
	}
	l.playout, l.playFor = nil, codec.None
}

// figures are those of the line's buffers so far.
func (l *line) figures() record.Stats {
	s := l.past
	if l.playout != nil {
		var now record.Stats
		l.playout.Count(&now)
		s.Late += now.Late
		s.Concealed += now.Concealed
		s.FEC += now.FEC
		s.BufferMs = now.BufferMs
	}
	return s
}

// speak sends one frame of the agent, or lets a frame of time pass.
func (l *line) speak(p *Pump, at int64) {
	if l.tap != nil {
		l.tap.Tick(at)
	}
	c := l.leg.Codec()
	if !l.active || l.held || c == codec.None || !l.leg.Direction().Sends() {
		l.leg.Send(codec.None, nil)
		return
	}
	if !l.ready(c) {
		l.leg.Send(codec.None, nil)
		return
	}
	n, err := l.enc.Encode(p.enc[:], p.mic[:])
	if err != nil {
		p.log.Error("media: encode", "codec", c, "error", err)
		l.leg.Send(codec.None, nil)
		return
	}
	l.leg.Send(c, p.enc[:n])
	if l.tap != nil {
		l.tap.Agent(c, p.enc[:n], at)
	}
}

// ready makes the encoder when the codec or the wished rate is a new one.
func (l *line) ready(c codec.Codec) bool {
	rate := l.pump.cfg.Bitrate
	if want := l.leg.Bitrate(); want > 0 && (rate == 0 || want < rate) {
		rate = min(want, codec.DefaultBitrate)
		if l.pump.cfg.Bitrate > 0 {
			rate = want
		}
	}
	if l.enc != nil && l.encFor == c && l.encRate == rate {
		return true
	}
	enc, err := c.NewEncoder(rate)
	if err != nil {
		l.pump.log.Error("media: make encoder", "codec", c, "error", err)
		return false
	}
	l.enc, l.encFor, l.encRate = enc, c, rate
	return true
}

// listen takes what has come since the last frame.
func (l *line) listen(at int64) {
	l.at = at
	l.now = l.leg.Age()
	l.leg.Drain(l.take)
}

// packet takes one packet of the far end.
func (l *line) packet(p Packet) {
	if l.tap != nil {
		p.At = l.at - int64(l.now-p.Arrival)*pcm.Rate/int64(time.Second)
		l.tap.Customer(p)
	}
	if !l.active || l.held {
		return
	}
	if l.playFor != p.Codec {
		l.dropPlayout()
		b, err := l.pump.cfg.NewPlayout(p.Codec)
		if err != nil {
			l.pump.log.Error("media: make playout", "codec", p.Codec, "error", err)
			return
		}
		l.playout, l.playFor = b, p.Codec
	}
	l.playout.Put(p)
}

// play puts the next frame of the far end into the ear.
func (l *line) play(p *Pump) {
	if l.playout == nil || l.held {
		return
	}
	l.playout.Play(p.ear[:], l.now)
	if l.frames++; l.frames%figuresEvery == 0 {
		l.leg.setBuffered(l.figures())
	}
}

func (l *line) release() {
	l.dropPlayout()
	if err := l.leg.Release(); err != nil {
		l.pump.log.Debug("media: leg not released", "error", err)
	}
}
