package jitter

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"deskset/audio/codec"
	"deskset/audio/pcm"
)

// rig plays numbered packets through a Buffer with a clock of its own, and
// writes down what comes: the packets' numbers, f for FEC, c for concealed,
// . for silence, n for comfort noise.
type rig struct {
	b    *Buffer
	now  time.Duration
	log  strings.Builder
	last int64
	t    *testing.T
}

func newRig(t *testing.T, fec bool) *rig {
	cfg := Config{ClockRate: 48000}
	if fec {
		cfg.HasFEC = func([]byte) bool { return true }
	}
	return &rig{b: New(cfg), t: t, last: -1}
}

// put is packet n of 20 ms, arriving now; its payload is its number.
func (r *rig) put(n int) {
	r.b.Put(Packet{SSRC: 1, Seq: uint16(n), TS: uint32(n * 960), Payload: fmt.Append(nil, n), Arrival: r.now})
}

// ticks plays n ticks.
func (r *rig) tick(n int) {
	for range n {
		r.now += tick
		r.b.Tick(r.now)
		for got := 0; got < 960; {
			f := r.b.Get()
			if f.Samples <= 0 {
				r.t.Fatalf("frame of %d samples: %+v", f.Samples, f)
			}
			got += f.Samples
			switch f.Kind {
			case Normal:
				if f.TS <= r.last {
					r.t.Fatalf("time went back from %d to %d", r.last, f.TS)
				}
				r.last = f.TS
				fmt.Fprintf(&r.log, "%s ", f.Payload)
			case FEC:
				r.log.WriteString("f ")
			case Conceal:
				r.log.WriteString("c ")
			case Silence:
				r.log.WriteString(". ")
			case Comfort:
				fmt.Fprintf(&r.log, "n%d ", f.Level)
			}
		}
	}
}

// flow is packets from..to-1, each with a tick after it.
func (r *rig) flow(from, to int) {
	for n := from; n < to; n++ {
		r.put(n)
		r.tick(1)
	}
}

func (r *rig) want(s string) {
	r.t.Helper()
	if got := strings.TrimSpace(r.log.String()); got != s {
		r.t.Errorf("played %q, want %q", got, s)
	}
	r.log.Reset()
}

func TestStart(t *testing.T) {
	r := newRig(t, false)
	r.tick(2)
	r.want(". .")
	r.flow(0, 4)
	r.want(". 0 1 2") // 40 ms over the fastest
}

func TestReorderDuplicateLate(t *testing.T) {
	r := newRig(t, false)
	r.flow(0, 10)
	r.log.Reset()
	r.put(11) // 8 is the next that is due
	r.put(10)
	r.put(10)
	r.put(11)
	r.put(9) // again, while it is held
	r.tick(3)
	r.put(5) // played long ago
	r.put(13)
	r.tick(1)
	r.put(14)
	r.tick(1)
	r.put(12) // its place was concealed
	r.put(15)
	r.tick(2)
	r.want("9 10 11 c 13 14 15")
	s := r.b.Stats()
	if s.Duplicates != 4 || s.Late != 1 || s.Lost != 0 || s.Received != 16 {
		t.Errorf("%+v", s)
	}
}

func TestLossIsFilled(t *testing.T) {
	r := newRig(t, true)
	r.flow(0, 10)
	r.log.Reset()
	r.put(10)
	r.put(14)
	r.put(15)
	r.tick(7)
	r.want("9 10 c c f 14 15")
	if s := r.b.Stats(); s.Lost != 3 || s.FEC != 1 || s.Concealed != 2 {
		t.Errorf("%+v", s)
	}
}

// What is only late is heard, later; what was lost meanwhile is not waited for.
func TestUnderrun(t *testing.T) {
	r := newRig(t, false)
	r.flow(0, 10)
	r.log.Reset()
	r.tick(3)
	for n := 10; n < 14; n++ {
		r.put(n)
	}
	r.tick(4)
	r.want("9 c c 10 11 12 13")
	if s := r.b.Stats(); s.Underruns != 1 || s.Late != 0 {
		t.Errorf("%+v", s)
	}

	r = newRig(t, false)
	r.flow(0, 10)
	r.log.Reset()
	r.tick(3)
	r.put(12) // 10 and 11 are lost
	r.tick(1)
	r.want("9 c c 12")
}

func TestLongLossIsSilence(t *testing.T) {
	r := newRig(t, false)
	r.flow(0, 10)
	r.log.Reset()
	r.tick(60)
	r.want("9 c c c c c" + strings.Repeat(" .", 54))
	r.flow(70, 74)
	r.want("70 71 72 73")
}

