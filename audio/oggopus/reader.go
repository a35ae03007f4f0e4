package oggopus

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"deskset/audio/pcm"
)

// ErrFormat says that the bytes are not a recording of this package's making,
// or, to a strict Reader, not an undamaged one.
var ErrFormat = errors.New("oggopus: not a two-leg recording")

// maxSlots bounds the time line a damaged stream can claim: 24 hours.
const maxSlots = 24 * 3600 * PageSlots

// Slot is 20 ms of both legs, as Opus packets in the form they had in RTP.
type Slot struct {
	Agent, Customer []byte
	// Missing: the page of this slot is not there or damaged; both are nil.
	Missing bool
}

// Damage counts what a tolerant Reader had to bear.
type Damage struct {
	Missing   int   // slots that are silent because their page is not there
	Skipped   int64 // bytes that belong to no good page
	Truncated bool  // the end mark is not there
}

// Reader reads a recording page by page. It belongs to one goroutine.
type Reader struct {
	in       *bufio.Reader
	tolerant bool
	serial   uint32
	started  bool
	ended    bool
	seq      uint32
	slots    int64 // given out or queued so far
	gap      int64 // missing slots still to give out
	queue    [][]byte
	damage   Damage
	err      error
}

// NewReader reads strictly: any damage, gap or missing end is an error.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 2*maxPage)}
}

// NewTolerantReader skips what is damaged or missing; its time comes out as
// Missing slots where pages behind it show how long it was. Headers are not
// needed. Only a stream without a single good page is ErrFormat.
func NewTolerantReader(r io.Reader) *Reader {
	rd := NewReader(r)
	rd.tolerant = true
	return rd
}

// Damage tells what has been met so far.
func (r *Reader) Damage() Damage { return r.damage }

// Next gives the next slot; io.EOF after the last. The packets are the
// caller's to keep.
func (r *Reader) Next() (Slot, error) {
	for {
		switch {
		case r.gap > 0:
			r.gap--
			r.damage.Missing++
			return Slot{Missing: true}, nil
		case len(r.queue) > 0:
			s, err := split(r.queue[0])
			r.queue = r.queue[1:]
			if err == nil {
				return s, nil
			}
			if r.tolerant {
				r.damage.Missing++
				return Slot{Missing: true}, nil
			}
			r.err = fmt.Errorf("%w: %w", ErrFormat, err)
			r.queue = nil
			return Slot{}, r.err
		case r.err != nil:
			return Slot{}, r.err
		}
		r.err = r.page()
	}
}

// split takes the packet of a slot apart into its legs.
func split(b []byte) (Slot, error) {
	agent, rest, err := cutSelfDelimited(b)
	if err != nil {
		return Slot{}, err
	}
	s := Slot{Agent: agent, Customer: bytes.Clone(rest)}
	if err := Fits(s.Agent); err != nil {
		return Slot{}, err
	}
	if s.Customer == nil {
		return Slot{}, fmt.Errorf("%w: one leg only", ErrFormat)
	}
	return s, Fits(s.Customer)
}

