package phone

import (
	"slices"
	"sync"
	"time"

	"deskset/audio/codec"
	"deskset/cmd/desksim/smallpbx/rtplite"

	"github.com/pion/rtp"
)

// Stats counts what a call received.
type Stats struct {
	Packets    int // audio packets
	Late       int // came after their successor
	Reanchored int // SSRC changes and timestamp jumps
	SSRCs      int
	Unknown    int // packets of a payload type that was never agreed
	// MaxGap is the longest time between two packets.
	MaxGap time.Duration
}

// jumpAfter is how far timestamps may disagree with arrival and sequence before
// they are taken to have jumped.
const jumpAfter = codec.Rate / 2

// maxConceal is how much of a gap is concealed, in samples: 60 ms. The rest is
// silent: a gap is mostly a pause of the sender.
const maxConceal = 3 * codec.Frame

// timeline is the sound of one direction of a call, put in its place by RTP
// time. Packets are kept as they came and decoded when asked for.
type timeline struct {
	mu     sync.Mutex
	start  time.Time
	codecs map[uint8]codec.Codec
	events map[uint8]bool
	keys   rtplite.Keys
	digits []byte
	st     Stats

	packets []placed
	anchor  anchor
	last    time.Time

	// What has been decoded: out, of the first done packets. A late packet that
	// belongs before them throws it away.
	out    []int16
	done   int
	dec    codec.Decoder
	stream int
	buf    []int16

	raw []int16 // of a timeline that is written as PCM
}

type placed struct {
	at      int64 // sample of the time line
	codec   codec.Codec
	stream  int // counts anchors: a decoder each
	payload []byte
}

// anchor ties one run of RTP timestamps to the time line.
type anchor struct {
	set    bool
	id     int
	ssrc   uint32
	codec  codec.Codec
	ts     uint32
	at     int64 // position of ts
	seq    uint16
	lastTS uint32
	lastAt time.Time
	newest int64
}

func (t *timeline) begin(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.start.IsZero() {
		t.start = at
	}
}

// formats adds what may come from now on: the peer may send any codec that it
// described and we have.
func (t *timeline) formats(d rtplite.Desc, ours []codec.Codec) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.codecs == nil {
		t.codecs, t.events = map[uint8]codec.Codec{}, map[uint8]bool{}
	}
	for _, f := range d.Formats {
		if slices.Contains(ours, f.Codec) {
			t.codecs[f.PT] = f.Codec
		}
	}
	// The peer answers with our numbers or offers its own: both are good.
	o := rtplite.Offer(d.Addr, ours, d.Dir)
	for _, f := range o.Formats {
		if _, ok := t.codecs[f.PT]; !ok {
			t.codecs[f.PT] = f.Codec
		}
	}
	for _, e := range slices.Concat(d.Events, o.Events) {
		if _, ok := t.codecs[e.PT]; !ok {
			t.events[e.PT] = true
		}
	}
}

// put takes one packet.
func (t *timeline) put(p *rtp.Packet, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.events[p.PayloadType] {
		if k, ok := t.keys.Packet(p.Timestamp, p.Payload); ok {
			t.digits = append(t.digits, k)
		}
		return
	}
	c, ok := t.codecs[p.PayloadType]
	if !ok || len(p.Payload) == 0 {
		t.st.Unknown++
		return
	}
	at := t.place(p, c, now)
	t.st.Packets++
	if !t.last.IsZero() {
		t.st.MaxGap = max(t.st.MaxGap, now.Sub(t.last))
	}
	t.last = now
	q := placed{at, c, t.anchor.id, slices.Clone(p.Payload)}
	i := len(t.packets)
	for i > 0 && t.packets[i-1].at > at {
		i--
	}
	if i < len(t.packets) {
		t.st.Late++
		if i < t.done {
			t.out, t.done, t.dec = t.out[:0], 0, nil
		}
	}
	t.packets = slices.Insert(t.packets, i, q)
}

