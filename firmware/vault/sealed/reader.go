package sealed

import (
	"bytes"
	"cmp"
	"crypto/cipher"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Layout is what can be known of a file without a key.
type Layout struct {
	Header   *Header
	Segments int   // whole segments
	Size     int64 // end of the last whole segment, in bytes; what follows is not part of the file
	Clean    bool  // the last whole segment carries the end mark
	Damaged  int   // segments missing before the last whole one

	frames []frame
}

type frame struct {
	off    int64
	blocks int
	seq    uint64
	of     uint64
	last   bool
}

// Scan reads the header and finds every whole segment of a file. The error is
// ErrHeader when neither header copy is whole, else a failed read.
func Scan(r io.ReaderAt, size int64) (*Layout, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	l := &Layout{Header: h, Size: min(2*h.size, size)}
	buf := make([]byte, Block)
	for off := 2 * h.size; off+Block <= size; {
		f, err := readFrame(r, size, off, h, &buf)
		if err != nil {
			return nil, err
		}
		if f == nil {
			off += Block
			continue
		}
		l.frames = append(l.frames, *f)
		off += int64(f.blocks) * Block
		l.Size = off
	}
	l.Segments = len(l.frames)
	if n := len(l.frames); n > 0 {
		end := l.frames[n-1]
		l.Clean = end.last
		if missing := int64(end.seq+1) - int64(n); missing > 0 {
			l.Damaged = int(missing)
		}
	}
	return l, nil
}

func readHeader(r io.ReaderAt, size int64) (*Header, error) {
	b := make([]byte, min(size, 2*maxHeader))
	if n, err := r.ReadAt(b, 0); err != nil && (err != io.EOF || n < len(b)) {
		return nil, fmt.Errorf("read header: %w", err)
	}
	var first error
	for off := 0; off+Block <= len(b) && off <= maxHeader; off += Block {
		h, err := parseHeader(b[off:])
		if err == nil {
			// The second copy stands where the first one ends.
			if off != 0 && int64(off) != h.size {
				continue
			}
			return h, nil
		}
		if off == 0 {
			first = err
		}
	}
	return nil, fmt.Errorf("%w: %v", ErrHeader, first)
}

// readFrame returns nil without an error where no whole segment of this file
// begins at off. buf is reused and holds the frame afterwards.
func readFrame(r io.ReaderAt, size, off int64, h *Header, buf *[]byte) (*frame, error) {
	b := (*buf)[:frameLen]
	if _, err := r.ReadAt(b, off); err != nil {
		return nil, fmt.Errorf("read segment at %d: %w", off, err)
	}
	blocks := int(binary.BigEndian.Uint16(b[6:]))
	if string(b[:4]) != "DSEG" || !bytes.Equal(b[24:32], h.sum[:8]) ||
		blocks == 0 || blocks > MaxBlocks || off+int64(blocks)*Block > size {
		return nil, nil
	}
	n := blocks * Block
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	b = (*buf)[:n]
	if _, err := r.ReadAt(b, off); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read segment at %d: %w", off, err)
	}
	if frameSum(&h.sum, b) != [32]byte(b[32:64]) {
		return nil, nil
	}
	return &frame{
		off: off, blocks: blocks,
		seq: binary.BigEndian.Uint64(b[8:]), of: binary.BigEndian.Uint64(b[16:]),
		last: b[4]&flagLast != 0,
	}, nil
}

// Segment is one opened segment.
type Segment struct {
	Seq  uint64 // its place; an amended segment keeps its first place
	Data []byte // valid until the next call of Next
	Last bool
}

// Damage is a segment that could not be opened. It is an error of Next, after
// which reading goes on with the segment that follows.
type Damage struct {
	Seq    uint64 // place of the first one that is lost
	Count  uint64 // how many in a row
	Reason string
}

func (d *Damage) Error() string {
	if d.Count == 1 {
		return fmt.Sprintf("segment %d is damaged: %s", d.Seq, d.Reason)
	}
	return fmt.Sprintf("segments %d to %d are damaged: %s", d.Seq, d.Seq+d.Count-1, d.Reason)
}

// Reader opens the segments of a file in the order of their places.
type Reader struct {
	r     io.ReaderAt
	size  int64
	lay   *Layout
	aead  cipher.AEAD
	queue []frame // by place, amendments of a place newest first
	want  uint64
	buf   []byte
	clean bool
	bad   uint64 // frames in a row whose seal did not open
	tail  bool   // the end was looked at
}

