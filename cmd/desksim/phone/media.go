package phone

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"deskset/audio/codec"
	"deskset/cmd/desksim/smallpbx/rtplite"

	"github.com/pion/rtp"
)

const frameTime = 20 * time.Millisecond

// media is the sound of one call: one goroutine reads the socket, one sends a
// frame each 20 ms.
type media struct {
	p      *Phone
	sock   *rtplite.Socket
	impair rtplite.Impairer
	heard  timeline
	said   timeline

	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	running bool
	desc    rtplite.Desc // the peer's last
	dir     rtplite.Direction
	format  rtplite.Format
	event   rtplite.Event
	hasEv   bool
	enc     codec.Encoder
	speech  []int16
	spoken  chan struct{} // closed when speech has been sent
	digits  []byte
	keyed   chan struct{} // closed when digits have been sent
}

func newMedia(p *Phone) (*media, error) {
	sock, err := rtplite.Listen(p.ip)
	if err != nil {
		return nil, err
	}
	m := &media{p: p, sock: sock, dir: rtplite.Inactive}
	m.impair.Set(p.cfg.Impair)
	return m, nil
}

func (m *media) addr() netip.AddrPort { return m.sock.Addr() }

// unset tells that no description of the peer came yet.
func (m *media) unset() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.desc.Formats) == 0
}

// held tells that the peer does not want to hear us.
func (m *media) held() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.desc.Formats) > 0 && !m.desc.Dir.Receives()
}

// use takes the peer's description, and our own direction.
func (m *media) use(d rtplite.Desc, ours rtplite.Direction) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	f, ok := d.Choose(m.p.codecs)
	if !ok {
		return fmt.Errorf("use SDP: %w", rtplite.ErrNoAudio)
	}
	if m.enc == nil || f.Codec != m.format.Codec {
		enc, err := f.Codec.NewEncoder(0)
		if err != nil {
			return fmt.Errorf("use SDP: %w", err)
		}
		m.enc = enc
	}
	m.desc, m.dir, m.format = d, ours, f
	m.event, m.hasEv = d.EventFor(f.Codec)
	m.sock.SetPeer(d.Addr)
	m.heard.formats(d, m.p.codecs)
	if m.running {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.heard.begin(time.Now())
	err := m.p.start(func(run context.Context) {
		stop := context.AfterFunc(run, cancel)
		defer stop()
		m.p.wg.Go(func() { m.send(ctx) })
		m.sock.Run(ctx, func(p *rtp.Packet) { m.heard.put(p, time.Now()) })
	})
	if err != nil {
		cancel()
		return err
	}
	m.cancel, m.running = cancel, true
	return nil
}

func (m *media) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.closed = true
	if m.cancel != nil {
		m.cancel()
	}
	m.sock.Close()
	if m.spoken != nil {
		close(m.spoken)
		m.spoken = nil
	}
	if m.keyed != nil {
		close(m.keyed)
		m.keyed = nil
	}
}

// say replaces what is being said.
func (m *media) say(pcm []int16) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.spoken != nil {
		close(m.spoken)
		m.spoken = nil
	}
	done := make(chan struct{})
	if m.closed || len(pcm) == 0 {
		m.speech = nil
		close(done)
		return done
	}
	m.speech, m.spoken = pcm, done
	return done
}

// next takes the next frame of speech, or silence.
func (m *media) next(frame []int16) { // with m.mu
	n := copy(frame, m.speech)
	clear(frame[n:])
	m.speech = m.speech[n:]
	if len(m.speech) == 0 && m.spoken != nil {
		close(m.spoken)
		m.spoken = nil
	}
}

// maxLag is how late a frame may be and still be made up for by sending faster. A
// machine that stalled for longer pauses, as a phone does, and does not burst.
const maxLag = 400 * time.Millisecond

// send paces the outgoing stream: frame k is due at start + k*20 ms, whenever
// the one before was really sent, so that nothing drifts.
func (m *media) send(ctx context.Context) {
	h := rtp.Header{Version: 2, SSRC: rand.Uint32(), SequenceNumber: uint16(rand.Uint32()), Marker: true}
	base := rand.Uint32()
	frame := make([]int16, codec.Frame)
	payload := make([]byte, codec.MaxPayload)
	start := time.Now()
	m.said.begin(start)
	var key *keyPress
	timer := time.NewTimer(0)
	defer timer.Stop()
	for k := int64(0); ; k++ {
		timer.Reset(time.Until(start.Add(time.Duration(k) * frameTime)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if lag := time.Since(start) - time.Duration(k)*frameTime; lag > maxLag {
			for range int64(lag / frameTime) {
				k++
				m.said.silence()
			}
			h.Marker = true
		}
		m.mu.Lock()
		if m.closed {
			m.mu.Unlock()
			return
		}
		m.next(frame)
		sending := m.dir.Sends() && m.desc.Dir.Receives()
		clock := m.format.Codec.ClockRate()
		h.Timestamp = base + uint32(k*int64(clock)/50)
		if key == nil && len(m.digits) > 0 && m.hasEv && sending {
			if ev, err := rtplite.EventOf(m.digits[0]); err == nil {
				key = &keyPress{event: ev, ts: h.Timestamp, pt: m.event.PT, step: m.event.Clock / 50}
			}
			m.digits = m.digits[1:]
		}
		if len(m.digits) == 0 && key == nil && m.keyed != nil {
			close(m.keyed)
			m.keyed = nil
		}
		var err error
		n := 0
		if sending && key == nil {
			h.PayloadType = m.format.PT
			n, err = m.enc.Encode(payload, frame)
		}
		m.mu.Unlock()
		switch {
		case !sending:
			h.Marker = true // the next packet starts a talk spurt
			key = nil
			m.said.silence()
		case err != nil:
			m.p.cfg.Log.Warn("encode", "err", err)
		case key != nil:
			m.said.silence()
			if key.packet(&h, func(body []byte) {
				m.impair.Send(h, body, m.sock.Write)
				h.SequenceNumber++
			}) {
				key = nil
				h.Marker = true
			}
		default:
			m.said.pcm(frame)
			m.impair.Send(h, payload[:n], m.sock.Write)
			h.SequenceNumber++
			h.Marker = false
		}
	}
}

// keyPress is one DTMF key being sent (RFC 4733 section 2.5.1).
type keyPress struct {
	event uint8
	pt    uint8
	ts    uint32
	step  uint32 // ticks a frame
	n     uint32 // frames sent
}

// packet sends this frame's packet (the last one three times); true at the end
// of the key and of the pause after it.
func (k *keyPress) packet(h *rtp.Header, send func([]byte)) (done bool) {
	const frames = rtplite.EventMs / 20
	k.n++
	if k.n > frames {
		return k.n >= frames+3
	}
	h.PayloadType = k.pt
	ts := h.Timestamp
	h.Timestamp = k.ts
	h.Marker = k.n == 1
	ev := rtplite.EventPayload{Event: k.event, Volume: 10, Duration: uint16(k.n * k.step)}
	if k.n < frames {
		send(ev.Bytes())
	} else {
		ev.End = true
		for range 3 {
			send(ev.Bytes())
		}
	}
	h.Marker = false
	h.Timestamp = ts
	return false
}
