package jitter

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"deskset/audio/codec"
	"deskset/audio/pcm"
)

// network is a deterministic model of a path.
type network struct {
	loss     float64                                            // of packets
	burst    int                                                // packets lost together
	delay    func(at time.Duration, r *rand.Rand) time.Duration // one way
	ppm      float64                                            // the sender's clock against ours
	fifo     bool                                               // the path keeps the order
	packetMs int
	codec    codec.Codec
	seconds  int
	fixed    time.Duration
}

type outcome struct {
	Stats
	ticks     int
	delay     []time.Duration // mouth to ear less the fastest packet's way, each tick
	click     int
	concealed float64 // of ticks
}

// voice-like: a pulse train of wandering pitch through resonances, with pauses.
func speech(n int) []int16 {
	s := make([]int16, n)
	r := rand.New(rand.NewPCG(8, 8))
	var y1, y2, z1, z2, phase float64
	for i := range s {
		t := float64(i) / 48000
		x := 0.0
		if phase += (120 + 30*math.Sin(2*t)) / 48000; phase > 1 {
			phase--
			x = 1
		}
		if math.Sin(2*math.Pi*t/1.7) < -0.6 {
			x = 0
		}
		x += 0.001 * r.NormFloat64()
		f := 2 * math.Pi * (500 + 200*math.Sin(3*t)) / 48000
		y := x + 2*0.99*math.Cos(f)*y1 - 0.99*0.99*y2
		y1, y2 = y, y1
		g := 2 * math.Pi * (1500 + 400*math.Sin(5*t)) / 48000
		z := x + 2*0.985*math.Cos(g)*z1 - 0.985*0.985*z2
		z1, z2 = z, z1
		s[i] = pcm.Clamp32(float32(600*y + 400*z))
	}
	return s
}

// run sends speech over the network into a Playout. Ticks come every 20 ms by
// our clock, as does the socket's draining; nothing here looks at the real one.
func run(t testing.TB, w network) outcome {
	t.Helper()
	if w.codec == codec.None {
		w.codec = codec.Opus
	}
	if w.packetMs == 0 {
		w.packetMs = 20
	}
	cfg := Config{}
	if w.fixed > 0 {
		cfg.Fixed, cfg.Start = true, w.fixed
	}
	p, err := NewPlayout(w.codec, cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 5))
	enc, err := w.codec.NewEncoder(0)
	if err != nil {
		t.Fatal(err)
	}
	enc.SetLoss(max(10, int(100*w.loss)))
	voice := speech(48000)

	// Packets, with when they come and when they were spoken.
	var pkts []Packet
	frames := w.seconds * 50
	left := 0
	var newest time.Duration
	fastest := time.Duration(math.MaxInt64)
	for i := range frames {
		from := i * pcm.Frame % len(voice)
		buf := make([]byte, codec.MaxPayload)
		n, err := enc.Encode(buf, voice[from:from+pcm.Frame])
		if err != nil {
			t.Fatal(err)
		}
		spoken := time.Duration(float64(i+1) * 20e6 * (1 - w.ppm/1e6))
		d := w.delay(spoken, r)
		if left == 0 && r.Float64() < w.loss/float64(max(w.burst, 1)) {
			left = max(w.burst, 1)
		}
		if left > 0 {
			left--
			continue
		}
		fastest = min(fastest, d)
		at := spoken + d
		if w.fifo {
			at = max(at, newest)
			newest = at
		}
		pkts = append(pkts, Packet{
			SSRC: 1, Seq: uint16(65000 + i), TS: uint32(4294900000 + i*int(w.codec.FrameTicks())), Payload: buf[:n], Arrival: at,
		})
	}
	sort.SliceStable(pkts, func(i, j int) bool { return pkts[i].Arrival < pkts[j].Arrival })

	var out outcome
	dst := make([]int16, pcm.Frame)
	phase := 7 * time.Millisecond
	for tick := 0; tick < frames; tick++ {
		now := time.Duration(tick)*20*time.Millisecond + phase
		for len(pkts) > 0 && pkts[0].Arrival <= now {
			p.Put(pkts[0])
			pkts = pkts[1:]
		}
		p.Tick(dst, now)
		out.ticks++
		if s := p.buf; s.placed {
			// The sample played now was spoken at next-held on the sender's clock.
			spoken := time.Duration(float64(s.time(s.next)-duration(len(p.held))-20*time.Millisecond) * (1 - w.ppm/1e6))
			out.delay = append(out.delay, now-spoken-fastest)
		}
	}
	out.Stats = p.Stats()
	out.concealed = float64(out.Concealed) / float64(out.ticks)
	return out
}

