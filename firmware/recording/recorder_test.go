package recording

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"deskset/audio/codec"
	"deskset/audio/oggopus"
	"deskset/firmware/record"
)

// shelf is a Store in memory.
type shelf struct {
	head  []byte
	pages [][]byte
	durs  []time.Duration
	lines []byte
	old   map[uint64]bool // places that cannot be amended
}

func (s *shelf) VoiceHead(f func() []byte) { s.head = f() }
func (s *shelf) Voice(b []byte, d time.Duration) uint64 {
	s.pages, s.durs = append(s.pages, b), append(s.durs, d)
	return uint64(len(s.pages) - 1)
}
func (s *shelf) Amend(n uint64, b []byte) bool {
	if s.old[n] {
		return false
	}
	s.pages[n] = b
	return true
}
func (s *shelf) Facts(b []byte) { s.lines = append(s.lines, b...) }

func (s *shelf) ogg() []byte { return append(bytes.Clone(s.head), bytes.Join(s.pages, nil)...) }

func (s *shelf) facts(t *testing.T, kind record.Kind) (out []record.Fact) {
	t.Helper()
	all, err := record.Parse(s.lines)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Kind == kind {
			out = append(out, f)
		}
	}
	return out
}

// legs reads the recording strictly; a lost slot is nil.
func (s *shelf) legs(t *testing.T) (agent, customer [][]byte) {
	t.Helper()
	r := oggopus.NewReader(bytes.NewReader(s.ogg()))
	for {
		sl, err := r.Next()
		if err == io.EOF {
			return trim(agent, customer)
		}
		if err != nil {
			t.Fatalf("slot %d: %v", len(agent), err)
		}
		agent, customer = append(agent, heard(sl.Agent)), append(customer, heard(sl.Customer))
	}
}

// trim drops the lost slot that ends a recording whose last second was full: a
// last page cannot be empty.
func trim(agent, customer [][]byte) (a, c [][]byte) {
	if n := len(agent); n%oggopus.PageSlots == 1 && agent[n-1] == nil && customer[n-1] == nil {
		return agent[:n-1], customer[:n-1]
	}
	return agent, customer
}

func heard(pkt []byte) []byte {
	var p codec.Packet
	if p.Parse(pkt) != nil {
		return nil
	}
	for i := range p.Count {
		if p.Size(i) > 0 {
			return pkt
		}
	}
	return nil
}

// packet is a valid Opus packet of 20 ms (CELT full band, mono, one frame)
// that names itself.
func packet(leg byte, n int) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0xf8, leg}, uint32(n))
	return append(b, bytes.Repeat([]byte{byte(n)}, 40+n%30)...)
}

func number(pkt []byte) int {
	if len(pkt) < 6 {
		return -1
	}
	return int(binary.BigEndian.Uint32(pkt[2:]))
}

func newTest(s *shelf) *Recorder {
	return New(Config{Store: s, Wall: func() (time.Time, bool) { return time.Unix(1790000000, 0), true }})
}

// rig sends what a far end of a given clock sends.
type rig struct {
	r    *Recorder
	ssrc uint32
	seq  uint16
	ts   uint32
	base int64 // sample clock of the first tick
}

func newRig(s *shelf) *rig {
	return &rig{r: newTest(s), ssrc: 1, seq: 65500, ts: 1<<32 - 48000, base: 123_456_000}
}

// customer makes packet n as it was sent; it arrives at tick+delay.
func (g *rig) customer(n int, tick int, delay time.Duration) Packet {
	return Packet{
		Codec: codec.Opus, SSRC: g.ssrc, Seq: g.seq + uint16(n), TS: g.ts + uint32(n)*960,
		Payload: packet('C', n), At: g.base + int64(tick)*960 + int64(delay)*48000/int64(time.Second),
	}
}

func (g *rig) agent(n int) { g.r.Agent(codec.Opus, packet('A', n), g.base+int64(n)*960) }

