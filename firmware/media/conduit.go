package media

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/transport/v4/deadline"
)

// datagram is a copy of one that waits to be read.
type datagram struct {
	b    []byte
	from netip.AddrPort
	at   time.Time // of arrival
}

// conduit hands ICE or DTLS its share of the leg's datagrams, as the
// net.PacketConn that pion's modules read. Writing goes straight to the socket.
type conduit struct {
	sock     socket
	queue    chan datagram
	closed   chan struct{}
	once     sync.Once
	deadline *deadline.Deadline

	// peer, when set, is the one address that is listened to and written to,
	// whatever address pion names.
	peer func() netip.AddrPort
}

// conduitDepth is more than a handshake's flight; beyond it the datagram is
// dropped, and its sender repeats it.
const conduitDepth = 32

func newConduit(s socket, peer func() netip.AddrPort) *conduit {
	return &conduit{sock: s, peer: peer, queue: make(chan datagram, conduitDepth), closed: make(chan struct{}), deadline: deadline.New()}
}

// offer copies a datagram into the queue. It never waits.
func (c *conduit) offer(b []byte, from netip.AddrPort) {
	if len(c.queue) == cap(c.queue) {
		return
	}
	select {
	case c.queue <- datagram{b: append([]byte(nil), b...), from: from}:
	default:
	}
}

// ReadFromAddrPort implements ice.AddrPortReaderWriter.
func (c *conduit) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		select {
		case <-c.closed:
			return 0, netip.AddrPort{}, net.ErrClosed
		case <-c.deadline.Done():
			return 0, netip.AddrPort{}, os.ErrDeadlineExceeded
		case d := <-c.queue:
			if c.peer == nil || d.from == c.peer() {
				return copy(b, d.b), d.from, nil
			}
		}
	}
}

// WriteToAddrPort implements ice.AddrPortReaderWriter.
func (c *conduit) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if c.peer != nil {
		to = c.peer()
	}
	if err := c.sock.writeTo(b, to); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *conduit) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromAddrPort(b)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

func (c *conduit) WriteTo(b []byte, to net.Addr) (int, error) {
	var ap netip.AddrPort
	if u, ok := to.(*net.UDPAddr); ok {
		ap = u.AddrPort()
	}
	return c.WriteToAddrPort(b, ap)
}

func (c *conduit) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *conduit) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.sock.addr()) }

func (c *conduit) SetDeadline(t time.Time) error     { return c.SetReadDeadline(t) }
func (c *conduit) SetReadDeadline(t time.Time) error { c.deadline.Set(t); return nil }
func (c *conduit) SetWriteDeadline(time.Time) error  { return nil } // writing never waits

// candidateMux is the ice.UDPMux through which the agent gets its only
// candidate. Each generation of ICE closes its conduit, so each gets a new one.
type candidateMux struct {
	sock socket
	ice  *atomic.Pointer[conduit]
}

func (m candidateMux) GetConn(string, net.Addr) (net.PacketConn, error) {
	c := newConduit(m.sock, nil)
	m.ice.Store(c)
	return c, nil
}

func (m candidateMux) RemoveConnByUfrag(string) {}

func (m candidateMux) GetListenAddresses() []net.Addr {
	return []net.Addr{net.UDPAddrFromAddrPort(m.sock.addr())}
}

func (m candidateMux) Close() error { return nil }
