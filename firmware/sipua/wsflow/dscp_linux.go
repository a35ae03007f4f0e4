package wsflow

import (
	"strings"
	"syscall"
)

// cs3 is the DSCP of signalling (class CS3) in its
// place in the TOS byte.
const cs3 = 24 << 2

// markSignalling asks the network to treat the flow as signalling. A kernel or
// container that refuses it costs priority, not the connection.
func markSignalling(network, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		if strings.HasSuffix(network, "6") {
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS, cs3)
		} else {
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TOS, cs3)
		}
	})
}
