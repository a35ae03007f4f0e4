package console

import (
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Connections at once, in all and from one peer. A page needs one for its
// socket and a few while it loads.
const (
	maxConns     = 128
	maxPeerConns = 24
)

// bounded is a listener that hangs up on peers that may not connect or have
// too many connections, instead of keeping others waiting.
type bounded struct {
	net.Listener
	allow []netip.Prefix

	mu    sync.Mutex
	total int
	peers map[netip.Addr]int
}

func newBounded(ln net.Listener, allow []netip.Prefix) *bounded {
	return &bounded{Listener: ln, allow: allow, peers: map[netip.Addr]int{}}
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		var from netip.Addr
		if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			from = a.AddrPort().Addr().Unmap()
		}
		if b.take(from) {
			return &boundedConn{Conn: c, free: sync.OnceFunc(func() { b.give(from) })}, nil
		}
		c.Close()
	}
}

func (b *bounded) take(from netip.Addr) bool {
	if len(b.allow) > 0 && !slices.ContainsFunc(b.allow, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.total >= maxConns || b.peers[from] >= maxPeerConns {
		return false
	}
	b.total++
	b.peers[from]++
	return true
}

func (b *bounded) give(from netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total--
	if b.peers[from]--; b.peers[from] == 0 {
		delete(b.peers, from)
	}
}

type boundedConn struct {
	net.Conn
	free func()
}

func (c *boundedConn) Close() error {
	c.free()
	return c.Conn.Close()
}
