package audit

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"deskset/audio/oggopus"
	"deskset/audio/pcm"
)

// Ogg page layout (RFC 3533 section 6).
const (
	oggFixed   = 27
	oggFirst   = 0x02 // header type: first page of a stream
	oggSerial  = 14
	oggSegs    = 26
	oggCapture = "OggS"
)

// pageLen is the length of the Ogg page at the start of b, 0 if there is none.
func pageLen(b []byte) int {
	if len(b) < oggFixed || string(b[:4]) != oggCapture {
		return 0
	}
	n := oggFixed + int(b[oggSegs])
	if len(b) < n {
		return 0
	}
	for _, s := range b[oggFixed:n] {
		n += int(s)
	}
	if len(b) < n {
		return 0
	}
	return n
}

// header returns the two header pages at the start of b, nil if it does not
// begin with them.
func header(b []byte) []byte {
	first := pageLen(b)
	if first == 0 || b[5]&oggFirst == 0 {
		return nil
	}
	second := pageLen(b[first:])
	if second == 0 {
		return nil
	}
	return b[: first+second : first+second]
}

// newHeader makes header pages for the stream whose page stands at the start
// of b.
func newHeader(b []byte) ([]byte, error) {
	if pageLen(b) == 0 {
		return nil, errors.New("the voice is not Ogg")
	}
	return oggopus.NewWriter(binary.LittleEndian.Uint32(b[oggSerial:])).Head(), nil
}

// decode turns the Ogg file into a WAV file, agent left, customer right, both
// slot by slot, and returns its length in seconds.
func decode(ctx context.Context, ogg, wav string) (seconds float64, err error) {
	in, err := os.Open(ogg)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	d, err := oggopus.NewDecoder()
	if err != nil {
		return 0, err
	}
	out, err := os.OpenFile(wav, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			os.Remove(wav)
		}
	}()
	w, err := pcm.NewWAVWriter(out, pcm.Rate, 2)
	if err != nil {
		return 0, err
	}
	r := oggopus.NewTolerantReader(bufio.NewReader(in))
	var a, c [oggopus.SlotSamples]int16
	both := make([]int16, 2*oggopus.SlotSamples)
	var frames int64
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		s, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		skip, err := d.Decode(s, a[:], c[:])
		if err != nil {
			return 0, err
		}
		n := 0
		for i := skip; i < oggopus.SlotSamples; i++ {
			both[n], both[n+1] = a[i], c[i]
			n += 2
		}
		if err := w.Write(both[:n]); err != nil {
			return 0, fmt.Errorf("write %s: %w", wav, err)
		}
		frames += int64(n / 2)
	}
	if err := w.Sync(); err != nil {
		return 0, fmt.Errorf("write %s: %w", wav, err)
	}
	return float64(frames) / pcm.Rate, nil
}
