package media

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// receiver takes a datagram; b is good until it returns. ago is how long the
// datagram had been waiting in the socket.
type receiver func(b []byte, from netip.AddrPort, ago time.Duration)

// socket is a UDP socket that can be read in two ways: by a goroutine while a
// leg is being set up, and by looking in without waiting once a pump ticks.
type socket interface {
	// addr is the bound address.
	addr() netip.AddrPort
	// writeTo sends a datagram without waiting; any goroutine may call it. What
	// the kernel has no room for is lost, as on the network.
	writeTo(b []byte, to netip.AddrPort) error
	// serve starts a goroutine that waits and reads, until detach or close.
	serve(fn receiver) error
	// detach ends serve's goroutine, waiting for its end, and poll reads from
	// then on. On a socket that cannot be polled the goroutine goes on.
	detach()
	// poll reads what is waiting and returns at once. One goroutine at a time,
	// never beside serve.
	poll(now time.Time, fn receiver)
	// close ends all of it and waits for the goroutine. Later calls do nothing.
	close() error
}

// maxDatagram is more than any sound packet or handshake record needs; longer
// datagrams are dropped.
const maxDatagram = 1600

// connSocket is a socket on any net.PacketConn: a network simulated in tests,
// or a system without recvmmsg. A goroutine reads it as long as it lives.
type connSocket struct {
	conn    net.PacketConn
	bound   netip.AddrPort
	mu      sync.Mutex
	stopped chan struct{} // of serve's goroutine, nil before
}

func newConnSocket(c net.PacketConn) (*connSocket, error) {
	u, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return nil, fmt.Errorf("media socket: %T is no UDP address", c.LocalAddr())
	}
	ap := u.AddrPort()
	return &connSocket{conn: c, bound: netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())}, nil
}

func (s *connSocket) addr() netip.AddrPort { return s.bound }

func (s *connSocket) writeTo(b []byte, to netip.AddrPort) error {
	_, err := s.conn.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return err
}

func (s *connSocket) serve(fn receiver) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped != nil {
		return nil // it never stopped
	}
	stopped := make(chan struct{})
	s.stopped = stopped
	go func() {
		defer close(stopped)
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := s.conn.ReadFrom(buf)
			if err != nil {
				return // closed: a UDP socket has no other lasting error
			}
			u, ok := from.(*net.UDPAddr)
			if !ok || n == len(buf) {
				continue
			}
			ap := u.AddrPort()
			fn(buf[:n], netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), 0)
		}
	}()
	return nil
}

func (s *connSocket) detach()                  {}
func (s *connSocket) poll(time.Time, receiver) {}

func (s *connSocket) close() error {
	err := s.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped != nil {
		<-s.stopped
	}
	return err
}