func (o outcome) percentile(q float64) time.Duration {
	d := append([]time.Duration(nil), o.delay...)
	sort.Slice(d, func(i, j int) bool { return d[i] < d[j] })
	return d[int(q*float64(len(d)-1))]
}

const ms = time.Millisecond

func steady(d time.Duration) func(time.Duration, *rand.Rand) time.Duration {
	return func(time.Duration, *rand.Rand) time.Duration { return d }
}

// gamma-like: most packets near the fastest, a tail.
func tail(base, mean time.Duration) func(time.Duration, *rand.Rand) time.Duration {
	return func(_ time.Duration, r *rand.Rand) time.Duration {
		return base + time.Duration(r.ExpFloat64()*float64(mean))
	}
}

func TestNetworks(t *testing.T) {
	for name, w := range map[string]network{
		"clean":           {delay: steady(30 * ms)},
		"5 % loss":        {delay: steady(30 * ms), loss: .05},
		"10 % loss":       {delay: steady(30 * ms), loss: .10},
		"bursts of 4":     {delay: steady(30 * ms), loss: .05, burst: 4},
		"jitter 10":       {delay: tail(30*ms, 10*ms)},
		"jitter 10 fifo":  {delay: tail(30*ms, 10*ms), fifo: true},
		"jitter 30":       {delay: tail(30*ms, 30*ms), fifo: true},
		"jitter 10, loss": {delay: tail(30*ms, 10*ms), loss: .05},
		"+200 ppm":        {delay: steady(30 * ms), ppm: 200, seconds: 120},
		"-200 ppm":        {delay: steady(30 * ms), ppm: -200, seconds: 120},
		"PCMU jitter 10":  {delay: tail(30*ms, 10*ms), codec: codec.PCMU},
		"handover up": {delay: func(at time.Duration, r *rand.Rand) time.Duration {
			if at > 10*time.Second {
				return 110*ms + time.Duration(r.IntN(5))*ms
			}
			return 30*ms + time.Duration(r.IntN(5))*ms
		}},
		"spikes": {delay: func(at time.Duration, r *rand.Rand) time.Duration {
			// Every 5 s the path stands still for 200 ms, then all comes at once.
			in := at % (5 * time.Second)
			if in < 200*ms {
				return 30*ms + 200*ms - in
			}
			return 30 * ms
		}, fifo: true},
	} {
		if w.seconds == 0 {
			w.seconds = 30
		}
		o := run(t, w)
		w.fixed = 60 * ms
		f := run(t, w)
		t.Logf("%-16s conceal %.1f%% fec %d late %d disc %d under %d short %v long %v | delay p50 %v p95 %v max %v end %v target %v | fixed60: conceal %.1f%% fec %d late %d p50 %v",
			name, 100*o.concealed, o.FEC, o.Late, o.Discarded, o.Underruns, o.Shortened.Milliseconds(), o.Lengthened.Milliseconds(), o.percentile(.5)/ms, o.percentile(.95)/ms, o.percentile(1)/ms, o.delay[len(o.delay)-1]/ms, o.Target/ms,
			100*f.concealed, f.FEC, f.Late, f.percentile(.5)/ms)
	}
}