var errSeal = errors.New("its seal does not open")

// Open finds the file key with key and every whole segment of the file. size
// is the manifest's: with it a lost end is noticed.
func Open(r io.ReaderAt, size int64, key *PrivateKey) (*Reader, error) {
	lay, err := Scan(r, size)
	if err != nil {
		return nil, err
	}
	h := lay.Header
	i := slices.Index(h.Keys, key.id)
	if i < 0 {
		return nil, fmt.Errorf("%w: it is sealed to %v, this key is %s", ErrNotRecipient, h.Keys, key.id)
	}
	info, err := h.info()
	if err != nil {
		return nil, err
	}
	dek, err := hpke.Open(key.key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, h.wrapped[i])
	if err != nil {
		return nil, fmt.Errorf("unwrap file key with %s: %w", key.id, err)
	}
	defer clear(dek)
	a, err := newAEAD(dek)
	if err != nil {
		return nil, err
	}
	q := slices.Clone(lay.frames)
	slices.SortStableFunc(q, func(a, b frame) int {
		return cmp.Or(cmp.Compare(a.of, b.of), cmp.Compare(b.seq, a.seq))
	})
	return &Reader{r: r, size: size, lay: lay, aead: a, queue: q}, nil
}

// Header of the file.
func (r *Reader) Header() *Header { return r.lay.Header }

// Clean says, after io.EOF, whether the last segment carried the end mark.
func (r *Reader) Clean() bool { return r.clean }

// Next returns the next segment, a *Damage where some are lost, or io.EOF.
func (r *Reader) Next() (Segment, error) {
	for len(r.queue) > 0 {
		f := r.queue[0]
		if f.of < r.want { // an older version of a place already read
			r.queue = r.queue[1:]
			continue
		}
		data, err := r.open(f)
		if errors.Is(err, errSeal) {
			// What the frame says of itself is not to be believed either. The
			// place is missed when the next good one comes, unless an older
			// version of it stands behind.
			r.queue = r.queue[1:]
			r.bad++
			continue
		}
		if err != nil {
			return Segment{}, err
		}
		r.bad = 0
		if lost := r.missing(f.of); lost != nil {
			return Segment{}, lost // f comes with the next call
		}
		r.queue = r.queue[1:]
		r.want = f.of + 1
		r.clean = r.clean || f.last
		return Segment{Seq: f.of, Data: data, Last: f.last}, nil
	}
	if bad := r.bad; bad > 0 {
		r.bad, r.tail = 0, true
		return Segment{}, &Damage{Seq: r.want, Count: bad, Reason: errSeal.Error()}
	}
	if !r.tail && r.lay.Size < r.size {
		r.tail = true
		return Segment{}, &Damage{Seq: r.want, Count: 1, Reason: fmt.Sprintf("%d bytes after it cannot be read", r.size-r.lay.Size)}
	}
	return Segment{}, io.EOF
}

// missing reports places between want and of that nothing stands for. Numbers
// that amendments took are no places.
func (r *Reader) missing(of uint64) *Damage {
	if r.want >= of {
		return nil
	}
	var taken []uint64
	for _, f := range r.lay.frames {
		if f.of != f.seq && f.seq >= r.want && f.seq < of {
			taken = append(taken, f.seq)
		}
	}
	slices.Sort(taken)
	for r.want < of {
		if len(taken) > 0 && taken[0] == r.want {
			taken = taken[1:]
			r.want++
			continue
		}
		end := of
		if len(taken) > 0 {
			end = taken[0]
		}
		d := &Damage{Seq: r.want, Count: end - r.want, Reason: "no whole segment is found there, or its seal does not open"}
		r.want = end
		return d
	}
	return nil
}

func (r *Reader) open(f frame) ([]byte, error) {
	n := f.blocks * Block
	if cap(r.buf) < n {
		r.buf = make([]byte, n)
	}
	b := r.buf[:n]
	if _, err := r.r.ReadAt(b, f.off); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read segment %d: %w", f.seq, err)
	}
	plain, err := r.aead.Open(b[frameLen:frameLen], nil, b[frameLen:], associated(&r.lay.Header.sum, b))
	if err != nil || len(plain) < lenLen {
		return nil, errSeal
	}
	l := binary.BigEndian.Uint32(plain)
	if uint64(l) > uint64(len(plain)-lenLen) {
		return nil, errSeal
	}
	return plain[lenLen : lenLen+int(l)], nil
}
