package pcm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"
)

func encode(t testing.TB, w WAV) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteWAV(&b, w); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWAVRoundTrip(t *testing.T) {
	for _, w := range []WAV{
		{Rate: 48000, Channels: 1, Samples: []int16{1, -2, 3}},
		{Rate: 8000, Channels: 2, Samples: []int16{1, -2, 3, -32768}},
		{Rate: 44100, Channels: 1, Samples: []int16{}},
	} {
		got, err := ReadWAV(iotest.OneByteReader(bytes.NewReader(encode(t, w))))
		if err != nil {
			t.Fatal(err)
		}
		if got.Rate != w.Rate || got.Channels != w.Channels || !slices.Equal(got.Samples, w.Samples) {
			t.Errorf("%+v became %+v", w, got)
		}
	}
}

func TestChannels(t *testing.T) {
	w := Stereo(48000, []int16{10, 20, 30}, []int16{-2})
	if w.Frames() != 3 || !slices.Equal(w.Channel(0), []int16{10, 20, 30}) ||
		!slices.Equal(w.Channel(1), []int16{-2, 0, 0}) || w.Channel(2) != nil || w.Channel(-1) != nil {
		t.Errorf("%+v", w)
	}
	if m := w.Mono(); !slices.Equal(m, []int16{4, 10, 15}) {
		t.Errorf("mono %v", m)
	}
	if (WAV{}).Frames() != 0 {
		t.Error("an empty file has a length")
	}
}

// chunk builds a RIFF chunk with its pad byte.
func chunk(id string, body []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(id), uint32(len(body)))
	b = append(b, body...)
	return append(b, make([]byte, len(body)%2)...)
}

func riff(chunks ...[]byte) []byte {
	body := slices.Concat(chunks...)
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body)+4))
	return append(append(b, "WAVE"...), body...)
}

func format(tag, ch uint16, rate, byteRate uint32, block, bits uint16, more ...byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, tag)
	b = le.AppendUint16(b, ch)
	b = le.AppendUint32(b, rate)
	b = le.AppendUint32(b, byteRate)
	b = le.AppendUint16(b, block)
	b = le.AppendUint16(b, bits)
	return chunk("fmt ", append(b, more...))
}

func TestReadWAVKinds(t *testing.T) {
	good := format(1, 1, 8000, 16000, 2, 16)
	ext := append([]byte{22, 0, 16, 0, 4, 0, 0, 0, 1, 0}, pcmSubFormat...)
	data := chunk("data", []byte{1, 0, 2, 0})
	for name, c := range map[string]struct {
		b  []byte
		ok bool
	}{
		"plain":             {riff(good, data), true},
		"list before":       {riff(chunk("LIST", []byte("odd")), good, chunk("fact", make([]byte, 4)), data), true},
		"after data":        {append(riff(good, data), "trailing"...), true},
		"extensible":        {riff(format(0xfffe, 1, 8000, 16000, 2, 16, ext...), data), true},
		"long format":       {riff(format(1, 1, 8000, 16000, 2, 16, 0, 0), data), true},
		"nothing":           {nil, false},
		"no riff":           {append([]byte("RIFX"), riff(good, data)[4:]...), false},
		"no format":         {riff(data), false},
		"no data":           {riff(good), false},
		"two formats":       {riff(good, good, data), false},
		"float":             {riff(format(3, 1, 8000, 32000, 4, 32), data), false},
		"mu-law":            {riff(format(7, 1, 8000, 8000, 1, 8), data), false},
		"8 bit":             {riff(format(1, 1, 8000, 8000, 1, 8), data), false},
		"no channel":        {riff(format(1, 0, 8000, 0, 0, 16), data), false},
		"three channels":    {riff(format(1, 3, 8000, 48000, 6, 16), data), false},
		"wrong block":       {riff(format(1, 1, 8000, 16000, 4, 16), data), false},
		"wrong byte rate":   {riff(format(1, 1, 8000, 16001, 2, 16), data), false},
		"slow":              {riff(format(1, 1, 100, 200, 2, 16), data), false},
		"fast":              {riff(format(1, 1, 1<<31, 0, 2, 16), data), false},
		"short format":      {riff(chunk("fmt ", make([]byte, 14)), data), false},
		"odd data":          {riff(good, chunk("data", []byte{1, 0, 2})), false},
		"cut data":          {riff(good, data)[:46], false},
		"huge announcement": {append(riff(good), "data\xfe\xff\xff\xff\x01\x00"...), false},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := ReadWAV(bytes.NewReader(c.b))
			if (err == nil) != c.ok {
				t.Fatalf("%v", err)
			}
			if err != nil {
				if !errors.Is(err, ErrWAV) {
					t.Errorf("%v does not say ErrWAV", err)
				}
				return
			}
			if w.Rate != 8000 || !slices.Equal(w.Samples, []int16{1, 2}) {
				t.Errorf("%+v", w)
			}
		})
	}
	broken := errors.New("disk on fire")
	for n := range 50 {
		r := iotest.TimeoutReader(iotest.DataErrReader(bytes.NewReader(riff(good, data)[:min(n, 47)])))
		if _, err := ReadWAV(r); err == nil {
			t.Errorf("read from %d bytes", n)
		}
	}
	if _, err := ReadWAV(iotest.ErrReader(broken)); !errors.Is(err, broken) || errors.Is(err, ErrWAV) {
		t.Errorf("reader's error became %v", err)
	}
}

func TestWriteWAVRefuses(t *testing.T) {
	for _, w := range []WAV{{}, {Rate: 1, Channels: 3, Samples: make([]int16, 3)}, {Rate: 8000, Channels: 2, Samples: make([]int16, 3)}} {
		if err := WriteWAV(&bytes.Buffer{}, w); err == nil {
			t.Errorf("%+v written", w)
		}
	}
}

func TestWAVWriter(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.wav")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := NewWAVWriter(f, 48000, 1)
	if err != nil {
		t.Fatal(err)
	}
	check := func(want int) {
		t.Helper()
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadWAV(bytes.NewReader(b))
		if err != nil || len(got.Samples) != want {
			t.Fatalf("%d samples, want %d (%v)", len(got.Samples), want, err)
		}
		for i, v := range got.Samples {
			if v != int16(i) {
				t.Fatalf("sample %d is %d", i, v)
			}
		}
	}
	next := int16(0)
	more := func(n int) {
		t.Helper()
		s := make([]int16, n)
		for i := range s {
			s[i], next = next, next+1
		}
		if err := w.Write(s); err != nil {
			t.Fatal(err)
		}
	}
	check(0)
	more(100)
	check(0) // not yet told
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	check(100)
	more(50)
	check(100)
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	check(150)
	if _, err := NewWAVWriter(f, 48000, 5); err == nil {
		t.Error("five channels")
	}
}

func FuzzReadWAV(f *testing.F) {
	f.Add(encode(f, WAV{Rate: 8000, Channels: 1, Samples: []int16{1, 2, 3}}))
	f.Add(encode(f, WAV{Rate: 48000, Channels: 2, Samples: []int16{1, 2, 3, 4}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := ReadWAV(bytes.NewReader(b))
		if err != nil {
			return
		}
		if len(w.Samples) > len(b)/2 || len(w.Samples)%w.Channels != 0 {
			t.Fatalf("%d samples in %d channels from %d bytes", len(w.Samples), w.Channels, len(b))
		}
		again, err := ReadWAV(bytes.NewReader(encode(t, w)))
		if err != nil || !slices.Equal(again.Samples, w.Samples) || again.Rate != w.Rate {
			t.Fatalf("not the same after a round trip: %v", err)
		}
	})
}
