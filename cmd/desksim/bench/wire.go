package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// seen is a UDP datagram that passed on the loopback interface.
type seen struct {
	at       time.Time // by the kernel
	src, dst uint16
	b        []byte
}

// wire listens to the loopback interface. It needs root.
type wire struct {
	fd   int
	done sync.WaitGroup

	mu  sync.Mutex
	got []seen
}

const keepPayload = 2000

func tap() (*wire, error) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return nil, err
	}
	all := uint16(unix.ETH_P_IP)
	proto := all<<8 | all>>8 // network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(proto))
	if err != nil {
		return nil, fmt.Errorf("listen to the loopback interface (as root): %w", err)
	}
	w := &wire{fd: fd}
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: lo.Index})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	}
	if err == nil { // so that close is noticed
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 200000})
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listen to the loopback interface: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	w.done.Go(w.read)
	return w, nil
}

func (w *wire) read() {
	buf, oob := make([]byte, 65536), make([]byte, 128)
	for {
		n, on, _, from, err := unix.Recvmsg(w.fd, buf, oob, 0)
		if err == unix.EAGAIN || err == unix.EINTR {
			w.mu.Lock()
			gone := w.fd < 0
			w.mu.Unlock()
			if gone {
				return
			}
			continue
		}
		if err != nil {
			return
		}
		// On loopback each packet is there twice, going out and coming in.
		if ll, ok := from.(*unix.SockaddrLinklayer); !ok || ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if s, ok := parseUDP(buf[:n]); ok {
			s.at = stamp(oob[:on])
			w.mu.Lock()
			w.got = append(w.got, s)
			w.mu.Unlock()
		}
	}
}

func stamp(oob []byte) time.Time {
	all, err := unix.ParseSocketControlMessage(oob)
	if err == nil {
		for _, m := range all {
			if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
				return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
			}
		}
	}
	return time.Now()
}

// parseUDP reads an IPv4 packet that carries UDP.
func parseUDP(b []byte) (s seen, ok bool) {
	if len(b) < 28 || b[0]>>4 != 4 || b[9] != unix.IPPROTO_UDP {
		return s, false
	}
	head := int(b[0]&15) * 4
	if head < 20 || len(b) < head+8 {
		return s, false
	}
	u := b[head:]
	s.src, s.dst = binary.BigEndian.Uint16(u), binary.BigEndian.Uint16(u[2:])
	s.b = bytes.Clone(u[8:min(len(u), 8+keepPayload)])
	return s, true
}

// close ends the listening and gives what was seen.
func (w *wire) close() []seen {
	w.mu.Lock()
	fd := w.fd
	w.fd = -1
	w.mu.Unlock()
	w.done.Wait()
	_ = unix.Close(fd)
	return w.got
}

var audioLine = regexp.MustCompile(`(?m)^m=audio (\d+) `)
var inviteSeq = regexp.MustCompile(`(?im)^CSeq: *\d+ INVITE`)

// phoneCall is one call of a desk phone as it passed on the wire.
type phoneCall struct {
	answered time.Time // the 200 passed
	media    uint16    // the phone's RTP port
	in, out  []seen    // its RTP
}

// readCall finds the newest call of the phone whose SIP port is given.
func readCall(all []seen, phone uint16) (c phoneCall, err error) {
	for _, s := range all {
		if s.src != phone && s.dst != phone {
			continue
		}
		text := string(s.b)
		ok := strings.HasPrefix(text, "SIP/2.0 200") && inviteSeq.MatchString(text)
		if ok {
			c.answered = s.at
		}
		if s.src == phone && (ok || strings.HasPrefix(text, "INVITE ")) {
			if m := audioLine.FindStringSubmatch(text); m != nil {
				n, _ := strconv.ParseUint(m[1], 10, 16)
				c.media = uint16(n)
			}
		}
	}
	if c.answered.IsZero() || c.media == 0 {
		return c, fmt.Errorf("the call was not seen on the wire (%d datagrams, phone at port %d)", len(all), phone)
	}
	for _, s := range all {
		switch {
		case !isRTP(s.b):
		case s.dst == c.media:
			c.in = append(c.in, s)
		case s.src == c.media:
			c.out = append(c.out, s)
		}
	}
	return c, nil
}

// isRTP tells RTP from STUN, DTLS and RTCP (RFC 7983, RFC 5761).
func isRTP(b []byte) bool {
	return len(b) > 12 && b[0] >= 128 && b[0] <= 191 && (b[1] < 192 || b[1] > 223)
}
