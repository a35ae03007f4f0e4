// Package sealed is the file format of one part of a recording: who may open
// it, and its segments. It knows bytes only: no disk policy, no clock.
//
// A file is a header, written twice, and then segments, each a whole number of
// 4 KiB blocks so that a synced segment never shares a block with the next:
//
//	header   0  "DSREC" version(1) kind('F'|'V') recipients(1)
//	         8  length u32, part u32, sequence u64, recording id (16)
//	        40  SHA-256 of the padded header with this field zero
//	        72  per recipient: key id (16), length u16, wrapped key; zeros
//	segment  0  "DSEG" flags(1) kind(1) blocks u16, number u64, of u64
//	        24  first 8 bytes of the header's SHA-256
//	        32  SHA-256 of that whole hash, bytes 0..31 and the body
//	        64  body: nonce (12), AES-256-GCM of [length u32, data, zeros], tag (16)
//
// Integers are big endian. The file key is random, lives in RAM only, and is
// wrapped to each recipient with HPKE (RFC 9180) in base mode: ML-KEM-768 with
// X25519, HKDF-SHA256, AES-256-GCM. The associated data of a segment is the
// header's hash and bytes 0..31, so a segment is bound to its recording, part,
// place and end mark. The second hash is not a secret's: it lets a seat without
// a key tell whole segments from torn ones and from what an earlier recording
// left in a reused file. Padding lies inside the seal, so sizes show blocks only.
package sealed

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"deskset/firmware/fleet"

	"github.com/google/uuid"
)

const (
	// Block is the unit of everything in a file, in bytes.
	Block = 4096
	// MaxBlocks bounds one segment.
	MaxBlocks = 256
	// MaxData is the most plaintext one segment can hold, in bytes.
	MaxData = MaxBlocks*Block - frameLen - nonceTag - lenLen
	// MaxRecipients bounds the header.
	MaxRecipients = 8

	version   = 1
	frameLen  = 64
	nonceTag  = 12 + 16
	lenLen    = 4
	headFixed = 72
	maxHeader = 4 * Block
	flagLast  = 1
)

// Errors by what the caller does about them.
var (
	// ErrHeader: neither copy of the header is whole; nothing can be read.
	ErrHeader = errors.New("header is damaged in both copies")
	// ErrNotRecipient: the file is whole, another key opens it.
	ErrNotRecipient = errors.New("the file is not sealed to this key")
)

// Meta says which part of which recording a file is.
type Meta struct {
	ID   string // UUID of the recording
	Seq  uint64 // the seat's sequence number of it
	Kind fleet.Kind
	Part int // from 1, counted for each kind
}

// Header is what a file says of itself without a key.
type Header struct {
	Meta
	Keys []string // KeyID of each recipient

	size    int64 // of one copy, padded
	sum     [32]byte
	wrapped [][]byte
}

func kindByte(k fleet.Kind) (byte, error) {
	switch k {
	case fleet.Facts:
		return 'F', nil
	case fleet.Voice:
		return 'V', nil
	}
	return 0, fmt.Errorf("kind %q cannot be sealed", k)
}

func roundUp(n int) int { return (n + Block - 1) / Block * Block }

// info binds a wrapped key to its file (RFC 9180 section 5.1).
func (m Meta) info() ([]byte, error) {
	id, err := uuid.Parse(m.ID)
	if err != nil {
		return nil, fmt.Errorf("recording id: %w", err)
	}
	k, err := kindByte(m.Kind)
	if err != nil {
		return nil, err
	}
	if m.Part < 1 || int64(m.Part) > 1<<31 {
		return nil, fmt.Errorf("part number %d", m.Part)
	}
	b := append([]byte("deskset sealed/1 "), id[:]...)
	b = append(b, k)
	b = binary.BigEndian.AppendUint32(b, uint32(m.Part))
	return binary.BigEndian.AppendUint64(b, m.Seq), nil
}

// encode lays out one copy of the header and fills in size and sum.
func (h *Header) encode() ([]byte, error) {
	k, err := kindByte(h.Kind)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(h.ID)
	if err != nil {
		return nil, fmt.Errorf("recording id: %w", err)
	}
	b := append([]byte("DSREC"), version, k, byte(len(h.Keys)))
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(h.Part))
	b = binary.BigEndian.AppendUint64(b, h.Seq)
	b = append(b, id[:]...)
	b = append(b, make([]byte, 32)...)
	for i, w := range h.wrapped {
		kid, err := decodeKeyID(h.Keys[i])
		if err != nil {
			return nil, err
		}
		b = append(b, kid[:]...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(w)))
		b = append(b, w...)
	}
	b = append(b, make([]byte, roundUp(len(b))-len(b))...)
	if len(b) > maxHeader {
		return nil, fmt.Errorf("header of %d bytes is too large", len(b))
	}
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)))
	h.size = int64(len(b))
	h.sum = sha256.Sum256(b)
	copy(b[40:], h.sum[:])
	return b, nil
}

// parseHeader reads one copy at the start of b.
func parseHeader(b []byte) (*Header, error) {
	if len(b) < Block || string(b[:5]) != "DSREC" {
		return nil, errors.New("no header")
	}
	if b[5] != version {
		return nil, fmt.Errorf("format version %d is not known here", b[5])
	}
	size := int(binary.BigEndian.Uint32(b[8:]))
	if size < Block || size > maxHeader || size%Block != 0 || size > len(b) {
		return nil, fmt.Errorf("header length %d", size)
	}
	b = b[:size]
	h := &Header{size: int64(size)}
	copy(h.sum[:], b[40:72])
	sum := sha256.New()
	sum.Write(b[:40])
	sum.Write(make([]byte, 32))
	sum.Write(b[72:])
	if [32]byte(sum.Sum(nil)) != h.sum {
		return nil, errors.New("header checksum")
	}
	switch b[6] {
	case 'F':
		h.Kind = fleet.Facts
	case 'V':
		h.Kind = fleet.Voice
	default:
		return nil, fmt.Errorf("kind %q", b[6])
	}
	n := int(b[7])
	if n > MaxRecipients {
		return nil, fmt.Errorf("%d recipients", n)
	}
	h.Part = int(binary.BigEndian.Uint32(b[12:]))
	h.Seq = binary.BigEndian.Uint64(b[16:])
	h.ID = uuid.UUID(b[24:40]).String()
	p := headFixed
	for range n {
		if p+18 > size {
			return nil, errors.New("recipients overrun the header")
		}
		l := int(binary.BigEndian.Uint16(b[p+16:]))
		if p+18+l > size {
			return nil, errors.New("recipients overrun the header")
		}
		h.Keys = append(h.Keys, encodeKeyID(b[p:p+16]))
		h.wrapped = append(h.wrapped, append([]byte(nil), b[p+18:p+18+l]...))
		p += 18 + l
	}
	return h, nil
}
