//go:build !linux

package media

import (
	"fmt"
	"net"
	"net/netip"
)

func openSocket(addr netip.Addr) (socket, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return nil, fmt.Errorf("media socket: %w", err)
	}
	return newConnSocket(c)
}
