package smallpbx

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"deskset/audio/codec"
	seatmedia "deskset/firmware/media"
	"deskset/firmware/sipua"
)

// headset is a headset of memory: it speaks what it is given.
type headset struct {
	mu     sync.Mutex
	next   time.Time
	speech []int16
	spoken chan struct{}
}

func (h *headset) Wait(ctx context.Context) error {
	if h.next.IsZero() {
		h.next = time.Now()
	}
	h.next = h.next.Add(20 * time.Millisecond)
	t := time.NewTimer(time.Until(h.next))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *headset) ReadMic(frame []int16) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := copy(frame, h.speech)
	clear(frame[n:])
	h.speech = h.speech[n:]
	if len(h.speech) == 0 && h.spoken != nil {
		close(h.spoken)
		h.spoken = nil
	}
	return true
}

func (h *headset) WriteEar([]int16) {}

func (h *headset) say(pcm []int16) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.speech, h.spoken = pcm, make(chan struct{})
	return h.spoken
}

// seat is the firmware's own signalling and media, with a script for an agent.
type seat struct {
	t     *testing.T
	ua    *sipua.UA
	id    *seatmedia.Identity
	pump  *seatmedia.Pump
	ears  *headset
	calls chan *seatCall // incoming, ringing
	// recovered gets a value at each registration after a loss.
	recovered chan struct{}

	mu   sync.Mutex
	legs map[*sipua.Call]*seatCall
	got  []seatmedia.Packet // what arrived, of all calls
	// reject answers offers with this code.
	reject int
}

type seatCall struct {
	s        *seat
	call     *sipua.Call
	leg      *seatmedia.Leg
	in       sipua.Incoming
	offer    []byte
	answered chan struct{}
	confirm  chan struct{}
	ended    chan struct{}
	code     int
	refer    chan sipua.ReferStatus
}