func check(t *testing.T, leg [][]byte, want func(slot int) int) {
	t.Helper()
	for i, p := range leg {
		w := want(i)
		if p == nil && w != -1 || p != nil && number(p) != w {
			t.Fatalf("slot %d holds packet %d (%d bytes), want %d", i, number(p), len(p), w)
		}
	}
}

func same(i int) int { return i }

func TestBothLegsBitExact(t *testing.T) {
	s := &shelf{}
	g := newRig(s)
	const n = 333 // 6.66 s
	for i := range n {
		g.agent(i)
		g.r.Customer(g.customer(i, i, 3*time.Millisecond))
	}
	g.r.End()
	a, c := s.legs(t)
	if len(a) != n || len(s.pages) != 7 {
		t.Fatalf("%d slots on %d pages", len(a), len(s.pages))
	}
	check(t, a, same)
	check(t, c, same)
	for i := range a {
		if !bytes.Equal(a[i], packet('A', i)) || !bytes.Equal(c[i], packet('C', i)) {
			t.Fatalf("slot %d is not bit-exact", i)
		}
	}
	total := time.Duration(0)
	for _, d := range s.durs {
		total += d
	}
	if total != n*20*time.Millisecond {
		t.Errorf("durations add up to %v", total)
	}
	if len(s.lines) != 0 {
		t.Errorf("facts of an undisturbed call: %s", s.lines)
	}
	g.agent(n + 1)
	if g.r.End(); len(s.pages) != 7 {
		t.Error("taken after the end")
	}
}

// TestSealedInTime: a complete page goes at once, one with holes after 60 ms.
func TestSealedInTime(t *testing.T) {
	s := &shelf{}
	g := newRig(s)
	for i := range 50 {
		g.agent(i)
		g.r.Customer(g.customer(i, i, 0))
	}
	if g.r.Tick(g.base + 50*960); len(s.pages) != 1 {
		t.Fatal("a complete page waits")
	}
	for i := 50; i < 100; i++ {
		g.agent(i)
		if i != 70 {
			g.r.Customer(g.customer(i, i, 0))
		}
	}
	g.r.Tick(g.base + 102*960)
	if len(s.pages) != 1 {
		t.Fatal("no time for packets under way")
	}
	g.r.Tick(g.base + 103*960)
	if len(s.pages) != 2 {
		t.Fatal("a page with a hole waits longer than 60 ms")
	}
}

// TestDisorder: reordered, doubled, and late by up to 1.4 s, across the wraps
// of sequence number and time stamp.
func TestDisorder(t *testing.T) {
	s := &shelf{}
	g := newRig(s)
	const n = 500
	due := map[int][]int{}
	for i := range n {
		at := i
		switch i % 17 {
		case 3:
			at = i + 2
		case 5:
			at = i + 69 // 1.4 s: long sealed
		case 7:
			due[i] = append(due[i], i) // twice
		}
		due[at] = append(due[at], i)
	}
	for tick := range n + 100 {
		g.agent(tick)
		for _, i := range due[tick] {
			g.r.Customer(g.customer(i, tick, 0))
		}
	}
	g.r.End()
	_, c := s.legs(t)
	check(t, c[:n], same)
}

// TestTooLate: past the window a packet is lost, and told.
func TestTooLate(t *testing.T) {
	s := &shelf{}
	g := newRig(s)
	for tick := range 300 {
		g.agent(tick)
		if tick < 20 || tick >= 30 {
			g.r.Customer(g.customer(tick, tick, 0))
		}
		if tick == 150 {
			g.r.Customer(g.customer(25, tick, 0))
		}
	}
	g.r.End()
	_, c := s.legs(t)
	check(t, c, func(i int) int {
		if i >= 20 && i < 30 {
			return -1
		}
		return i
	})
	f := s.facts(t, record.Gap)
	if len(f) != 1 || f[0].Leg != "customer" || f[0].Ms != 400 || f[0].UntilMs != 600 || f[0].Count != 10 || f[0].Clock != "trusted" {
		t.Fatalf("%+v", f)
	}
}

