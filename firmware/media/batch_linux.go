package media

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many datagrams one system call reads; a tick finds one or two.
const batchSize = 8

// mmsghdr is the kernel's struct of that name, recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// batch is the memory of one recvmmsg call, used again for each.
type batch struct {
	head [batchSize]mmsghdr
	iov  [batchSize]unix.Iovec
	name [batchSize]unix.RawSockaddrInet6
	// Control messages, as words so that the kernel's structs are aligned.
	ctl [batchSize][8]uint64
	buf [batchSize][maxDatagram]byte
}

func newBatch() *batch {
	b := new(batch)
	for i := range b.head {
		b.iov[i].Base = &b.buf[i][0]
		b.iov[i].SetLen(maxDatagram)
		h := &b.head[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&b.name[i]))
		h.Iov = &b.iov[i]
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&b.ctl[i]))
	}
	return b
}

// read fills the batch with what is waiting and returns how many datagrams
// came. An error counts as none: a socket in use has no lasting one.
func (b *batch) read(fd int) int {
	for i := range b.head {
		h := &b.head[i].hdr
		h.Namelen = uint32(unsafe.Sizeof(b.name[i]))
		h.SetControllen(int(unsafe.Sizeof(b.ctl[i])))
		h.Flags = 0
	}
	for {
		n, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.head[0])), batchSize,
			unix.MSG_DONTWAIT, 0, 0)
		switch e {
		case 0:
			return int(n)
		case unix.EINTR, unix.ECONNREFUSED: // the latter is an ICMP answer, read off by the call
			continue
		}
		return 0
	}
}

// give passes one datagram on, unless it was cut.
func (b *batch) give(i int, now time.Time, fn receiver) {
	h := &b.head[i]
	if h.hdr.Flags&unix.MSG_TRUNC != 0 || h.n == 0 {
		return
	}
	from, ok := sockaddr(&b.name[i])
	if !ok {
		return
	}
	ago := time.Duration(0)
	if at, ok := b.stamp(i); ok {
		// A clock that is set between the two readings must not shift sound.
		ago = min(max(now.Sub(at), 0), time.Second)
	}
	fn(b.buf[i][:h.n], from, ago)
}

// stamp reads the kernel's time of arrival.
func (b *batch) stamp(i int) (time.Time, bool) {
	h := &b.head[i].hdr
	c := (*unix.Cmsghdr)(unsafe.Pointer(&b.ctl[i]))
	if int(h.Controllen) < unix.CmsgLen(8) || c.Level != unix.SOL_SOCKET || c.Type != unix.SO_TIMESTAMPNS {
		return time.Time{}, false
	}
	data := unsafe.Slice((*byte)(unsafe.Pointer(&b.ctl[i])), unsafe.Sizeof(b.ctl[i]))[unix.CmsgLen(0):]
	switch {
	case int(c.Len) >= unix.CmsgLen(16): // 64-bit struct timespec
		return time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:]))), true
	case int(c.Len) >= unix.CmsgLen(8): // 32-bit
		return time.Unix(int64(binary.NativeEndian.Uint32(data)), int64(binary.NativeEndian.Uint32(data[4:]))), true
	}
	return time.Time{}, false
}

// putSockaddr writes an address in the kernel's form and returns its length.
func putSockaddr(sa *unix.RawSockaddrInet6, to netip.AddrPort) uintptr {
	addr := to.Addr().Unmap()
	if addr.Is4() {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		*four = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: addr.As4()}
		putPort(&four.Port, to.Port())
		return unsafe.Sizeof(*four)
	}
	*sa = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: addr.As16()}
	if zone := addr.Zone(); zone != "" {
		if ifi, err := net.InterfaceByName(zone); err == nil {
			sa.Scope_id = uint32(ifi.Index)
		}
	}
	putPort(&sa.Port, to.Port())
	return unsafe.Sizeof(*sa)
}

// sockaddr reads the kernel's form. A zone is left out: what is link-local here
// is answered on the link the socket is bound to.
func sockaddr(sa *unix.RawSockaddrInet6) (netip.AddrPort, bool) {
	switch sa.Family {
	case unix.AF_INET:
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), port(&four.Port)), true
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), port(&sa.Port)), true
	}
	return netip.AddrPort{}, false
}

// Ports stand in network order whatever the machine's own is.
func putPort(p *uint16, v uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(p))[:], v)
}

func port(p *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:])
}
