package soundcard

// #cgo linux LDFLAGS: -Wl,--wrap=dlsym
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"github.com/gen2brain/malgo"

	"deskset/audio/pcm"
)

// hardware opens real sound cards through miniaudio.
//
// Traps of malgo v0.11.24 that its order of calls answers:
//   - DeviceInfo of a PulseAudio device that is not there ends the process (a
//     null pointer in miniaudio); so presence is looked up in the list.
//   - A failed InitDevice leaks its connection to the server, and so does a
//     failed InitContext; so both are asked only when they should succeed.
//   - Uninit alone hangs if the card is gone (ALSA) or the server (PulseAudio);
//     Stop wakes its thread first.
//   - No Stop callback comes when a device vanishes; the watchdog of Card looks
//     at the callbacks instead.
type hardware struct {
	cfg   Config
	cards string                  // the kernel's list of sound cards
	ctx   *malgo.AllocatedContext // kept from try to try while the server answers
}

func newMalgo(cfg Config) *hardware { return &hardware{cfg: cfg, cards: asound} }

func (h *hardware) gone() bool {
	return h.cfg.Backend == ALSA && (!alsaThere(h.cards, h.cfg.Capture) || !alsaThere(h.cards, h.cfg.Playback))
}

func (h *hardware) changed(ctx context.Context) <-chan struct{} {
	if h.cfg.Backend != ALSA {
		return nil
	}
	return watchUevents(ctx)
}

func (h *hardware) release() {
	if h.ctx != nil {
		closeContext(h.ctx)
		h.ctx = nil
	}
}

func (h *hardware) open(mk func() *stream) (*stream, device, error) {
	if err := h.there(); err != nil {
		return nil, nil, err
	}
	s := mk()
	d := &hardDevice{stream: s}
	// Most periods go to C without these (callback.c).
	capture := func(_, in []byte, _ uint32) { s.capture(samples(in)) }
	playback := func(out, _ []byte, _ uint32) { s.playback(samples(out)) }
	mic, err := h.start(malgo.Capture, h.cfg.Capture, 1, capture, s.side(true))
	d.mic = mic
	if err == nil {
		d.ear, err = h.start(malgo.Playback, h.cfg.Playback, h.cfg.EarChannels, playback, s.side(false))
	}
	if err != nil {
		s.dead.Store(1)
		d.close()
		if h.cfg.Backend == Pulse {
			h.release() // the server may be gone
		}
		return nil, nil, err
	}
	// The context goes with its devices: if one of them hangs, so does it.
	d.ctx, h.ctx = h.ctx, nil
	return s, d, nil
}

// samples is the view of a device's buffer as 16-bit samples.
func samples(b []byte) []int16 {
	if len(b) < 2 {
		return nil
	}
	return unsafe.Slice((*int16)(unsafe.Pointer(&b[0])), len(b)/2)
}

// there returns nil if both ids exist now; for it, h.ctx is open.
func (h *hardware) there() error {
	if h.cfg.Backend == ALSA {
		if h.gone() {
			return errUnplugged
		}
		return h.connect()
	}
	if err := h.connect(); err != nil {
		return err
	}
	for kind, id := range map[malgo.DeviceType]string{malgo.Capture: h.cfg.Capture, malgo.Playback: h.cfg.Playback} {
		all, err := h.ctx.Devices(kind)
		if err != nil {
			h.release()
			return fmt.Errorf("list PulseAudio's devices: %w", err)
		}
		if !slices.ContainsFunc(all, func(d malgo.DeviceInfo) bool { return idText(d.ID) == id }) {
			return errUnplugged
		}
	}
	return nil
}

func (h *hardware) connect() error {
	if h.ctx != nil {
		return nil
	}
	ctx, err := openContext(h.cfg.Backend, h.cfg.Server)
	h.ctx = ctx
	return err
}

// openContext loads the sound library and connects to the sound server.
func openContext(backend, server string) (*malgo.AllocatedContext, error) {
	b := malgo.Backend(malgo.BackendAlsa)
	var cfg malgo.ContextConfig
	var pin runtime.Pinner // miniaudio copies the strings
	defer pin.Unpin()
	if backend == Pulse {
		if err := probeServer(server); err != nil {
			return nil, fmt.Errorf("%w: PulseAudio does not answer: %w", errAway, err)
		}
		b = malgo.BackendPulseaudio
		cfg.Pulse.PApplicationName = cString(&pin, "deskset")
		if server != "" {
			cfg.Pulse.PServerName = cString(&pin, server)
		}
	}
	ctx, err := malgo.InitContext([]malgo.Backend{b}, cfg, nil)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", backend, err)
	}
	return ctx, nil
}

func closeContext(ctx *malgo.AllocatedContext) {
	_ = ctx.Uninit()
	ctx.Free()
}

func cString(pin *runtime.Pinner, s string) *byte {
	p := &append([]byte(s), 0)[0]
	pin.Pin(p)
	return p
}

// side is one direction of a headset: a device and its user data.
type side struct {
	dev  *malgo.Device
	user unsafe.Pointer
}

// start opens one direction and starts it. user may be nil: then all periods go
// through data. It is freed with the side, or here on failure.
func (h *hardware) start(kind malgo.DeviceType, id string, channels int, data malgo.DataProc, user unsafe.Pointer) (*side, error) {
	d := &side{user: user}
	var raw malgo.DeviceID
	if copy(raw[:len(raw)-1], id) != len(id) {
		d.close()
		return nil, fmt.Errorf("%w: %q is too long", ErrID, id)
	}
	var pin runtime.Pinner
	pin.Pin(&raw)
	defer pin.Unpin()
	cfg := malgo.DefaultDeviceConfig(kind)
	cfg.SampleRate = pcm.Rate
	cfg.PeriodSizeInMilliseconds = uint32(h.cfg.PeriodMs)
	cfg.NoPreSilencedOutputBuffer, cfg.NoClip = 1, 1
	if user != nil {
		cfg.PUserData, cfg.NotificationCallback = (*byte)(user), notification()
	}
	sub := malgo.SubConfig{DeviceID: unsafe.Pointer(&raw), Format: malgo.FormatS16, Channels: uint32(channels)}
	if kind == malgo.Capture {
		cfg.Capture = sub
		cfg.Pulse.StreamNameCapture = "microphone"
	} else {
		cfg.Playback = sub
		cfg.Pulse.StreamNamePlayback = "ear"
	}
	var err error
	d.dev, err = malgo.InitDevice(h.ctx.Context, cfg, malgo.DeviceCallbacks{Data: data})
	if err != nil {
		d.dev = nil
		d.close()
		return nil, fmt.Errorf("open %s: %w", id, err)
	}
	if err := d.dev.Start(); err != nil {
		d.close()
		return nil, fmt.Errorf("start %s: %w", id, err)
	}
	return d, nil
}

// close may hang.
func (d *side) close() {
	if d == nil {
		return
	}
	if d.dev != nil {
		_ = d.dev.Stop() // first, or Uninit may wait for ever
		d.dev.Uninit()
	}
	freeSide(d.user)
}

// hardDevice is both directions and the connection they were made on.
type hardDevice struct {
	stream   *stream // must outlive the devices
	mic, ear *side
	ctx      *malgo.AllocatedContext
}

func (d *hardDevice) close() {
	d.mic.close()
	d.ear.close()
	if d.ctx != nil {
		closeContext(d.ctx)
	}
	runtime.KeepAlive(d.stream)
}

// idText is the id as text: both backends keep a C string in it.
func idText(id malgo.DeviceID) string {
	n := slices.Index(id[:], 0)
	return string(id[:max(n, 0)])
}