func TestShortGapsAreSummed(t *testing.T) {
	s := &shelf{}
	g := newRig(s)
	for tick := range 4000 { // 80 s
		g.agent(tick)
		if tick%100 != 50 {
			g.r.Customer(g.customer(tick, tick, 0))
		}
	}
	g.r.End()
	f := s.facts(t, record.Gap)
	n := 0
	for _, x := range f {
		n += x.Count
	}
	if len(f) != 2 || n != 40 {
		t.Fatalf("%d facts for %d packets: %+v", len(f), n, f)
	}
}

// TestNewSource: the far end changes its SSRC, then its time stamps jump
// ahead, back and by half a second; the time line goes on.
func TestNewSource(t *testing.T) {
	s := &shelf{}
	g := newRig(s)
	for tick := range 400 {
		g.agent(tick)
		p := g.customer(tick, tick, time.Millisecond)
		switch {
		case tick >= 320:
			p.SSRC, p.TS = 2, p.TS+1234567+48000*10-24000+960*5
		case tick >= 240:
			p.SSRC, p.TS = 2, p.TS+1234567-48000*60
		case tick >= 160:
			p.SSRC, p.TS = 2, p.TS+1234567+48000*10
		case tick >= 80:
			p.SSRC, p.TS = 2, p.TS+1234567
			p.Seq += 777
		}
		if tick >= 160 {
			p.Seq += 777
		}
		g.r.Customer(p)
	}
	g.r.End()
	_, c := s.legs(t)
	check(t, c, same)
}

// TestStall: the network holds packets back for 0.8 s and then hands them all
// over. They are in their places.
func TestStall(t *testing.T) {
	s := &shelf{}
	g := newRig(s)
	for tick := range 300 {
		g.agent(tick)
		switch {
		case tick < 100 || tick > 140:
			g.r.Customer(g.customer(tick, tick, 0))
		case tick == 140:
			for i := 100; i <= 140; i++ {
				g.r.Customer(g.customer(i, tick, 0))
			}
		}
	}
	g.r.End()
	_, c := s.legs(t)
	check(t, c, same)
}

// TestDrift: a clock 500 ppm off stays within 100 ms over ten minutes.
func TestDrift(t *testing.T) {
	for _, ppm := range []float64{500, -500} {
		t.Run(fmt.Sprint(ppm), func(t *testing.T) {
			s := &shelf{}
			g := newRig(s)
			const ticks = 12000
			sent := 0
			for tick := range ticks {
				g.agent(tick)
				for float64(sent)*(1-ppm/1e6) <= float64(tick) {
					g.r.Customer(g.customer(sent, tick, 0))
					sent++
				}
			}
			g.r.End()
			_, c := s.legs(t)
			lost, worst := 0, 0.0
			for i, p := range c {
				if p == nil {
					lost++
					continue
				}
				off := float64(number(p))*(1-ppm/1e6) - float64(i)
				worst = max(worst, off, -off)
			}
			if worst*20 > 105 || lost > 20 {
				t.Errorf("off by up to %.0f ms, %d slots lost", worst*20, lost)
			}
		})
	}
}

func TestPause(t *testing.T) {
	s := &shelf{}
	g := newRig(s)
	for tick := range 600 {
		if tick == 120 {
			g.r.Pause("agent", "card")
		}
		if tick == 333 {
			g.r.Resume("agent")
		}
		if g.r.Paused() != (tick >= 120 && tick < 333) {
			t.Fatalf("tick %d: paused %v", tick, g.r.Paused())
		}
		g.agent(tick)
		// The customer's packets come one second late, all of them.
		if tick >= 50 {
			g.r.Customer(Packet{
				Codec: codec.Opus, SSRC: 1, Seq: uint16(tick), TS: uint32(tick-50) * 960, Payload: packet('C', tick-50),
				At: g.base + int64(tick)*960,
			})
		}
	}
	g.r.End()
	a, c := s.legs(t)
	check(t, a, func(i int) int {
		if i >= 119 && i < 333 {
			return -1
		}
		return i
	})
	// Whatever arrived in the pause is not there, wherever it would belong.
	b := s.ogg()
	for i := 121; i < 333; i++ {
		if bytes.Contains(b, packet('A', i)[:20]) {
			t.Fatalf("agent's packet %d of the pause was written", i)
		}
	}
	for i := 120; i < 333; i++ {
		if !bytes.Equal(a[i], silence) || !bytes.Equal(c[i], silence) {
			t.Fatalf("slot %d of the pause is not silent", i)
		}
	}
	p, u := s.facts(t, record.Paused), s.facts(t, record.Unpaused)
	if len(p) != 1 || p[0].By != "agent" || p[0].Text != "card" || p[0].Ms != 2380 || len(u) != 1 || u[0].Ms != 6660 || u[0].By != "agent" {
		t.Fatalf("%+v %+v", p, u)
	}
	if f := s.facts(t, record.Gap); len(f) != 0 {
		t.Errorf("a pause is no gap: %+v", f)
	}
}