// A sender that pauses counts its time on, but not its sequence.
func TestPause(t *testing.T) {
	r := newRig(t, false)
	r.flow(0, 10)
	r.log.Reset()
	r.tick(20)
	for n := 30; n < 33; n++ {
		r.b.Put(Packet{SSRC: 1, Seq: uint16(n - 20), TS: uint32(n * 960), Payload: fmt.Append(nil, n), Arrival: r.now})
		r.tick(1)
	}
	r.want("9 c c c c c" + strings.Repeat(" .", 14) + " 30 31 32")
	if s := r.b.Stats(); s.Lost != 0 || s.Jumps != 0 {
		t.Errorf("%+v", s)
	}
}

func TestComfortNoise(t *testing.T) {
	r := newRig(t, false)
	r.flow(0, 10)
	r.log.Reset()
	r.b.Put(Packet{SSRC: 1, Seq: 10, TS: 10 * 960, Payload: []byte{50, 1, 2}, Comfort: true, Arrival: r.now})
	r.tick(4)
	r.b.Put(Packet{SSRC: 1, Seq: 11, TS: 14 * 960, Payload: []byte("x"), Arrival: r.now})
	r.b.Put(Packet{SSRC: 1, Seq: 12, TS: 15 * 960, Payload: []byte("y"), Arrival: r.now + tick})
	r.tick(3)
	r.want("9 n50 n50 n50 n50 x y")
	if s := r.b.Stats(); s.Concealed != 0 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
}

