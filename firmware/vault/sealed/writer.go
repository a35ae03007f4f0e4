package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// Writer makes the bytes of one file. It writes nothing itself and is used by
// one goroutine. Its key is never stored: once it is dropped, only recipients
// can open what it sealed, and a file is never continued by another Writer.
type Writer struct {
	head *Header
	kind byte
	aead cipher.AEAD
	next uint64
	buf  []byte // plaintext of the segment at hand
}

// NewWriter makes a file key, wraps it to every recipient and returns the bytes
// that the file begins with (both copies of the header).
func NewWriter(m Meta, to []*PublicKey) (*Writer, []byte, error) {
	if len(to) == 0 || len(to) > MaxRecipients {
		return nil, nil, fmt.Errorf("seal %s part %d: %d recipients, need 1 to %d", m.Kind, m.Part, len(to), MaxRecipients)
	}
	info, err := m.info()
	if err != nil {
		return nil, nil, err
	}
	key := make([]byte, 32)
	defer clear(key)
	rand.Read(key)
	h := &Header{Meta: m}
	for _, r := range to {
		w, err := hpke.Seal(r.key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, key)
		if err != nil {
			return nil, nil, fmt.Errorf("wrap key to %s: %w", r.id, err)
		}
		h.Keys = append(h.Keys, r.id)
		h.wrapped = append(h.wrapped, w)
	}
	b, err := h.encode()
	if err != nil {
		return nil, nil, err
	}
	a, err := newAEAD(key)
	if err != nil {
		return nil, nil, err
	}
	return &Writer{head: h, kind: b[6], aead: a}, append(b, b...), nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	c, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("file key: %w", err)
	}
	a, err := cipher.NewGCMWithRandomNonce(c)
	if err != nil {
		return nil, fmt.Errorf("file key: %w", err)
	}
	return a, nil
}

// Next is the number of the next segment, from 0.
func (w *Writer) Next() uint64 { return w.next }

// SizeOf is how many bytes a segment with n bytes of data takes in the file.
func SizeOf(n int) int { return roundUp(frameLen + nonceTag + lenLen + n) }

// Segment seals data as the next segment; last marks the clean end of the file.
func (w *Writer) Segment(data []byte, last bool) ([]byte, error) {
	return w.seal(data, w.next, last)
}

// Amend seals data as the next segment, to be read in place of segment of,
// which stays in the file and is read if this one is damaged.
func (w *Writer) Amend(of uint64, data []byte) ([]byte, error) {
	if of >= w.next {
		return nil, fmt.Errorf("amend segment %d of %d", of, w.next)
	}
	return w.seal(data, of, false)
}

func (w *Writer) seal(data []byte, of uint64, last bool) ([]byte, error) {
	if w.aead == nil {
		return nil, errors.New("file key is gone")
	}
	if len(data) > MaxData {
		return nil, fmt.Errorf("segment of %d bytes, at most %d", len(data), MaxData)
	}
	size := SizeOf(len(data))
	f := make([]byte, frameLen, size)
	copy(f, "DSEG")
	if last {
		f[4] = flagLast
	}
	f[5] = w.kind
	binary.BigEndian.PutUint16(f[6:], uint16(size/Block))
	binary.BigEndian.PutUint64(f[8:], w.next)
	binary.BigEndian.PutUint64(f[16:], of)
	copy(f[24:32], w.head.sum[:8])

	w.buf = binary.BigEndian.AppendUint32(w.buf[:0], uint32(len(data)))
	w.buf = append(w.buf, data...)
	w.buf = append(w.buf, make([]byte, size-frameLen-nonceTag-len(w.buf))...)
	f = w.aead.Seal(f, nil, w.buf, associated(&w.head.sum, f))
	clear(w.buf)
	sum := frameSum(&w.head.sum, f)
	copy(f[32:64], sum[:])
	w.next++
	return f, nil
}

// Wipe drops the key. Go cannot promise that no copy is left in RAM; the
// key's bytes themselves were cleared when the cipher was made.
func (w *Writer) Wipe() {
	w.aead = nil
	clear(w.buf)
}

func associated(head *[32]byte, frame []byte) []byte {
	return append(append(make([]byte, 0, 64), head[:]...), frame[:32]...)
}

func frameSum(head *[32]byte, frame []byte) [32]byte {
	h := sha256.New()
	h.Write(head[:])
	h.Write(frame[:32])
	h.Write(frame[64:])
	return [32]byte(h.Sum(nil))
}