// TestPauseEnds by itself after 60 s of the sample clock, and at the end.
func TestPauseEnds(t *testing.T) {
	s := &shelf{}
	g := newRig(s)
	g.agent(0)
	g.r.Pause("agent", "card")
	g.r.Pause("agent", "again")
	for tick := 1; tick < 3100; tick++ {
		g.agent(tick)
	}
	if g.r.Paused() {
		t.Fatal("still paused")
	}
	a := slices.Clone(s.facts(t, record.Unpaused))
	if len(a) != 1 || a[0].By != "timer" || a[0].Ms != 60000 {
		t.Fatalf("%+v", a)
	}
	g.r.Pause("agent", "card")
	g.r.End()
	if u := s.facts(t, record.Unpaused); len(u) != 2 || u[1].By != "seat" {
		t.Fatalf("%+v", u)
	}
	legs, _ := s.legs(t)
	check(t, legs[:3050], func(i int) int {
		if i < 3000 {
			return -1
		}
		return i
	})
}

func TestHoldIsNoGap(t *testing.T) {
	s := &shelf{}
	g := newRig(s)
	for tick := range 500 {
		switch tick {
		case 100:
			g.r.Fact(record.Fact{Kind: record.Held, By: "agent"})
		case 300:
			g.r.Fact(record.Fact{Kind: record.Resumed, By: "agent"})
		}
		if tick >= 100 && tick < 300 {
			g.r.Tick(g.base + int64(tick)*960)
			continue
		}
		g.agent(tick)
		g.r.Customer(g.customer(tick, tick, 0))
	}
	g.r.End()
	a, c := s.legs(t)
	want := func(i int) int {
		if i >= 100 && i < 300 {
			return -1
		}
		return i
	}
	check(t, a, want)
	check(t, c, want)
	h := s.facts(t, record.Held)
	if len(h) != 1 || h[0].Ms != 1980 {
		t.Errorf("%+v", h)
	}
	for _, f := range s.facts(t, record.Gap) {
		if f.UntilMs-f.Ms > 1200 { // what a page's edge may add
			t.Errorf("%+v", f)
		}
	}
}

func TestFactsBeforeTheCall(t *testing.T) {
	s := &shelf{}
	r := newTest(s)
	r.Fact(record.Fact{Kind: record.Offered, From: "13800138000"})
	r.End()
	if f := s.facts(t, record.Offered); len(f) != 1 || f[0].Ms != -1 || f[0].At.IsZero() {
		t.Fatalf("%+v", f)
	}
	if len(s.pages) != 0 {
		t.Error("a call that was never answered has no voice")
	}
}

func TestGarbage(t *testing.T) {
	s := &shelf{}
	g := newRig(s)
	for tick := range 100 {
		g.agent(tick)
		p := g.customer(tick, tick, 0)
		switch tick {
		case 10:
			p.Payload = nil
		case 11:
			p.Payload = []byte{0xff, 0xff}
		case 12:
			p.Codec = codec.None
		}
		g.r.Customer(p)
	}
	g.r.End()
	_, c := s.legs(t)
	check(t, c, func(i int) int {
		if i >= 10 && i <= 12 {
			return -1
		}
		return i
	})
}