func TestSenderBeginsAnew(t *testing.T) {
	for name, leap := range map[string]func(p *Packet){
		"another SSRC":      func(p *Packet) { p.SSRC = 77; p.Seq += 30000; p.TS += 1 << 30 },
		"sequence":          func(p *Packet) { p.Seq += 20000 },
		"sequence back":     func(p *Packet) { p.Seq -= 2000 },
		"time stamp":        func(p *Packet) { p.TS += 1 << 30 },
		"time stamp back":   func(p *Packet) { p.TS -= 1 << 30 },
		"both":              func(p *Packet) { p.Seq += 9999; p.TS -= 48000 * 5 },
		"half the circle":   func(p *Packet) { p.Seq += 1 << 15; p.TS += 1 << 31 },
		"only just in SSRC": func(p *Packet) { p.SSRC = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, false)
			r.flow(0, 20)
			for n := 20; n < 60; n++ {
				p := Packet{SSRC: 1, Seq: uint16(n), TS: uint32(n * 960), Payload: fmt.Append(nil, n), Arrival: r.now}
				leap(&p)
				r.b.Put(p)
				r.tick(1)
			}
			got := r.log.String()
			r.log.Reset()
			if !strings.Contains(got, "18 19 ") || !strings.HasSuffix(got, "55 56 57 58 59 ") && !strings.HasSuffix(got, "55 56 57 58 ") {
				t.Errorf("played %q", got)
			}
			if n := strings.Count(got, "c"); n > 2 {
				t.Errorf("%d concealed: %q", n, got)
			}
			if s := r.b.Stats(); s.Lost != 0 || s.Jumps != 1 || s.Late > 0 || s.Discarded > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// One stray packet is not a new sender.
func TestStray(t *testing.T) {
	r := newRig(t, false)
	r.flow(0, 10)
	r.b.Put(Packet{SSRC: 99, Seq: 5, TS: 5, Payload: []byte("stray"), Arrival: r.now})
	r.flow(10, 20)
	r.b.Put(Packet{SSRC: 1, Seq: 40000, TS: 5, Payload: []byte("stray"), Arrival: r.now})
	r.flow(20, 30)
	if got := r.log.String(); strings.Contains(got, "stray") || strings.Contains(got, "c") {
		t.Errorf("played %q", got)
	}
	if s := r.b.Stats(); s.Jumps != 0 || s.Received != 30 {
		t.Errorf("%+v", s)
	}
}

// On hold nobody ticks, whether packets come or not.
func TestHold(t *testing.T) {
	for _, sending := range []bool{false, true} {
		r := newRig(t, false)
		r.flow(0, 20)
		for n := 20; n < 1020; n++ {
			if sending {
				r.put(n)
			}
			r.now += tick
		}
		r.log.Reset()
		r.flow(1020, 1040)
		got := r.log.String()
		if !strings.HasSuffix(got, "1036 1037 1038 1039 ") && !strings.HasSuffix(got, "1035 1036 1037 1038 ") {
			t.Errorf("sending %v: played %q", sending, got)
		}
		if n := strings.Count(got, "c"); n > 3 {
			t.Errorf("sending %v: %d concealed", sending, n)
		}
	}
}

// A stall of seconds, then all at once: what is too old is dropped, and the
// delay is back within bounds.
func TestFlood(t *testing.T) {
	r := newRig(t, false)
	r.flow(0, 50)
	for range 100 {
		r.tick(1)
	}
	for n := 50; n < 150; n++ {
		r.put(n)
	}
	r.log.Reset()
	r.flow(150, 170)
	if d := r.b.delay(r.b.next) - r.b.late.base(); d > 540*ms {
		t.Errorf("delay %v after a stall: %s", d, r.log.String())
	}
	if s := r.b.Stats(); s.Discarded == 0 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	for n := range 10000 { // never drained
		r.put(170 + n)
	}
	if len(r.b.q) > slots || cap(r.b.free) > 4*slots {
		t.Errorf("%d packets held", len(r.b.q))
	}
}

// Packets of other durations, and a change of them in a call.
func TestDurations(t *testing.T) {
	p, err := NewPlayout(codec.PCMU, Config{})
	if err != nil {
		t.Fatal(err)
	}
	src := encoded()[codec.PCMU]
	var all []byte
	for _, b := range src {
		all = append(all, b...)
	}
	dst := make([]int16, pcm.Frame)
	sent, seq := 0, uint16(0)
	now := time.Duration(0)
	heard := 0
	for range 600 {
		now += tick
		size := map[int]int{0: 80, 1: 160, 2: 240, 3: 320, 4: 480}[sent/16000%5]
		for time.Duration(sent+size)*time.Second/8000 <= now {
			at := sent % (len(all) - 960)
			p.Put(Packet{SSRC: 1, Seq: seq, TS: uint32(sent), Payload: all[at : at+size], Arrival: now})
			sent, seq = sent+size, seq+1
		}
		p.Tick(dst, now)
		if pcm.RMS(dst) > -60 {
			heard++
		}
	}
	s := p.Stats()
	if s.Lost != 0 || s.Late != 0 || s.Discarded != 0 || s.Concealed > 12 {
		t.Errorf("%+v", s)
	}
	if heard < 250 {
		t.Errorf("sound in %d ticks", heard)
	}
	t.Logf("%+v", s)
}

func TestMalformed(t *testing.T) {
	if codec.OpusVersion() == "" {
		t.Skip(codec.ErrNoOpus)
	}
	p, err := NewPlayout(codec.Opus, Config{})
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]int16, pcm.Frame)
	for n := range 50 {
		pay := encoded()[codec.Opus][n]
		switch n % 10 {
		case 3:
			pay = []byte{3} // no frame count
		case 5:
			pay = nil
		case 7:
			pay = make([]byte, maxBytes+1)
		}
		p.Put(Packet{Seq: uint16(n), TS: uint32(n * 960), Payload: pay, Arrival: time.Duration(n) * tick})
		p.Tick(dst, time.Duration(n)*tick)
	}
	if s := p.Stats(); s.Discarded != 15 {
		t.Errorf("%+v", s)
	}
}

func TestNoAllocs(t *testing.T) {
	for _, c := range codecs() {
		p, err := NewPlayout(c, Config{})
		if err != nil {
			t.Fatal(err)
		}
		src := encoded()[c]
		dst := make([]int16, pcm.Frame)
		n, now := 0, time.Duration(0)
		step := func() {
			now += tick
			if n%17 != 5 && n%50 < 45 {
				p.Put(Packet{Seq: uint16(n), TS: uint32(n) * c.FrameTicks(), Payload: src[n%len(src)], Arrival: now - time.Duration(n*7919%15)*ms})
			}
			p.Tick(dst, now)
			n++
		}
		for range 1000 {
			step()
		}
		if a := testing.AllocsPerRun(500, step); a != 0 {
			t.Errorf("%s: %v allocations a tick", c, a)
		}
	}
}

func BenchmarkTick(b *testing.B) {
	p, _ := NewPlayout(codec.Opus, Config{})
	src := encoded()[codec.Opus]
	dst := make([]int16, pcm.Frame)
	n, now := 0, time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		now += tick
		p.Put(Packet{Seq: uint16(n), TS: uint32(n * 960), Payload: src[n%len(src)], Arrival: now})
		p.Tick(dst, now)
		n++
	}
}
