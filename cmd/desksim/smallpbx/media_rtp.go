package smallpbx

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"deskset/audio/codec"
	"deskset/cmd/desksim/smallpbx/rtplite"

	"github.com/pion/rtp"
)

// plainMedia is RTP over UDP, as desk phones do it.
type plainMedia struct {
	sock   *rtplite.Socket
	codecs []codec.Codec
	origin rtplite.Origin
	wg     sync.WaitGroup

	mu  sync.Mutex
	agr agreement
	ok  bool
}

func newPlainMedia(ip netip.Addr, codecs []codec.Codec, got onPacket) (*plainMedia, error) {
	sock, err := rtplite.Listen(ip)
	if err != nil {
		return nil, err
	}
	sock.Latch = true
	m := &plainMedia{sock: sock, codecs: codecs}
	m.wg.Go(func() { sock.Run(context.Background(), got) })
	return m, nil
}

func (m *plainMedia) offer(context.Context) ([]byte, error) {
	return rtplite.Offer(m.sock.Addr(), m.codecs, rtplite.SendRecv).SDP(&m.origin), nil
}

func (m *plainMedia) answer(_ context.Context, offer []byte) ([]byte, error) {
	d, err := rtplite.ParseSDP(offer)
	if err != nil {
		return nil, err
	}
	a, ok := d.AnswerTo(m.sock.Addr(), m.codecs, d.Dir.Answer())
	if !ok {
		return nil, fmt.Errorf("answer: %w", rtplite.ErrNoAudio)
	}
	if err := m.use(d); err != nil {
		return nil, err
	}
	return a.SDP(&m.origin), nil
}

func (m *plainMedia) accept(_ context.Context, answer []byte) error {
	d, err := rtplite.ParseSDP(answer)
	if err != nil {
		return err
	}
	return m.use(d)
}

func (m *plainMedia) use(d rtplite.Desc) error {
	a, err := agree(d, m.codecs)
	if err != nil {
		return err
	}
	// What we offered may come under our numbers, too.
	own := rtplite.Offer(m.sock.Addr(), m.codecs, rtplite.SendRecv)
	for _, f := range own.Formats {
		if _, ok := a.codecs[f.PT]; !ok {
			if _, ok := a.events[f.PT]; !ok {
				a.codecs[f.PT] = f.Codec
			}
		}
	}
	m.mu.Lock()
	m.agr, m.ok = a, true
	m.mu.Unlock()
	m.sock.SetPeer(d.Addr)
	return nil
}

// agree reads what the peer's description allows.
func agree(d rtplite.Desc, codecs []codec.Codec) (agreement, error) {
	f, ok := d.Choose(codecs)
	if !ok {
		return agreement{}, fmt.Errorf("agree: %w", rtplite.ErrNoAudio)
	}
	a := agreement{send: f, codecs: map[uint8]codec.Codec{}, events: map[uint8]uint32{}, peer: d.Dir}
	a.event, a.hasEv = d.EventFor(f.Codec)
	for _, f := range d.Formats {
		a.codecs[f.PT] = f.Codec
	}
	for _, e := range d.Events {
		a.events[e.PT] = e.Clock
	}
	return a, nil
}

func (m *plainMedia) agreed() (agreement, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.agr, m.ok
}

func (m *plainMedia) write(h *rtp.Header, payload []byte) error { return m.sock.Write(h, payload) }

func (m *plainMedia) close() {
	m.sock.Close()
	m.wg.Wait()
}
