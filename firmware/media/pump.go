package media

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"deskset/audio/codec"
	"deskset/audio/limiter"
	"deskset/audio/meter"
	"deskset/audio/pcm"
	"deskset/audio/tone"
	"deskset/firmware/record"
)

// Headset is the agent's ear and mouth and the clock of all sound. The pump
// calls it from one goroutine.
type Headset interface {
	// Wait returns when the next frame of 20 ms is due. It must go on at that
	// pace when no device is there. Its error ends the pump.
	Wait(ctx context.Context) error
	// ReadMic fills frame (960 samples, 48 kHz); false: nothing was there, and
	// frame holds silence.
	ReadMic(frame []int16) bool
	// WriteEar plays frame.
	WriteEar(frame []int16)
}

// Tap hears both sides of a call for its recording. It is called on the pump's
// goroutine: it must copy what it keeps and return at once, and must not call
// the pump or the leg.
type Tap interface {
	// Tick comes with every frame, also while nothing is sent: the call's time
	// passes.
	Tick(at int64)
	// Agent is a frame of the agent as it is sent; at is where its first sample
	// lies on the pump's clock, in samples at 48 kHz.
	Agent(c codec.Codec, payload []byte, at int64)
	// Customer is a packet as it came, in the order of arrival, with late and
	// repeated ones; p.At is when it came.
	Customer(p Packet)
}

// Playout turns received packets into an even stream of sound. The pump owns it
// from one goroutine.
type Playout interface {
	// Put takes a packet and copies what it keeps.
	Put(p Packet)
	// Play fills frame (960 samples, 48 kHz) with the next 20 ms, concealing
	// what is missing; now is the leg's time, as Packet.Arrival.
	Play(frame []int16, now time.Duration)
	// Count adds the buffer's figures (late, concealed, FEC, depth) to s.
	Count(s *record.Stats)
}

// PumpConfig is what a pump is made from.
type PumpConfig struct {
	Headset Headset
	Log     *slog.Logger // nil: none
	// Bitrate of Opus in bit/s; 0: the codec's own choice. A far end that wants
	// less gets less.
	Bitrate int
	// Ceiling of the limiter in dBFS, from the headset's calibration; 0: -6.
	Ceiling float64
	// NewPlayout replaces the jitter buffer; nil: the seat's own.
	NewPlayout func(codec.Codec) (Playout, error)
}

// alarmTime bounds an endless tone that was asked for once.
const alarmTime = 3 * time.Second

// Pump moves sound between the headset and the legs, both ways, on the one
// goroutine of Run, once a frame of the headset's clock. The other methods may
// be called from any goroutine and take effect at the next frame.
type Pump struct {
	cfg PumpConfig
	log *slog.Logger

	mu      sync.Mutex      // of those who command
	cued    []*cue          // to be played once
	waiting []chan struct{} // closed when the plan is followed
	plan    atomic.Pointer[plan]
	wake    chan struct{}
	running atomic.Bool
	ended   chan struct{} // closed when Run has returned

	micLevel, earLevel *meter.Meter
	parked             atomic.Bool
	clock              atomic.Int64 // samples

	// What only Run's goroutine uses.
	now      *plan
	lines    []*line
	active   *line
	loop     *tone.Tone
	loopKind tone.Kind
	cues     []*cue
	limit    *limiter.Limiter
	mic, ear [pcm.Frame]int16
	enc      [codec.MaxPayload]byte
}

// NewPump makes a pump. It starts nothing: Run does.
func NewPump(cfg PumpConfig) (*Pump, error) {
	if cfg.Headset == nil {
		return nil, errors.New("media pump: no headset")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Ceiling == 0 {
		cfg.Ceiling = -6
	}
	if cfg.NewPlayout == nil {
		cfg.NewPlayout = newPlayout
	}
	p := &Pump{cfg: cfg, log: cfg.Log, wake: make(chan struct{}, 1), ended: make(chan struct{}), limit: limiter.New(cfg.Ceiling)}
	p.micLevel, p.earLevel = meter.New(), meter.New()
	p.parked.Store(true)
	p.plan.Store(&plan{gain: 1})
	return p, nil
}

// Run moves sound until ctx ends, then lets go of the legs and returns ctx's
// error. With no leg and no tone it sleeps until there is one.
func (p *Pump) Run(ctx context.Context) error {
	if p.running.Swap(true) {
		return fmt.Errorf("%w: pump runs already", ErrState)
	}
	defer close(p.ended)
	defer p.letGo()
	for {
		p.follow()
		idle := p.idle()
		p.parked.Store(idle)
		if idle {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-p.wake:
			}
			continue
		}
		if err := p.cfg.Headset.Wait(ctx); err != nil {
			return err
		}
		p.follow()
		p.tick()
	}
}

func (p *Pump) idle() bool {
	return len(p.lines) == 0 && p.loop == nil && len(p.cues) == 0
}

// letGo gives every leg a reader of its own again.
func (p *Pump) letGo() {
	for _, l := range p.lines {
		l.release()
	}
	p.lines, p.active = nil, nil
}

// tick is one frame of both ways. The mouth goes first: its delay is the one
// that is ours alone.
func (p *Pump) tick() {
	at := p.clock.Add(pcm.Frame) - pcm.Frame
	p.cfg.Headset.ReadMic(p.mic[:])
	if p.now.mute {
		clear(p.mic[:])
	}
	p.micLevel.Add(p.mic[:])
	for _, l := range p.lines {
		l.speak(p, at)
	}
	for _, l := range p.lines {
		l.listen(at)
	}
	clear(p.ear[:])
	if p.active != nil {
		p.active.play(p)
	}
	p.mixTones()
	if p.now.gain != 1 {
		pcm.Gain(p.ear[:], p.now.gain)
	}
	p.limit.Process(p.ear[:])
	p.earLevel.Add(p.ear[:])
	p.cfg.Headset.WriteEar(p.ear[:])
	p.sweep()
}

// mixTones adds what only the agent is to hear.
func (p *Pump) mixTones() {
	if p.loop != nil && p.loop.Mix(p.ear[:]) {
		p.loop = nil
	}
	for i := 0; i < len(p.cues); {
		c := p.cues[i]
		if c.frames--; c.frames == 0 {
			c.tone.Stop()
		}
		if !c.tone.Mix(p.ear[:]) {
			i++
			continue
		}
		p.cues = append(p.cues[:i], p.cues[i+1:]...)
	}
}

// sweep forgets legs that were closed.
func (p *Pump) sweep() {
	for _, l := range p.lines {
		if l.leg.shut.Load() {
			p.change(func(n *plan) { n.without(l.leg) })
		}
	}
}
