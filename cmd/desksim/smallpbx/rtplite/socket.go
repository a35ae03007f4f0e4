package rtplite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/pion/rtp"
)

// Socket is the UDP socket of one RTP stream.
type Socket struct {
	conn  *net.UDPConn
	local netip.AddrPort
	peer  atomic.Pointer[netip.AddrPort]
	// Latch sends to where RTP comes from, whatever the SDP said: for phones
	// behind NAT (RFC 4961). Set it before Run.
	Latch bool
}

// Listen opens a socket on a free port of ip.
func Listen(ip netip.Addr) (*Socket, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	if err != nil {
		return nil, fmt.Errorf("open an RTP socket: %w", err)
	}
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return &Socket{conn: c, local: netip.AddrPortFrom(ip, a.Port())}, nil
}

// Addr is where this socket receives.
func (s *Socket) Addr() netip.AddrPort { return s.local }

// SetPeer says where to send.
func (s *Socket) SetPeer(a netip.AddrPort) { s.peer.Store(&a) }

// Write sends a packet to the peer; without a peer, or while held by an
// unspecified address, it goes nowhere.
func (s *Socket) Write(h *rtp.Header, payload []byte) error {
	peer := s.peer.Load()
	if peer == nil || peer.Addr().IsUnspecified() {
		return nil
	}
	b, err := (&rtp.Packet{Header: *h, Payload: payload}).Marshal()
	if err != nil {
		return fmt.Errorf("pack RTP: %w", err)
	}
	_, err = s.conn.WriteToUDPAddrPort(b, *peer)
	return err
}

// Run hands each RTP packet to receive, which must be done with it when it
// returns, until ctx ends or the socket is closed.
func (s *Socket) Run(ctx context.Context, receive func(*rtp.Packet)) error {
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	buf := make([]byte, 2048)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return ctx.Err()
			}
			continue // ICMP of a peer that is not there (yet)
		}
		if n < 12 || buf[0]>>6 != 2 || (buf[1] >= 192 && buf[1] <= 223) {
			continue // not RTP, or RTCP on the same port (RFC 5761)
		}
		var p rtp.Packet
		if p.Unmarshal(buf[:n]) != nil {
			continue
		}
		if s.Latch {
			if old := s.peer.Load(); old == nil || *old != from {
				s.SetPeer(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
			}
		}
		receive(&p)
	}
}

// Close ends Run.
func (s *Socket) Close() error { return s.conn.Close() }
