package soundcard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"deskset/audio/pcm"
)

// virtual is a headset without hardware. A goroutine calls a stream's callbacks
// by the monotonic clock, as a device would.
type virtual struct {
	cfg     Config
	clock   *chanClock
	log     *slog.Logger
	mic     []int16 // 48 kHz mono
	at      int     // in mic; carries on where it was after an unplug
	ear     *earFile
	out     atomic.Bool   // unplugged
	plugged chan struct{} // poked by Plug and Unplug
}

// errNotVirtual is what Unplug and Plug say of a real headset.
var errNotVirtual = errors.New("only a virtual headset can be plugged by software")

// errAway is wrapped when there is nothing to open: to see that costs nothing.
var errAway = errors.New("headset away")

// errUnplugged is the reason why a device that is not there is not opened.
var errUnplugged = fmt.Errorf("%w: not plugged in", errAway)

func newVirtual(cfg Config, clk *chanClock, log *slog.Logger) (*virtual, error) {
	v := &virtual{cfg: cfg, clock: clk, log: log, plugged: make(chan struct{}, 1)}
	if cfg.MicFile == "" {
		return v, nil
	}
	mic, err := loadMic(cfg.MicFile)
	if err != nil {
		return nil, fmt.Errorf("virtual microphone: %w", err)
	}
	v.mic = mic
	return v, nil
}

// Unplug takes a virtual headset away, as if its cable had been pulled: its
// callbacks just stop.
func (c *Card) Unplug() error { return c.setPlugged(false) }

// Plug gives a virtual headset back.
func (c *Card) Plug() error { return c.setPlugged(true) }

func (c *Card) setPlugged(in bool) error {
	v, ok := c.opener.(*virtual)
	if !ok {
		return errNotVirtual
	}
	v.out.Store(!in)
	select {
	case v.plugged <- struct{}{}:
	default:
	}
	return nil
}

func (v *virtual) gone() bool                              { return v.out.Load() }
func (v *virtual) changed(context.Context) <-chan struct{} { return v.plugged }

func (v *virtual) open(mk func() *stream) (*stream, device, error) {
	if v.out.Load() {
		return nil, nil, errUnplugged
	}
	if v.cfg.EarFile != "" && v.ear == nil {
		ear, err := createEar(v.cfg.EarFile)
		if err != nil {
			return nil, nil, err
		}
		v.ear = ear
	}
	d := &virtualDevice{stop: make(chan struct{}), done: make(chan struct{})}
	s := mk()
	go v.play(s, d)
	return s, d, nil
}

func (v *virtual) release() {
	if v.ear == nil {
		return
	}
	if err := v.ear.close(); err != nil {
		v.log.Warn("virtual ear", "err", err)
	}
	v.ear = nil
}

type virtualDevice struct{ stop, done chan struct{} }

func (d *virtualDevice) close() {
	close(d.stop)
	<-d.done
}

// play is the device's thread: a period each way every PeriodMs, by a schedule
// that does not drift. A process that was held up for long does not hurry after.
func (v *virtual) play(s *stream, d *virtualDevice) {
	defer close(d.done)
	period := time.Duration(v.cfg.PeriodMs) * time.Millisecond
	n := v.cfg.PeriodMs * pcm.Rate / 1000
	in, out := make([]int16, n), make([]int16, n*v.cfg.EarChannels)
	t := time.NewTimer(period)
	defer t.Stop()
	next := time.Now().Add(period)
	for {
		select {
		case <-d.stop:
			return
		case <-t.C:
		}
		if !v.out.Load() {
			v.read(in)
			v.clock.tick(s.capture(in))
			s.playback(out)
			v.heard(out)
		}
		now := time.Now()
		if next = next.Add(period); now.Sub(next) > time.Second {
			next = now.Add(period)
		}
		t.Reset(next.Sub(now))
	}
}

// read takes the next period from the microphone's file.
func (v *virtual) read(dst []int16) {
	for len(dst) > 0 {
		n := copy(dst, v.mic[v.at:])
		dst, v.at = dst[n:], v.at+n
		if v.at < len(v.mic) {
			continue
		}
		if v.cfg.MicOnce || len(v.mic) == 0 {
			clear(dst)
			return
		}
		v.at = 0
	}
}

// heard writes the left channel of what was played to the ear's file.
func (v *virtual) heard(out []int16) {
	if v.ear == nil {
		return
	}
	left := out[:len(out)/v.cfg.EarChannels]
	for i := range left {
		left[i] = out[i*v.cfg.EarChannels]
	}
	if err := v.ear.write(left); err != nil {
		v.log.Warn("virtual ear, nothing more is written", "err", err)
		_ = v.ear.close()
		v.ear = nil
	}
}

// earFile is the WAV file of a virtual ear; its header is brought up to date
// every second, so that it can be looked at while it grows.
type earFile struct {
	f    *os.File
	w    *pcm.WAVWriter
	held []int16
}

func createEar(name string) (*earFile, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("virtual ear: %w", err)
	}
	w, err := pcm.NewWAVWriter(f, pcm.Rate, 1)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("virtual ear: %w", err)
	}
	return &earFile{f: f, w: w, held: make([]int16, 0, pcm.Rate)}, nil
}

func (e *earFile) write(s []int16) error {
	e.held = append(e.held, s...)
	if len(e.held) < pcm.Rate {
		return nil
	}
	return e.flush()
}

func (e *earFile) flush() error {
	err := errors.Join(e.w.Write(e.held), e.w.Sync())
	e.held = e.held[:0]
	return err
}

func (e *earFile) close() error { return errors.Join(e.flush(), e.f.Close()) }
