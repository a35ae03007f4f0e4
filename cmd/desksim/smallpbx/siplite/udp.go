package siplite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// UDP is a SIP socket. Read it with Run.
type UDP struct {
	conn  *net.UDPConn
	local string
}

// udpFlow is comparable: the same peer gives the same flow.
type udpFlow struct {
	u    *UDP
	peer netip.AddrPort
}

// ListenUDP opens the socket; port 0 takes a free one.
func ListenUDP(addr string) (*UDP, error) {
	a, err := net.ResolveUDPAddr("udp4", addr)
	if err != nil {
		return nil, fmt.Errorf("SIP over UDP on %s: %w", addr, err)
	}
	c, err := net.ListenUDP("udp4", a)
	if err != nil {
		return nil, fmt.Errorf("SIP over UDP on %s: %w", addr, err)
	}
	return &UDP{conn: c, local: c.LocalAddr().String()}, nil
}

// Addr is the socket's host:port.
func (u *UDP) Addr() string { return u.local }

// Flow is the way to a peer's host:port.
func (u *UDP) Flow(peer string) (Flow, error) {
	a, err := net.ResolveUDPAddr("udp4", peer)
	if err != nil {
		return nil, fmt.Errorf("SIP peer %s: %w", peer, err)
	}
	ap := a.AddrPort()
	return udpFlow{u, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())}, nil
}

// Run hands each datagram to receive until ctx ends, and closes the socket.
func (u *UDP) Run(ctx context.Context, receive func(Flow, []byte)) error {
	stop := context.AfterFunc(ctx, func() { u.conn.Close() })
	defer stop()
	buf := make([]byte, MaxMessage+1)
	for {
		n, peer, err := u.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return ctx.Err()
			}
			continue // an ICMP error of an earlier send: the socket is fine
		}
		msg := make([]byte, n) // headers keep slices of it
		copy(msg, buf[:n])
		receive(udpFlow{u, netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())}, msg)
	}
}

// Close closes the socket, for a UDP that was never run.
func (u *UDP) Close() error { return u.conn.Close() }

func (f udpFlow) Send(msg []byte) error {
	_, err := f.u.conn.WriteToUDPAddrPort(msg, f.peer)
	return err
}
func (f udpFlow) Reliable() bool        { return false }
func (f udpFlow) Transport() string     { return "UDP" }
func (f udpFlow) Local() string         { return f.u.local }
func (f udpFlow) Remote() string        { return f.peer.String() }
func (f udpFlow) Done() <-chan struct{} { return nil }
