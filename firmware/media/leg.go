package media

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"deskset/audio/codec"
	"deskset/firmware/record"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
)

// Config of a leg.
type Config struct {
	// Local is the seat's address on the way to the PBX (the local address of
	// its WebSocket will do). The leg binds a free port there, and it is the
	// leg's only candidate. It must not be the unspecified address.
	Local    netip.Addr
	Identity *Identity
	// Now is the seat's clock; only differences of its readings count.
	Now func() time.Time
	// Codecs in order of preference; empty: Opus, PCMU, PCMA.
	Codecs []codec.Codec
	// Silence is how long no RTP may come, where it should, before an event
	// says so; 0: 3 s.
	Silence time.Duration
	// Connect is how long ICE and DTLS may take; 0: 15 s.
	Connect time.Duration
	Log     *slog.Logger // nil: none
	// Conn replaces the leg's own socket, as by one of a simulated network.
	// The leg closes it.
	Conn net.PacketConn
}

// Leg is one call's sound between the seat and a PBX. Its life is one of
//
//	New, Offer, SetAnswer, ... Close
//	New, Answer, ... Close
//
// with any number of re-offers by either side in between. Between Connected
// and Close somebody must call Drain and Send once a frame (20 ms): a Pump.
//
// Methods may be called from any goroutine; Drain and Send from one at a time.
type Leg struct {
	cfg    Config
	log    *slog.Logger
	born   time.Time
	sock   socket
	agent  *ice.Agent
	iceIn  atomic.Pointer[conduit]
	dtlsIn *conduit
	far    atomic.Pointer[netip.AddrPort] // where the far end is, nil: not yet known
	deal   atomic.Pointer[agreed]

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // the connecting goroutine

	connected, failed chan struct{}
	events            chan Event

	mu     sync.Mutex // of signalling
	step   step
	loc    local
	rem    *remote
	want   Direction // of the seat, whatever the far end lets it
	before Direction // want, before the offer that is out
	client bool      // we speak first in DTLS
	err    error
	dtls   *dtls.Conn

	away atomic.Bool // ICE is disconnected
	shut atomic.Bool // Close was called

	earMu sync.Mutex
	ear   record.Stats

	rt flow // what the ticks use
}

// step is where signalling stands.
type step uint8

const (
	fresh      step = iota
	offering        // our first offer is out
	stable          // both descriptions are there
	reoffering      // a later offer of ours is out
	closedLeg       // Close was called
)

// New binds the leg's socket. It starts nothing.
func New(cfg Config) (*Leg, error) {
	if cfg.Identity == nil || cfg.Now == nil {
		return nil, errors.New("media leg: identity and clock are needed")
	}
	if len(cfg.Codecs) == 0 {
		cfg.Codecs = preferred
	}
	cfg.Codecs = slices.Clone(cfg.Codecs)
	if cfg.Silence == 0 {
		cfg.Silence = 3 * time.Second
	}
	if cfg.Connect == 0 {
		cfg.Connect = 15 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	var sock socket
	var err error
	if cfg.Conn != nil {
		sock, err = newConnSocket(cfg.Conn)
	} else if !cfg.Local.IsValid() || cfg.Local.IsUnspecified() {
		return nil, fmt.Errorf("media leg: %v is no address to be reached at", cfg.Local)
	} else {
		sock, err = openSocket(cfg.Local)
	}
	if err != nil {
		return nil, err
	}
	l := &Leg{
		cfg: cfg, log: cfg.Log, sock: sock, born: cfg.Now(),
		connected: make(chan struct{}), failed: make(chan struct{}), events: make(chan Event, 32),
		want: SendRecv,
	}
	l.dtlsIn = newConduit(sock, l.farAddr)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.loc = local{
		session: randomID(), version: 1, addr: sock.addr(), fingerprint: cfg.Identity.fingerprint,
		ufrag: rand.Text()[:8], pwd: rand.Text(), dir: SendRecv,
		ssrc: randomSSRC(), cname: rand.Text()[:16], // RFC 7022: names nobody
	}
	l.rt.init(l)
	return l, nil
}

// randomID makes a session id of 62 bits (RFC 8866 section 5.2: numeric).
func randomID() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:]) >> 2
}

func randomSSRC() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}

func (l *Leg) farAddr() netip.AddrPort {
	if p := l.far.Load(); p != nil {
		return *p
	}
	return netip.AddrPort{}
}

// Age is the leg's own time: since New, as Packet.Arrival counts.
func (l *Leg) Age() time.Duration { return l.cfg.Now().Sub(l.born) }

// Local is the address of the leg's socket.
func (l *Leg) Local() netip.AddrPort { return l.sock.addr() }

// Connected is closed when keys are agreed and sound may flow.
func (l *Leg) Connected() <-chan struct{} { return l.connected }

// Failed is closed when the leg did not come up or is lost for good; Err then
// says why. It is not closed by Close.
func (l *Leg) Failed() <-chan struct{} { return l.failed }

// Err is why the leg failed: ErrConnect or ErrLost, wrapped. Nil while it lives.
func (l *Leg) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Codec is the codec to send with; None before offer and answer are there.
func (l *Leg) Codec() codec.Codec {
	if d := l.deal.Load(); d != nil {
		return d.codec
	}
	return codec.None
}

// Bitrate is the most that the far end wants to be sent, in bit/s; 0 where it
// has no wish. It is for Opus only (RFC 7587 section 6.1).
func (l *Leg) Bitrate() int {
	if d := l.deal.Load(); d != nil {
		return d.bitrate
	}
	return 0
}

// Direction is what offer and answer came to; Inactive before.
func (l *Leg) Direction() Direction {
	if d := l.deal.Load(); d != nil {
		return d.dir
	}
	return Inactive
}

// Close tells the far end (RTCP BYE), ends what the leg runs, waits for it, and
// closes the socket. Calling it again does nothing.
func (l *Leg) Close() error {
	l.mu.Lock()
	if l.step == closedLeg {
		l.mu.Unlock()
		return nil
	}
	l.step = closedLeg
	l.shut.Store(true)
	agent, dc := l.agent, l.dtls
	l.mu.Unlock()

	l.rt.bye()
	l.cancel()
	l.wg.Wait()
	if dc == nil {
		l.mu.Lock()
		dc = l.dtls
		l.mu.Unlock()
	}
	if dc != nil {
		dc.Close() // sends close_notify; its error would be the socket's
	}
	l.dtlsIn.Close()
	var err error
	if agent != nil {
		err = agent.GracefulClose()
	}
	return errors.Join(err, l.sock.close())
}
