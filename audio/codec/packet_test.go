package codec

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestParsePacket(t *testing.T) {
	z := func(n int) string { return strings.Repeat("x", n) }
	for _, tc := range []struct {
		name  string
		pkt   string
		sizes []int // nil: refused
	}{
		{"empty", "", nil},
		{"code 0, no frame bytes", "\x08", []int{0}},
		{"code 0", "\x08" + z(10), []int{10}},
		{"code 0, largest", "\x08" + z(1275), []int{1275}},
		{"code 0, too large", "\x08" + z(1276), nil},
		{"code 1", "\x09" + z(10), []int{5, 5}},
		{"code 1, empty", "\x09", []int{0, 0}},
		{"code 1, odd", "\x09" + z(9), nil},
		{"code 2", "\x0a\x03" + z(10), []int{3, 7}},
		{"code 2, no length", "\x0a", nil},
		{"code 2, half a length", "\x0a\xfc", nil},
		{"code 2, long first", "\x0a\xfd\x01" + z(260), []int{257, 3}},
		{"code 2, first longer than all", "\x0a\x0b" + z(10), nil},
		{"code 3, no count", "\x0b", nil},
		{"code 3, count 0", "\x0b\x00" + z(3), nil},
		{"code 3 CBR", "\x0b\x03" + z(9), []int{3, 3, 3}},
		{"code 3 CBR, uneven", "\x0b\x03" + z(10), nil},
		{"code 3 VBR", "\x0b\x83\x01\x02" + z(9), []int{1, 2, 6}},
		{"code 3 VBR, one length missing", "\x0b\x83\x01", nil},
		{"code 3 padding", "\x0b\x42\x05" + z(4) + z(5), []int{2, 2}},
		{"code 3 long padding", "\x0b\x42\xff\x00" + z(4) + z(254), []int{2, 2}},
		{"code 3 padding too long", "\x0b\x42\x05" + z(4), nil},
		{"code 3 padding endless", "\x0b\x42\xff", nil},
		{"120 ms", "\x0b\x06" + z(6), []int{1, 1, 1, 1, 1, 1}},
		{"140 ms", "\x0b\x07" + z(7), nil},
		{"60 ms twice", "\x1b\x02" + z(2), []int{1, 1}},
		{"60 ms three times", "\x1b\x03" + z(3), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p Packet
			err := p.Parse([]byte(tc.pkt))
			if tc.sizes == nil {
				if !errors.Is(err, ErrPacket) {
					t.Fatalf("err %v, packet %+v", err, p)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Count != len(tc.sizes) {
				t.Fatalf("%d frames", p.Count)
			}
			for i, n := range tc.sizes {
				if p.Size(i) != n {
					t.Errorf("frame %d: %d bytes, want %d", i, p.Size(i), n)
				}
			}
		})
	}
}

func TestTOC(t *testing.T) {
	for _, tc := range []struct {
		toc     TOC
		mode    Mode
		samples int
		stereo  bool
	}{
		{0 << 3, SILK, 480, false},
		{11<<3 | 4, SILK, 2880, true},
		{12 << 3, Hybrid, 480, false},
		{15 << 3, Hybrid, 960, false},
		{16 << 3, CELT, 120, false},
		{31 << 3, CELT, 960, false},
	} {
		if tc.toc.Mode() != tc.mode || tc.toc.FrameSamples() != tc.samples || tc.toc.Stereo() != tc.stereo {
			t.Errorf("config %d: %v, %d, %v", tc.toc.Config(), tc.toc.Mode(), tc.toc.FrameSamples(), tc.toc.Stereo())
		}
	}
	if _, err := ParseTOC(nil); err == nil {
		t.Error("a TOC of nothing")
	}
}

func TestHasFEC(t *testing.T) {
	for _, tc := range []struct {
		pkt  []byte
		want bool
	}{
		{nil, false},
		{[]byte{1 << 3}, false},                    // nothing sent
		{[]byte{1 << 3, 0x40}, true},               // VAD, LBRR
		{[]byte{1 << 3, 0x80}, false},              //
		{[]byte{3 << 3, 0x10}, true},               // 60 ms: three VAD bits first
		{[]byte{3 << 3, 0x60}, false},              //
		{[]byte{1<<3 | 4, 0x10}, true},             // stereo: side channel's
		{[]byte{31 << 3, 0xff}, false},             // CELT has none
		{[]byte{1<<3 | 3, 0x41, 1, 0x40, 0}, true}, // behind a padding length
	} {
		if got := HasFEC(tc.pkt); got != tc.want {
			t.Errorf("HasFEC(% x) = %v", tc.pkt, got)
		}
	}
}

// FuzzPacket holds the parser against its own rules, and libopus against it:
// whatever we accept, libopus must decode to the duration we said.
func FuzzPacket(f *testing.F) {
	f.Add([]byte{1 << 3, 1, 2, 3})
	f.Add([]byte{1<<3 | 3, 0x83, 1, 2, 9, 9, 9, 9})
	_, d := opusPair(f)
	pcm := make([]int16, MaxSamples)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p, q Packet
		if n, err := q.ParseSelfDelimited(b); err == nil {
			if n > len(b) || q.Samples() > MaxSamples || len(q.Frames(b)) > n {
				t.Fatalf("self-delimited: %d of %d bytes, %+v", n, len(b), q)
			}
		}
		if err := p.Parse(b); err != nil {
			if !errors.Is(err, ErrPacket) {
				t.Fatal(err)
			}
			return
		}
		if p.Samples() > MaxSamples || p.Samples() <= 0 {
			t.Fatalf("%d samples", p.Samples())
		}
		HasFEC(b)
		n, err := d.Decode(pcm, b)
		if err == nil && n != p.Samples() {
			t.Fatalf("decoded %d, parsed %d", n, p.Samples())
		}
		if !bytes.HasSuffix(b[:len(b)-p.Padding], p.Frames(b)) {
			t.Fatal("frames are not where the packet ends")
		}
	})
}
