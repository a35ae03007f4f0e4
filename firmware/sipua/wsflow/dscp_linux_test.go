package wsflow

import (
	"net"
	"syscall"
	"testing"
)

func TestDSCP(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	c := dial(t, serve(t, nil, func(*peer) { <-release }), Options{})
	raw, err := c.tcp.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var tos int
	raw.Control(func(fd uintptr) { tos, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TOS) })
	if err != nil || tos != cs3 {
		t.Errorf("TOS %#x, %v", tos, err)
	}
}
