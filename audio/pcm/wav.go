package pcm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// WAV is a decoded 16-bit WAV file.
type WAV struct {
	Rate     int     // Hz
	Channels int     // 1 or 2
	Samples  []int16 // interleaved, len a multiple of Channels
}

// Limits of what ReadWAV takes.
const (
	minWAVRate = 4000
	maxWAVRate = 192000
)

// ErrWAV is the root of every complaint about the content of a WAV file; errors
// of the reader underneath do not wrap it.
var ErrWAV = errors.New("not a usable WAV file")

// Frames returns the length in samples a channel.
func (w WAV) Frames() int {
	if w.Channels < 1 {
		return 0
	}
	return len(w.Samples) / w.Channels
}

// Channel returns a copy of one channel, counted from 0; nil if there is none.
func (w WAV) Channel(n int) []int16 {
	if n < 0 || n >= w.Channels {
		return nil
	}
	out := make([]int16, w.Frames())
	for i := range out {
		out[i] = w.Samples[i*w.Channels+n]
	}
	return out
}

// Mono returns the file as one channel: the mean of both if it has two.
func (w WAV) Mono() []int16 {
	if w.Channels != 2 {
		return w.Channel(0)
	}
	out := make([]int16, w.Frames())
	for i := range out {
		out[i] = int16((int32(w.Samples[2*i]) + int32(w.Samples[2*i+1])) >> 1)
	}
	return out
}

// Stereo builds a two-channel file of two legs; the shorter is filled up with
// silence.
func Stereo(rate int, left, right []int16) WAV {
	n := max(len(left), len(right))
	s := make([]int16, 2*n)
	for i, v := range left {
		s[2*i] = v
	}
	for i, v := range right {
		s[2*i+1] = v
	}
	return WAV{Rate: rate, Channels: 2, Samples: s}
}

// ReadWAV reads a whole RIFF/WAVE file of 16-bit PCM, one or two channels, any
// rate from 4 to 192 kHz, either as WAVE_FORMAT_PCM or as WAVE_FORMAT_EXTENSIBLE
// with the PCM sub-format (Microsoft multimedia registration, RFC 2361).
// Chunks it does not know are skipped. It is strict: a header that contradicts
// itself, or data shorter than announced, is an error and not a guess.
func ReadWAV(r io.Reader) (WAV, error) {
	var head [12]byte
	if err := full(r, head[:], "RIFF header"); err != nil {
		return WAV{}, err
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return WAV{}, fmt.Errorf("%w: no RIFF/WAVE header", ErrWAV)
	}
	var w WAV
	for {
		var h [8]byte
		if err := full(r, h[:], "chunk header"); err != nil {
			return WAV{}, err
		}
		size := int64(binary.LittleEndian.Uint32(h[4:]))
		switch id := string(h[:4]); {
		case id == "fmt " && w.Rate == 0:
			if err := w.readFormat(r, size); err != nil {
				return WAV{}, err
			}
		case id == "fmt ":
			return WAV{}, fmt.Errorf("%w: two format chunks", ErrWAV)
		case id == "data":
			return w, w.readData(r, size)
		default:
			if err := skip(r, size+size&1); err != nil {
				return WAV{}, err
			}
		}
	}
}

// pcmSubFormat is KSDATAFORMAT_SUBTYPE_PCM after its first two bytes.
const pcmSubFormat = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"

func (w *WAV) readFormat(r io.Reader, size int64) error {
	if size < 16 || size > 64 {
		return fmt.Errorf("%w: format chunk of %d bytes", ErrWAV, size)
	}
	b := make([]byte, size+size&1)
	if err := full(r, b, "format chunk"); err != nil {
		return err
	}
	le := binary.LittleEndian
	tag, ch, rate := le.Uint16(b), le.Uint16(b[2:]), le.Uint32(b[4:])
	if tag == 0xfffe && size >= 40 && string(b[26:40]) == pcmSubFormat {
		tag = le.Uint16(b[24:])
	}
	switch {
	case tag != 1:
		return fmt.Errorf("%w: format %#x is not PCM", ErrWAV, tag)
	case le.Uint16(b[14:]) != 16:
		return fmt.Errorf("%w: %d bits a sample, want 16", ErrWAV, le.Uint16(b[14:]))
	case ch != 1 && ch != 2:
		return fmt.Errorf("%w: %d channels, want 1 or 2", ErrWAV, ch)
	case rate < minWAVRate || rate > maxWAVRate:
		return fmt.Errorf("%w: rate %d Hz, want %d to %d", ErrWAV, rate, minWAVRate, maxWAVRate)
	case le.Uint16(b[12:]) != 2*ch || le.Uint32(b[8:]) != rate*2*uint32(ch):
		return fmt.Errorf("%w: block size or byte rate contradicts the format", ErrWAV)
	}
	w.Rate, w.Channels = int(rate), int(ch)
	return nil
}

