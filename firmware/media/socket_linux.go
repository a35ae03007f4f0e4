package media

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// expedited is DSCP EF (RFC 3246; RFC 8837 section 5 for interactive audio) in
// the upper six bits of the traffic class.
const expedited = 46 << 2

// kernelSocket is a socket whose descriptor is ours alone. The runtime's poller
// would be woken by every datagram though nobody waits for it; so only serve
// registers a duplicate there, for as long as it runs.
type kernelSocket struct {
	bound netip.AddrPort

	life sync.RWMutex // held for reading around each use of fd
	fd   int          // -1: closed

	mu      sync.Mutex
	reader  net.PacketConn // of serve
	stopped chan struct{}  // closed when serve has returned

	txMu sync.Mutex
	tx   unix.RawSockaddrInet6 // has room for both families

	rx *batch
}

func openSocket(addr netip.Addr) (socket, error) {
	addr = addr.Unmap()
	family := unix.AF_INET
	if addr.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("media socket: %w", err)
	}
	s := &kernelSocket{fd: fd, rx: newBatch()}
	if s.bound, err = bind(fd, addr); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("media socket on %s: %w", addr, err)
	}
	return s, nil
}

// bind sets the options, binds to a free port and returns what it got.
func bind(fd int, addr netip.Addr) (netip.AddrPort, error) {
	var none netip.AddrPort
	var sa unix.Sockaddr
	if addr.Is4() {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, expedited); err != nil {
			return none, fmt.Errorf("set DSCP: %w", err)
		}
		sa = &unix.SockaddrInet4{Addr: addr.As4()}
	} else {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, expedited); err != nil {
			return none, fmt.Errorf("set DSCP: %w", err)
		}
		six := &unix.SockaddrInet6{Addr: addr.As16()}
		if zone := addr.Zone(); zone != "" {
			ifi, err := net.InterfaceByName(zone)
			if err != nil {
				return none, err
			}
			six.ZoneId = uint32(ifi.Index)
		}
		sa = six
	}
	// Arrival times: the pump looks in only once a tick.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return none, fmt.Errorf("set time stamps: %w", err)
	}
	if err := unix.Bind(fd, sa); err != nil {
		return none, err
	}
	got, err := unix.Getsockname(fd)
	if err != nil {
		return none, err
	}
	switch got := got.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(addr, uint16(got.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(addr, uint16(got.Port)), nil
	}
	return none, fmt.Errorf("bound to %T", got)
}

func (s *kernelSocket) addr() netip.AddrPort { return s.bound }

func (s *kernelSocket) writeTo(b []byte, to netip.AddrPort) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.fd < 0 || len(b) == 0 {
		return net.ErrClosed
	}
	s.txMu.Lock()
	defer s.txMu.Unlock()
	size := putSockaddr(&s.tx, to)
	// Raw, here and in recvmmsg: the calls never wait, and telling the
	// scheduler of them wakes its monitor thread, at each tick of a call. That
	// doubles what a call costs in context switches.
	_, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&s.tx)), size)
	if e != 0 {
		return e
	}
	return nil
}

func (s *kernelSocket) serve(fn receiver) error {
	c, stopped, err := s.register()
	if err != nil {
		return fmt.Errorf("media socket: %w", err)
	}
	go func() {
		defer close(stopped)
		defer c.Close()
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err != nil: // the ICMP answer to something sent before
			case n < len(buf):
				fn(buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), 0)
			}
		}
	}()
	return nil
}

// register makes a duplicate of the socket known to the runtime's poller.
func (s *kernelSocket) register() (*net.UDPConn, chan struct{}, error) {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.fd < 0 {
		return nil, nil, net.ErrClosed
	}
	dup, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	f := os.NewFile(uintptr(dup), "media")
	defer f.Close()
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, nil, err
	}
	c, ok := pc.(*net.UDPConn)
	if !ok {
		pc.Close()
		return nil, nil, fmt.Errorf("media socket is a %T", pc)
	}
	stopped := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader, s.stopped = c, stopped
	return c, stopped, nil
}

func (s *kernelSocket) detach() {
	s.mu.Lock()
	c, stopped := s.reader, s.stopped
	s.reader = nil
	s.mu.Unlock()
	if c != nil {
		c.Close()
		<-stopped
	}
}

func (s *kernelSocket) poll(now time.Time, fn receiver) {
	s.life.RLock()
	defer s.life.RUnlock()
	// The bound keeps a flood from holding the pump's tick.
	for range 16 {
		if s.fd < 0 {
			return
		}
		n := s.rx.read(s.fd)
		for i := range n {
			s.rx.give(i, now, fn)
		}
		if n < batchSize {
			return
		}
	}
}

func (s *kernelSocket) close() error {
	s.detach()
	s.life.Lock()
	defer s.life.Unlock()
	if s.fd < 0 {
		return nil
	}
	err := unix.Close(s.fd)
	s.fd = -1
	return err
}
