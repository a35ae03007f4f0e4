package oggopus

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// An Ogg page (RFC 3533 section 6).
type page struct {
	flags   byte
	granule uint64
	serial  uint32
	seq     uint32
	packets [][]byte // whole ones only
}

const (
	flagContinued = 1
	flagBegin     = 2
	flagEnd       = 4

	capture    = "OggS"
	headerSize = 27
	maxLaces   = 255
	maxPage    = headerSize + maxLaces + maxLaces*255
	crcAt      = 22
)

// laces is the number of lacing values of a packet.
func laces(n int) int { return n/255 + 1 }

// fitting is how many of the packets go on one page.
func fitting(packets [][]byte) int {
	n := 0
	for i, p := range packets {
		if n += laces(len(p)); n > maxLaces {
			return i
		}
	}
	return len(packets)
}

func appendPage(b []byte, p page) []byte {
	start := len(b)
	b = append(b, capture...)
	b = append(b, 0, p.flags)
	b = binary.LittleEndian.AppendUint64(b, p.granule)
	b = binary.LittleEndian.AppendUint32(b, p.serial)
	b = binary.LittleEndian.AppendUint32(b, p.seq)
	b = append(b, 0, 0, 0, 0) // checksum
	count := len(b)
	b = append(b, 0)
	for _, pkt := range p.packets {
		n := len(pkt)
		for ; n >= 255; n -= 255 {
			b = append(b, 255)
		}
		b = append(b, byte(n))
	}
	b[count] = byte(len(b) - count - 1)
	for _, pkt := range p.packets {
		b = append(b, pkt...)
	}
	binary.LittleEndian.PutUint32(b[start+crcAt:], checksum(b[start:]))
	return b
}

var errPage = errors.New("oggopus: damaged page")

// pageSize is the size of the page that b begins with, as far as b tells: the
// result grows as more of the header is there.
func pageSize(b []byte) (int, error) {
	if len(b) < headerSize {
		return headerSize, nil
	}
	if string(b[:4]) != capture || b[4] != 0 {
		return 0, fmt.Errorf("%w: no page begins here", errPage)
	}
	n := headerSize + int(b[26])
	if len(b) < n {
		return n, nil
	}
	for _, l := range b[headerSize:n] {
		n += int(l)
	}
	return n, nil
}

// parsePage takes apart b, which is one whole page. The packets refer to b.
func parsePage(b []byte) (page, error) {
	sum := binary.LittleEndian.Uint32(b[crcAt:])
	if got := checksumPage(b); got != sum {
		return page{}, fmt.Errorf("%w: checksum", errPage)
	}
	p := page{
		flags:   b[5],
		granule: binary.LittleEndian.Uint64(b[6:]),
		serial:  binary.LittleEndian.Uint32(b[14:]),
		seq:     binary.LittleEndian.Uint32(b[18:]),
	}
	if p.flags&^(flagBegin|flagEnd) != 0 {
		return page{}, fmt.Errorf("%w: a packet goes on from the page before", errPage)
	}
	lacing := b[headerSize : headerSize+int(b[26])]
	body := b[headerSize+len(lacing):]
	n := 0
	for i, l := range lacing {
		n += int(l)
		if l < 255 {
			p.packets = append(p.packets, body[:n])
			body, n = body[n:], 0
		} else if i == len(lacing)-1 {
			return page{}, fmt.Errorf("%w: a packet goes on in the page after", errPage)
		}
	}
	return p, nil
}

// crcTable is that of the polynomial 04c11db7, not reflected (RFC 3533 section
// 6, item 6), which hash/crc32 does not have.
var crcTable = func() (t [256]uint32) {
	for i := range t {
		r := uint32(i) << 24
		for range 8 {
			if r&(1<<31) != 0 {
				r = r<<1 ^ 0x04c11db7
			} else {
				r <<= 1
			}
		}
		t[i] = r
	}
	return t
}()

func crc(c uint32, b []byte) uint32 {
	for _, x := range b {
		c = c<<8 ^ crcTable[byte(c>>24)^x]
	}
	return c
}

func checksum(b []byte) uint32 { return crc(0, b) }

// checksumPage sums a page with its checksum field taken as zero.
func checksumPage(b []byte) uint32 {
	c := crc(0, b[:crcAt])
	c = crc(c, []byte{0, 0, 0, 0})
	return crc(c, b[crcAt+4:])
}