// place gives the packet's position.
func (t *timeline) place(p *rtp.Packet, c codec.Codec, now time.Time) int64 {
	a := &t.anchor
	scale := int64(codec.Rate / c.ClockRate())
	arrival := int64(now.Sub(t.start) * codec.Rate / time.Second)
	if a.set && a.ssrc == p.SSRC && a.codec == c {
		at := a.at + int64(int32(p.Timestamp-a.ts))*scale
		byTS := int64(int32(p.Timestamp-a.lastTS)) * scale
		bySeq := int64(int16(p.SequenceNumber-a.seq)) * codec.Frame
		byArrival := int64(now.Sub(a.lastAt) * codec.Rate / time.Second)
		if abs(byTS-bySeq) <= jumpAfter || abs(byTS-byArrival) <= jumpAfter {
			if bySeq > 0 {
				a.seq, a.lastTS, a.lastAt = p.SequenceNumber, p.Timestamp, now
			}
			a.newest = max(a.newest, at)
			return max(at, 0)
		}
		// A jump: time goes on as the sequence numbers say.
		arrival = a.newest + max(bySeq, codec.Frame)
	} else if a.set {
		arrival = max(arrival, a.newest+codec.Frame)
	}
	if a.set {
		t.st.Reanchored++
	}
	if !a.set || a.ssrc != p.SSRC {
		t.st.SSRCs++
	}
	*a = anchor{set: true, id: a.id + 1, ssrc: p.SSRC, codec: c, ts: p.Timestamp, at: max(arrival, 0),
		seq: p.SequenceNumber, lastTS: p.Timestamp, lastAt: now, newest: max(arrival, 0)}
	return a.at
}

func abs(n int64) int64 { return max(n, -n) }

func (t *timeline) dtmf() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.digits)
}

func (t *timeline) stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.st
}

// pcm appends a frame to a timeline that is written as PCM.
func (t *timeline) pcm(frame []int16) {
	t.mu.Lock()
	t.raw = append(t.raw, frame...)
	t.mu.Unlock()
}

// silence appends a silent frame.
func (t *timeline) silence() {
	t.mu.Lock()
	t.raw = append(t.raw, make([]int16, codec.Frame)...)
	t.mu.Unlock()
}

// render is the whole time line so far.
func (t *timeline) render() ([]int16, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.raw != nil {
		return slices.Clone(t.raw), t.start
	}
	for _, p := range t.packets[t.done:] {
		t.done++
		t.decode(p)
	}
	return slices.Clone(t.out), t.start
}

// decode appends one packet, in the order of the time line.
func (t *timeline) decode(p placed) {
	if t.dec == nil || p.stream != t.stream {
		d, err := p.codec.NewDecoder()
		if err != nil {
			return
		}
		t.dec, t.stream = d, p.stream
	}
	if t.buf == nil {
		t.buf = make([]int16, codec.MaxSamples)
	}
	if gap := p.at - int64(len(t.out)); gap > 0 {
		t.out = conceal(t.out, t.dec, gap)
	}
	n, err := t.dec.Decode(t.buf, p.payload)
	if err != nil {
		return
	}
	// A packet that overlaps what stands (a duplicate, a jump back by a few
	// samples) gives only what is new.
	skip := min(int64(len(t.out))-p.at, int64(n))
	t.out = append(t.out, t.buf[max(skip, 0):n]...)
}

// conceal appends gap samples: the decoder's guess for a moment, then silence.
func conceal(out []int16, dec codec.Decoder, gap int64) []int16 {
	const quantum = 120
	guess := min(gap, maxConceal) / quantum * quantum
	if len(out) == 0 {
		guess = 0 // before the first packet there is nothing to go on
	}
	n := len(out)
	out = append(out, make([]int16, gap)...)
	if guess > 0 && dec.Conceal(out[n:n+int(guess)]) != nil {
		clear(out[n:])
	}
	return out
}
