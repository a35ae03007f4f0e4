package rig

import (
	"errors"
	"io"
	"net"
	"sync"
)

// Proxy passes a TCP port on to another and can cut what passes, as a bad
// cable does.
type Proxy struct {
	ln net.Listener

	mu    sync.Mutex
	to    string
	conns map[net.Conn]struct{}
	down  bool
}

// newProxy listens on a free loopback port.
func newProxy(to string) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{ln: ln, to: to, conns: map[net.Conn]struct{}{}}
	go p.serve()
	return p, nil
}

// Addr is the host:port to use instead of the other's.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Cut breaks every connection; new ones pass again unless down is set.
func (p *Proxy) Cut(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	for c := range p.conns {
		c.Close()
		delete(p.conns, c)
	}
}

// To passes new connections on to another address and breaks the present ones;
// it returns the address before.
func (p *Proxy) To(addr string) (before string) {
	p.mu.Lock()
	before, p.to = p.to, addr
	p.mu.Unlock()
	p.Cut(false)
	return before
}

// Close ends the proxy.
func (p *Proxy) Close() error {
	err := p.ln.Close()
	p.Cut(true)
	return err
}

func (p *Proxy) serve() {
	for {
		in, err := p.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		p.mu.Lock()
		to := p.to
		p.mu.Unlock()
		out, err := net.Dial("tcp", to)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		if p.down {
			p.mu.Unlock()
			in.Close()
			out.Close()
			continue
		}
		p.conns[in], p.conns[out] = struct{}{}, struct{}{}
		p.mu.Unlock()
		go p.pass(in, out)
		go p.pass(out, in)
	}
}

func (p *Proxy) pass(a, b net.Conn) {
	_, _ = io.Copy(a, b)
	a.Close()
	b.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, a)
	delete(p.conns, b)
}