// page reads the next page into queue and gap.
func (r *Reader) page() error {
	b, err := r.raw()
	if err == io.EOF {
		if r.ended {
			return io.EOF
		}
		if !r.tolerant {
			return fmt.Errorf("%w: no end mark: %w", ErrFormat, io.ErrUnexpectedEOF)
		}
		if !r.started {
			return ErrFormat
		}
		r.damage.Truncated = true
		return io.EOF
	}
	if err != nil {
		return err
	}
	p, err := parsePage(b)
	if err == nil {
		err = r.take(p)
	}
	if err == nil {
		_, err = r.in.Discard(len(b))
		return err
	}
	if !r.tolerant {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return r.skip(1)
}

// raw peeks at one whole page, or io.EOF. A strict reader takes only a page
// that begins right here.
func (r *Reader) raw() ([]byte, error) {
	for {
		b, err := r.peek()
		if err == nil || !errors.Is(err, errPage) {
			return b, err
		}
		if !r.tolerant {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		if err := r.skip(1); err != nil {
			return nil, err
		}
	}
}

func (r *Reader) peek() ([]byte, error) {
	for size := headerSize; ; {
		b, err := r.in.Peek(size)
		switch {
		case err == io.EOF && len(b) == 0:
			return nil, io.EOF
		case err == io.EOF:
			return nil, fmt.Errorf("%w: cut off: %w", errPage, io.ErrUnexpectedEOF)
		case err != nil:
			return nil, fmt.Errorf("oggopus: read: %w", err)
		}
		n, err := pageSize(b)
		if err != nil || n == size {
			return b, err
		}
		size = n
	}
}

// skip goes on to where the next page might begin, at least n bytes ahead.
func (r *Reader) skip(n int) error {
	for {
		d, err := r.in.Discard(n)
		r.damage.Skipped += int64(d)
		if err != nil {
			return err // io.EOF
		}
		b, err := r.in.Peek(max(4, r.in.Buffered()))
		if err != nil && err != io.EOF {
			return fmt.Errorf("oggopus: read: %w", err)
		}
		at := bytes.Index(b, []byte(capture))
		if at == 0 {
			return nil
		}
		if at > 0 {
			n = at
		} else if n = len(b) - 3; n <= 0 || err == io.EOF {
			d, _ := r.in.Discard(len(b))
			r.damage.Skipped += int64(d)
			return io.EOF
		}
	}
}

// take checks a page against the ones before it. Its packets are copied, as
// the buffer they lie in moves on.
func (r *Reader) take(p page) error {
	switch {
	case r.ended:
		return errors.New("page after the end")
	case r.started && p.serial != r.serial:
		return errors.New("page of another stream")
	case r.started && !r.tolerant && p.seq != r.seq:
		return fmt.Errorf("page %d follows page %d", p.seq, r.seq-1)
	case r.started && r.tolerant && int32(p.seq-r.seq) < 0:
		return errors.New("page for the second time")
	}
	if !r.started && !r.tolerant && p.seq != 0 {
		return errors.New("does not begin with the first page")
	}
	if p.seq < 2 || p.flags&flagBegin != 0 {
		if err := header(p); err != nil {
			return err
		}
		r.begin(p)
		return nil
	}
	end := p.granule
	if end%SlotSamples != 0 || end/SlotSamples > maxSlots {
		return errors.New("position")
	}
	n := int64(len(p.packets))
	gap := int64(end/SlotSamples) - n - r.slots
	if gap < 0 || gap > 0 && !r.tolerant {
		return fmt.Errorf("%d slots do not end at slot %d", n, end/SlotSamples)
	}
	r.begin(p)
	r.gap, r.slots = gap, r.slots+gap+n
	r.queue = r.queue[:0]
	for _, b := range p.packets {
		r.queue = append(r.queue, bytes.Clone(b))
	}
	r.ended = p.flags&flagEnd != 0
	return nil
}

func (r *Reader) begin(p page) {
	r.started, r.serial, r.seq = true, p.serial, p.seq+1
}

// header checks one of the two header pages.
func header(p page) error {
	if p.granule != 0 || len(p.packets) != 1 || p.flags&flagEnd != 0 {
		return errors.New("header page")
	}
	b := p.packets[0]
	if p.seq == 0 && p.flags == flagBegin {
		want := []byte{1, channels, byte(PreSkip & 0xff), byte(PreSkip >> 8), 0, 0, 0, 0, 0, 0, family, streams, coupled, 0, 1}
		binary.LittleEndian.PutUint32(want[4:], pcm.Rate)
		if id, ok := bytes.CutPrefix(b, []byte("OpusHead")); ok && bytes.Equal(id, want) {
			return nil
		}
		return errors.New("identification header is not that of two mono legs")
	}
	if p.seq == 1 && p.flags == 0 && bytes.HasPrefix(b, []byte("OpusTags")) {
		return nil
	}
	return errors.New("comment header")
}