func (w *WAV) readData(r io.Reader, size int64) error {
	if w.Rate == 0 {
		return fmt.Errorf("%w: data before format", ErrWAV)
	}
	if size%int64(2*w.Channels) != 0 {
		return fmt.Errorf("%w: data of %d bytes ends within a sample", ErrWAV, size)
	}
	// ReadAll grows with what is really there: a forged size costs no memory.
	b, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return fmt.Errorf("read WAV data: %w", err)
	}
	if int64(len(b)) != size {
		return fmt.Errorf("%w: %d bytes of data announced, %d there", ErrWAV, size, len(b))
	}
	w.Samples = make([]int16, len(b)/2)
	Decode(w.Samples, b)
	return nil
}

func full(r io.Reader, b []byte, what string) error {
	_, err := io.ReadFull(r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: ends within the %s", ErrWAV, what)
	}
	if err != nil {
		return fmt.Errorf("read WAV %s: %w", what, err)
	}
	return nil
}

func skip(r io.Reader, n int64) error {
	got, err := io.CopyN(io.Discard, r, n)
	if err == io.EOF {
		return fmt.Errorf("%w: ends within a chunk (%d of %d bytes)", ErrWAV, got, n)
	}
	if err != nil {
		return fmt.Errorf("read WAV chunk: %w", err)
	}
	return nil
}

// WriteWAV writes w as a canonical 44-byte header and its samples.
func WriteWAV(out io.Writer, w WAV) error {
	if w.Channels < 1 || w.Channels > 2 || len(w.Samples)%w.Channels != 0 {
		return fmt.Errorf("write WAV: %d samples in %d channels", len(w.Samples), w.Channels)
	}
	if uint64(len(w.Samples))*2 > math.MaxUint32-36 {
		return fmt.Errorf("write WAV: %d samples do not fit", len(w.Samples))
	}
	b := Append(header(w.Rate, w.Channels, uint32(2*len(w.Samples))), w.Samples)
	if _, err := out.Write(b); err != nil {
		return fmt.Errorf("write WAV: %w", err)
	}
	return nil
}

func header(rate, channels int, data uint32) []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, 44), "RIFF"...)
	b = le.AppendUint32(b, 36+data)
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*channels*2))
	b = le.AppendUint16(b, uint16(channels*2))
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	return le.AppendUint32(b, data)
}

// WAVWriter writes a WAV file whose length is not known beforehand. Between two
// calls of Sync the header tells less than the file holds, so the file can be
// read at any moment up to the last Sync.
type WAVWriter struct {
	out            io.WriteSeeker
	rate, channels int
	data           uint32
	buf            []byte
}

// NewWAVWriter writes an empty file's header to out, which should be at its
// beginning.
func NewWAVWriter(out io.WriteSeeker, rate, channels int) (*WAVWriter, error) {
	if channels < 1 || channels > 2 || rate < minWAVRate || rate > maxWAVRate {
		return nil, fmt.Errorf("write WAV: %d channels at %d Hz", channels, rate)
	}
	if _, err := out.Write(header(rate, channels, 0)); err != nil {
		return nil, fmt.Errorf("write WAV header: %w", err)
	}
	return &WAVWriter{out: out, rate: rate, channels: channels}, nil
}

// Write appends interleaved samples.
func (w *WAVWriter) Write(s []int16) error {
	if uint64(w.data)+2*uint64(len(s)) > math.MaxUint32-36 {
		return errors.New("write WAV: the file is full (4 GB)")
	}
	w.buf = Append(w.buf[:0], s)
	n, err := w.out.Write(w.buf)
	w.data += uint32(n) // a torn write leaves Sync's header true
	if err != nil {
		return fmt.Errorf("write WAV data: %w", err)
	}
	return nil
}

// Sync brings the header up to what has been written so far. It does not sync
// the disk.
func (w *WAVWriter) Sync() error {
	whole := w.data - w.data%uint32(2*w.channels)
	if _, err := w.out.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("fix WAV header: %w", err)
	}
	if _, err := w.out.Write(header(w.rate, w.channels, whole)); err != nil {
		return fmt.Errorf("fix WAV header: %w", err)
	}
	if _, err := w.out.Seek(44+int64(w.data), io.SeekStart); err != nil {
		return fmt.Errorf("fix WAV header: %w", err)
	}
	return nil
}
