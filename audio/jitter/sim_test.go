package jitter

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"deskset/audio/codec"
	"deskset/audio/pcm"
)

const ms = time.Millisecond

// network is a deterministic model of a path.
type network struct {
	name    string
	loss    float64 // of packets
	burst   int     // packets lost together
	delay   delayModel
	fifo    bool    // the path keeps the order
	ppm     float64 // the sender's clock against ours
	codec   codec.Codec
	seconds int // default 20
}

type delayModel func(at time.Duration, r *rand.Rand) time.Duration

func steady(d time.Duration) delayModel {
	return func(time.Duration, *rand.Rand) time.Duration { return d }
}

// tail is most packets near the fastest, and a long tail.
func tail(base, mean time.Duration) delayModel {
	return func(_ time.Duration, r *rand.Rand) time.Duration {
		return base + time.Duration(r.ExpFloat64()*float64(mean))
	}
}

// outcome is how a stream was heard.
type outcome struct {
	Stats
	ticks   int
	delay   []time.Duration // from the end of a packet's sound to the ear, less the fastest way, each tick
	rescued int             // lost packets whose successor came and carried FEC
	needs   []time.Duration // how much slower than the fastest each packet was
	sent    int
}

// concealed is the share of ticks.
func (o outcome) concealed() float64 { return float64(o.Concealed) / float64(o.ticks) }

func (o outcome) percentile(q float64) time.Duration {
	d := slices.Clone(o.delay)
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))]
}

// fixed is what a buffer of fixed depth would conceal.
func (o outcome) fixed(depth time.Duration) float64 {
	n := o.sent - len(o.needs)
	for _, d := range o.needs {
		if d > depth {
			n++
		}
	}
	return float64(n) / float64(o.sent)
}

// voice is a pulse train of wandering pitch through two resonances, with pauses.
func voice(n int) []int16 {
	s := make([]int16, n)
	r := rand.New(rand.NewPCG(8, 8))
	var y1, y2, z1, z2, phase float64
	for i := range s {
		t := float64(i) / rate
		x := 0.001 * r.NormFloat64()
		if phase += (120 + 30*math.Sin(2*t)) / rate; phase > 1 {
			phase--
			if math.Sin(2*math.Pi*t/1.7) > -0.6 {
				x++
			}
		}
		f := 2 * math.Pi * (500 + 200*math.Sin(3*t)) / rate
		y := x + 2*0.99*math.Cos(f)*y1 - 0.99*0.99*y2
		y1, y2 = y, y1
		g := 2 * math.Pi * (1500 + 400*math.Sin(5*t)) / rate
		z := x + 2*0.985*math.Cos(g)*z1 - 0.985*0.985*z2
		z1, z2 = z, z1
		s[i] = pcm.Clamp32(float32(600*y + 400*z))
	}
	return s
}

// codecs are those that this build has.
func codecs() []codec.Codec {
	if codec.OpusVersion() == "" {
		return []codec.Codec{codec.PCMU}
	}
	return []codec.Codec{codec.Opus, codec.PCMU}
}

// encoded is 5 s of voice in each codec, made once.
var encoded = sync.OnceValue(func() map[codec.Codec][][]byte {
	v := voice(5 * rate)
	out := map[codec.Codec][][]byte{}
	for _, c := range codecs() {
		enc, err := c.NewEncoder(0)
		if err != nil {
			panic(err)
		}
		for at := 0; at < len(v); at += pcm.Frame {
			buf := make([]byte, codec.MaxPayload)
			n, err := enc.Encode(buf, v[at:at+pcm.Frame])
			if err != nil {
				panic(err)
			}
			out[c] = append(out[c], buf[:n])
		}
	}
	return out
})

// run sends voice over the network into a Playout, ticks coming every 20 ms by
// our clock, as does the draining of the socket.
func run(t testing.TB, w network) outcome {
	t.Helper()
	if w.codec == codec.None {
		w.codec = codec.Opus
	}
	if w.codec == codec.Opus && codec.OpusVersion() == "" {
		t.Skip(codec.ErrNoOpus)
	}
	if w.seconds == 0 {
		w.seconds = 20
	}
	p, err := NewPlayout(w.codec, Config{})
	if err != nil {
		t.Fatal(err)
	}
	var out outcome
	pkts, fastest := send(w, &out)
	dst := make([]int16, pcm.Frame)
	for out.ticks = range out.sent {
		now := time.Duration(out.ticks)*tick + 7*ms
		for len(pkts) > 0 && pkts[0].Arrival <= now {
			p.Put(pkts[0])
			pkts = pkts[1:]
		}
		p.Tick(dst, now)
		if b := p.buf; b.placed {
			end := b.time(b.next) - duration(len(p.held)) // of what is heard in this tick
			out.delay = append(out.delay, now-time.Duration(float64(end)*(1-w.ppm/1e6))-fastest)
		}
	}
	out.Stats = p.Stats()
	return out
}

// send gives the packets of w in the order they arrive.
func send(w network, out *outcome) (pkts []Packet, fastest time.Duration) {
	r := rand.New(rand.NewPCG(3, 5))
	payloads := encoded()[w.codec]
	fastest = math.MaxInt64
	var newest time.Duration
	left, lostBefore := 0, false
	out.sent = w.seconds * 50
	for i := range out.sent {
		spoken := time.Duration(float64(i+1) * 20e6 * (1 - w.ppm/1e6))
		at := spoken + w.delay(spoken, r)
		if left == 0 && r.Float64() < w.loss/float64(max(w.burst, 1)) {
			left = max(w.burst, 1)
		}
		if left > 0 {
			left--
			lostBefore = true
			continue
		}
		payload := payloads[i%len(payloads)]
		if lostBefore && codec.HasFEC(payload) {
			out.rescued++
		}
		lostBefore = false
		if w.fifo {
			at = max(at, newest)
			newest = at
		}
		fastest = min(fastest, at-spoken)
		out.needs = append(out.needs, at-spoken)
		pkts = append(pkts, Packet{ // both numbers wrap early on
			SSRC: 1, Seq: uint16(65400 + i), TS: uint32(math.MaxUint32-90000) + uint32(i*int(w.codec.FrameTicks())), Payload: payload, Arrival: at,
		})
	}
	for i := range out.needs {
		out.needs[i] -= fastest
	}
	sort.SliceStable(pkts, func(i, j int) bool { return pkts[i].Arrival < pkts[j].Arrival })
	return pkts, fastest
}
