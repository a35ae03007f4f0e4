// Package recording puts both legs of a call on one time line and gives it to
// the vault as Ogg Opus, a page a second.
//
// The time line is the headset's sample clock, cut into slots of 20 ms. The
// agent's packets take the slot of the tick that sent them; the customer's are
// placed by their RTP time, so what came out of order or too late to be heard
// is still kept. A page is stored when its second is over; packets that come
// within Late after that replace it.
package recording

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"deskset/audio/codec"
	"deskset/audio/oggopus"
	"deskset/firmware/record"
)

const (
	slotLen = oggopus.SlotSamples         // samples at 48 kHz
	pageLen = slotLen * oggopus.PageSlots // one second
	grace   = 3 * slotLen                 // a page waits so long for packets under way
	late    = 3 * pageLen / 2             // and may be replaced so long
)

// PauseMax is how long nothing is written before the recording resumes by
// itself.
const PauseMax = 60 * time.Second

const pauseSlots = int64(PauseMax / (20 * time.Millisecond))

// Store takes what is recorded. *vault.Recording is one. Its methods must not
// block.
type Store interface {
	VoiceHead(func() []byte)
	Voice(page []byte, dur time.Duration) (place uint64)
	Amend(place uint64, page []byte) bool
	Facts(line []byte)
}

// Config of a Recorder. Store and Wall are needed.
type Config struct {
	Store Store
	// Wall is the time of the facts, and whether it may be believed.
	Wall func() (t time.Time, trusted bool)
	Log  *slog.Logger // nil: none
	// NewDecoder and NewEncoder make what transcoding needs; nil: audio/codec.
	NewDecoder func(codec.Codec) (codec.Decoder, error)
	NewEncoder func() (codec.Encoder, error)
}

// Packet is one RTP packet of the customer's.
type Packet struct {
	Codec   codec.Codec
	SSRC    uint32
	Seq     uint16
	TS      uint32 // in ticks of the codec's clock
	Payload []byte // copied
	At      int64  // arrival, samples at 48 kHz on the clock that Agent uses
}

// Recorder records one call. Agent, Customer and Tick come from the goroutine
// that runs the sound; the rest may be called from any.
type Recorder struct {
	cfg Config

	mu      sync.Mutex
	began   bool
	ended   bool
	origin  int64 // sample clock at the start of the time line
	now     int64 // samples since then
	ogg     *oggopus.Writer
	pages   []*page // those that may still change, in order
	first   int64   // number of pages[0]
	sealed  int64   // pages stored so far
	legs    [2]leg
	sources []*source
	hold    spans
	pause   spans
}

// Leg numbers, in the order of the channels.
const (
	agentLeg = iota
	customerLeg
)

var legNames = [2]string{"agent", "customer"}

type leg struct {
	heard bool  // anything came
	first int64 // slot taken first
	last  int64 // newest slot taken
	trans transcoder
	gaps  gaps
	late  int // packets too late for the page
}

// New makes a Recorder; the time line begins with the first Agent, Customer or
// Tick.
func New(cfg Config) *Recorder {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.NewDecoder == nil {
		cfg.NewDecoder = codec.Codec.NewDecoder
	}
	if cfg.NewEncoder == nil {
		cfg.NewEncoder = func() (codec.Encoder, error) { return codec.Opus.NewEncoder(0) }
	}
	r := &Recorder{cfg: cfg, ogg: oggopus.NewWriter(rand.Uint32())}
	for i := range r.legs {
		r.legs[i].last = -1
		r.legs[i].trans = transcoder{cfg: &r.cfg}
	}
	head := r.ogg.Head()
	cfg.Store.VoiceHead(func() []byte { return head })
	return r
}

// Fact notes something that happened now: At, Clock and Ms are filled in.
// Held and Resumed also tell the recorder that silence is expected.
func (r *Recorder) Fact(f record.Fact) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch f.Kind {
	case record.Held:
		if !r.hold.on {
			r.hold.begin(r.now / slotLen)
		}
	case record.Resumed:
		if r.hold.on {
			r.hold.end(r.now/slotLen + 1)
		}
	}
	f.Ms = r.ms()
	r.fact(f)
}

// fact with its own Ms.
func (r *Recorder) fact(f record.Fact) {
	var trusted bool
	f.At, trusted = r.cfg.Wall()
	f.Clock = "untrusted"
	if trusted {
		f.Clock = "trusted"
	}
	line, err := record.Marshal(f)
	if err != nil {
		r.cfg.Log.Error("fact cannot be written", "kind", f.Kind, "err", err)
		return
	}
	r.cfg.Store.Facts(line)
}

func (r *Recorder) ms() int64 {
	if !r.began {
		return -1
	}
	return toMs(r.now)
}

func toMs(samples int64) int64 { return samples / 48 }

// Position on the time line, 0 before it begins.
func (r *Recorder) Position() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.now) * time.Second / 48000
}

// Agent takes the packet that was sent at the tick at, in samples at 48 kHz.
func (r *Recorder) Agent(c codec.Codec, payload []byte, at int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.advance(at) {
		return
	}
	l := &r.legs[agentLeg]
	pos := (at - r.origin + slotLen/2) / slotLen * slotLen
	if next := (l.last + 1) * slotLen; l.heard && pos < next && next-pos <= 2*slotLen {
		pos = next // two ticks in one slot: the clock was corrected
	}
	r.take(agentLeg, c, payload, pos)
}

// Customer takes a packet as it came, in any order.
func (r *Recorder) Customer(p Packet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.advance(p.At) {
		return
	}
	if pos, ok := r.place(p); ok {
		r.take(customerLeg, p.Codec, p.Payload, pos)
	}
}

// Tick moves the time line on when nothing is sent or received.
func (r *Recorder) Tick(at int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(at)
}

// take a packet that begins at pos, bit for bit where it can be.
func (r *Recorder) take(n int, c codec.Codec, payload []byte, pos int64) {
	l := &r.legs[n]
	if !l.heard {
		l.heard, l.first = true, pos/slotLen
	}
	if why := transcodeWhy(c, payload); why != "" {
		l.trans.span(r, n, pos, why)
		for _, f := range l.trans.feed(c, payload, pos) {
			r.put(n, f.slot, f.pkt)
		}
		return
	}
	l.trans.exact(r, n, pos)
	r.put(n, (pos+slotLen/2)/slotLen, append([]byte(nil), payload...))
}

// End stores what is left, with the end mark. Nothing is taken afterwards.
func (r *Recorder) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || !r.began {
		r.ended = true
		return
	}
	if r.pause.on {
		r.resume("seat", r.now/slotLen+1)
	}
	for n := range r.legs {
		for _, f := range r.legs[n].trans.flush() {
			r.put(n, f.slot, f.pkt)
		}
		r.legs[n].trans.exact(r, n, r.now)
		if late := r.legs[n].late; late > 0 {
			r.cfg.Log.Info("packets came too late to be kept", "leg", legNames[n], "packets", late)
		}
	}
	r.finish()
	r.ended = true
}