func startSeat(t *testing.T, p *PBX, user string) *seat {
	t.Helper()
	id, err := seatmedia.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	s := &seat{t: t, id: id, ears: &headset{}, calls: make(chan *seatCall, 8), legs: map[*sipua.Call]*seatCall{},
		recovered: make(chan struct{}, 8)}
	s.ua, err = sipua.New(sipua.Config{URL: p.WSURL(), Insecure: true, Domain: "127.0.0.1", User: user, Password: "s" + user,
		Instance: "urn:uuid:00000000-0000-4000-8000-000000000" + user, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	if s.pump, err = seatmedia.NewPump(seatmedia.PumpConfig{Headset: s.ears, Log: testLog(t)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	pumpCtx, stopPump := context.WithCancel(context.Background())
	var wg, pump sync.WaitGroup
	pump.Go(func() { s.pump.Run(pumpCtx) })
	wg.Go(func() { s.ua.Run(ctx) })
	wg.Go(func() {
		for ev := range s.ua.Events() {
			s.event(ev)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		s.mu.Lock()
		for _, c := range s.legs {
			c.leg.Close()
		}
		s.mu.Unlock()
		stopPump()
		pump.Wait()
	})
	if err := p.WaitRegistered(patient(t), user); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *seat) newCall(call *sipua.Call) *seatCall {
	leg, err := seatmedia.New(seatmedia.Config{Local: netip.MustParseAddr("127.0.0.1"), Identity: s.id, Now: time.Now, Log: testLog(s.t)})
	if err != nil {
		s.t.Error(err)
		return nil
	}
	c := &seatCall{s: s, call: call, leg: leg, answered: make(chan struct{}), confirm: make(chan struct{}),
		ended: make(chan struct{}), refer: make(chan sipua.ReferStatus, 8)}
	if call != nil {
		s.keep(c)
	}
	return c
}

func (s *seat) keep(c *seatCall) {
	s.mu.Lock()
	s.legs[c.call] = c
	s.mu.Unlock()
}

func (s *seat) find(call *sipua.Call) *seatCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.legs[call]
}

func (s *seat) event(ev sipua.Event) {
	switch e := ev.(type) {
	case sipua.Registered:
		if e.Recovered {
			s.recovered <- struct{}{}
		}
	case sipua.Incoming:
		s.mu.Lock()
		reject := s.reject
		s.mu.Unlock()
		if reject != 0 {
			e.Call.Reject(reject)
			return
		}
		c := s.newCall(e.Call)
		c.in, c.offer = e, e.Offer
		e.Call.Ringing()
		s.calls <- c
	case sipua.Answered:
		c := s.find(e.Call)
		if err := c.leg.SetAnswer(e.SDP); err != nil {
			s.t.Error(err)
			e.Call.Hangup()
			return
		}
		close(c.answered)
	case sipua.Confirmed:
		close(s.find(e.Call).confirm)
	case sipua.Failed:
		c := s.find(e.Call)
		c.code = e.Code
		c.leg.Close()
		close(c.ended)
	case sipua.Ended:
		if c := s.find(e.Call); c != nil {
			s.pump.Drop(c.leg)
			c.leg.Close()
			close(c.ended)
		}
	case sipua.Reoffer:
		c := s.find(e.Call)
		sdp, err := c.leg.AnswerReoffer(e.SDP)
		if err != nil {
			e.Call.RejectReoffer(488)
			return
		}
		e.Call.AnswerReoffer(sdp)
	case sipua.ReferStatus:
		s.find(e.Call).refer <- e
	}
}

// answer takes a ringing call and waits until sound flows.
func (c *seatCall) answer() {
	t := c.s.t
	t.Helper()
	sdp, err := c.leg.Answer(patient(t), c.offer)
	if err != nil {
		c.call.Reject(488)
		t.Fatal(err)
	}
	if err := c.call.Answer(sdp); err != nil {
		t.Fatal(err)
	}
	c.s.pump.SetLeg(c.leg, c.s)
	wait(t, c.leg.Connected(), "media")
}

// dial calls and waits for the answer.
func (s *seat) dial(target string) *seatCall {
	s.t.Helper()
	c := s.invite(target)
	wait(s.t, c.answered, "answer of "+target)
	s.pump.SetLeg(c.leg, s)
	wait(s.t, c.leg.Connected(), "media")
	return c
}

func (s *seat) invite(target string) *seatCall {
	s.t.Helper()
	c := s.newCall(nil)
	offer, err := c.leg.Offer(patient(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.call, err = s.ua.Invite(target, offer); err != nil {
		s.t.Fatal(err)
	}
	s.legs[c.call] = c
	return c
}

// direct holds (seatmedia.SendOnly) or takes back (seatmedia.SendRecv).
func (c *seatCall) direct(d seatmedia.Direction) {
	t := c.s.t
	t.Helper()
	offer, err := c.leg.Reoffer(d)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.call.Reinvite(patient(t), offer)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.leg.SetReanswer(answer); err != nil {
		t.Fatal(err)
	}
}

// Tick, Agent and Customer make the seat a tap of its own calls: what arrives is
// kept, so that a slow machine's jitter buffer is not what is tested.
func (s *seat) Tick(int64) {}

func (s *seat) Agent(codec.Codec, []byte, int64) {}

func (s *seat) Customer(p seatmedia.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Payload = append([]byte(nil), p.Payload...)
	s.got = append(s.got, p)
}

// mark is where what arrives from now on begins.
func (s *seat) mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

// arrived decodes what came since mark, each packet in its place by RTP time.
func (s *seat) arrived(mark int) []int16 {
	s.mu.Lock()
	got := slices.Clone(s.got[mark:])
	s.mu.Unlock()
	var out []int16
	var dec codec.Decoder
	var first seatmedia.Packet
	buf := make([]int16, codec.MaxSamples)
	base := 0
	for _, p := range got {
		if dec == nil || p.SSRC != first.SSRC || p.Codec != first.Codec {
			dec, _ = p.Codec.NewDecoder()
			first, base = p, len(out)
		}
		n, err := dec.Decode(buf, p.Payload)
		if err != nil {
			s.t.Error(err)
			continue
		}
		at := base + int(int32(p.TS-first.TS))*int(codec.Rate/p.Codec.ClockRate())
		if at < 0 || at > len(out)+10*codec.Rate {
			s.t.Errorf("packet at %d after %d samples", at, len(out))
			continue
		}
		for len(out) < at+n {
			out = append(out, 0)
		}
		copy(out[at:], buf[:n])
	}
	return out
}

const sendOnly = seatmedia.SendOnly
