package oggopus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deskset/audio/codec"
)

// leg encodes a glide, one packet a slot.
func leg(t testing.TB, slots int, hz float64) [][]byte {
	t.Helper()
	if codec.OpusVersion() == "" {
		t.Skip(codec.ErrNoOpus)
	}
	e, err := codec.NewOpusEncoder(0)
	if err != nil {
		t.Fatal(err)
	}
	out := make([][]byte, slots)
	pcm, pkt := make([]int16, SlotSamples), make([]byte, codec.MaxPayload)
	phase := 0.0
	for s := range out {
		for i := range pcm {
			phase += 2 * math.Pi * (hz + 100*math.Sin(float64(s)/9)) / 48000
			pcm[i] = int16(9000 * math.Sin(phase))
		}
		n, err := e.Encode(pkt, pcm)
		if err != nil {
			t.Fatal(err)
		}
		out[s] = bytes.Clone(pkt[:n])
	}
	return out
}

// lose makes some of the packets nil.
func lose(in [][]byte, r *rand.Rand, percent int) [][]byte {
	out := slices.Clone(in)
	for i := range out {
		if r.IntN(100) < percent {
			out[i] = nil
		}
	}
	return out
}

func write(t testing.TB, agent, customer [][]byte) []byte {
	t.Helper()
	w := NewWriter(7)
	out := w.Head()
	for at := 0; at < len(agent); at += PageSlots {
		to := min(at+PageSlots, len(agent))
		b, err := w.Page(agent[at:to], customer[at:to], to == len(agent))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	if w.Samples() != int64(len(agent))*SlotSamples {
		t.Fatalf("%d samples written", w.Samples())
	}
	return out
}

// oddFraming gives 20 ms packets of every frame count code; the frames are
// noise, which Opus decodes as well as anything.
func oddFraming(r *rand.Rand) [][]byte {
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	cat := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	const silk20, silk10, celt5, celt2 = 9 << 3, 8 << 3, 29 << 3, 28 << 3
	return [][]byte{
		cat([]byte{silk20}, noise(40)),
		cat([]byte{silk20}, noise(251)),
		cat([]byte{silk20}, noise(252)),
		cat([]byte{silk20}, noise(1275)),
		{silk20},
		cat([]byte{silk10 | 1}, noise(60)),
		cat([]byte{silk10 | 1}, noise(600)),
		{silk10 | 1},
		cat([]byte{silk10 | 2, 20}, noise(50)),
		cat([]byte{silk10 | 2, 252, 1}, noise(256+300)),
		cat([]byte{celt5 | 3, 4}, noise(80)),
		cat([]byte{celt5 | 3, 0x80 | 4, 10, 20, 0}, noise(50)),
		cat([]byte{celt5 | 3, 0xc0 | 4, 3, 10, 20, 0}, noise(50+3)),
		cat([]byte{celt2 | 3, 0x40 | 8, 255, 0}, noise(8*30+254)),
		cat([]byte{silk20 | 3, 1}, noise(30)),
		cat([]byte{silk20 | 3, 0x81}, noise(30)),
		cat([]byte{celt5 | 4 | 3, 4}, noise(80)), // stereo
	}
}

// The legs decoded on their own, as a player of one Opus stream would.
func separately(t *testing.T, pkts [][]byte) []int16 {
	d, err := codec.NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int16, len(pkts)*SlotSamples)
	for i, p := range pkts {
		dst := out[i*SlotSamples : (i+1)*SlotSamples]
		if p == nil {
			err = d.Conceal(dst)
		} else {
			_, err = d.Decode(dst, p)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return out[PreSkip:]
}

func TestBitExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	agent, customer := lose(leg(t, 520, 300), r, 3), lose(leg(t, 520, 700), r, 15)
	file := write(t, agent, customer)
	a, c, err := Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a, separately(t, agent)) || !slices.Equal(c, separately(t, customer)) {
		t.Error("decoding the file is not decoding the legs")
	}
}

func TestEveryFraming(t *testing.T) {
	if codec.OpusVersion() == "" {
		t.Skip(codec.ErrNoOpus)
	}
	r := rand.New(rand.NewPCG(3, 4))
	kinds := oddFraming(r)
	var agent, customer [][]byte
	for i := range kinds {
		for j := range kinds {
			agent, customer = append(agent, kinds[i]), append(customer, kinds[j])
			if r.IntN(4) == 0 {
				agent, customer = append(agent, nil), append(customer, kinds[i])
			}
			if r.IntN(4) == 0 {
				agent, customer = append(agent, kinds[j]), append(customer, nil)
			}
		}
	}
	file := write(t, agent, customer)
	rd := NewReader(bytes.NewReader(file))
	for i := range agent {
		s, err := rd.Next()
		if err != nil {
			t.Fatalf("slot %d: %v", i, err)
		}
		if agent[i] != nil && !bytes.Equal(s.Agent, agent[i]) || customer[i] != nil && !bytes.Equal(s.Customer, customer[i]) {
			t.Fatalf("slot %d: packets changed", i)
		}
		for k, pkt := range [][]byte{s.Agent, s.Customer} {
			if err := Fits(pkt); err != nil {
				t.Fatalf("slot %d leg %d: %v", i, k, err)
			}
		}
	}
	if _, err := rd.Next(); err != io.EOF {
		t.Fatal(err)
	}
	a, c, err := Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	same(t, a, separately(t, agent))
	same(t, c, separately(t, customer))
	tool(t, file, agent, customer)
}

// same compares bit by bit, but for where the sound is overdriven: there
// libopus clips softly if the packet is one without frames, and not at all if
// it is NULL.
func same(t *testing.T, got, want []int16) {
	t.Helper()
	held := 0
	quiet(want, func(from, to int) {
		held++
		if !slices.Equal(got[from:to], want[from:to]) {
			t.Errorf("decoding the file is not decoding the leg (samples %d to %d)", from, to)
		}
	})
	if held < len(want)/SlotSamples/3 {
		t.Errorf("only %d slots could be compared", held)
	}
}

// quiet calls f for the slots which, with their neighbours, are not overdriven.
func quiet(s []int16, f func(from, to int)) {
	for from := SlotSamples; from+2*SlotSamples <= len(s); from += SlotSamples {
		if !slices.ContainsFunc(s[from-SlotSamples:from+2*SlotSamples], loud) {
			f(from, from+SlotSamples)
		}
	}
}

func TestTools(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	agent, customer := lose(leg(t, 333, 300), r, 3), lose(leg(t, 333, 700), r, 15)
	tool(t, write(t, agent, customer), agent, customer)
}

// A recording may end with nothing more to say.
func TestEmptyLastPage(t *testing.T) {
	a, c := leg(t, PageSlots, 300), leg(t, PageSlots, 500)
	w := NewWriter(9)
	file := w.Head()
	for i, part := range [][2][][]byte{{a, c}, {nil, nil}} {
		b, err := w.Page(part[0], part[1], i == 1)
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, b...)
	}
	if got, _, err := Decode(file); err != nil || len(got) != (PageSlots+1)*SlotSamples-PreSkip {
		t.Errorf("%d samples, %v", len(got), err)
	}
	tool(t, file, append(a, nil), append(c, nil))
}

// tool has opusinfo and opusdec judge the file.
func tool(t *testing.T, file []byte, agent, customer [][]byte) {
	if testing.Short() {
		return // under qemu-user the tools are of another architecture and round otherwise
	}
	for _, name := range []string{"opusinfo", "opusdec"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("DESKSET_FULL") != "" {
				t.Fatal(err)
			}
			t.Skipf("%s is not installed (Debian: opus-tools)", name)
		}
	}
	dir := t.TempDir()
	in, raw := filepath.Join(dir, "x.opus"), filepath.Join(dir, "x.raw")
	if err := os.WriteFile(in, file, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := exec.CommandContext(t.Context(), "opusinfo", in).CombinedOutput()
	if err != nil || strings.Contains(strings.ToUpper(string(info)), "WARNING") || strings.Contains(string(info), "rror") {
		t.Errorf("opusinfo: %v\n%s", err, info)
	}
	if out, err := exec.CommandContext(t.Context(), "opusdec", "--quiet", "--no-dither", "--rate", "48000", in, raw).CombinedOutput(); err != nil {
		t.Fatalf("opusdec: %v\n%s", err, out)
	}
	b, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	a, c := separately(t, agent), separately(t, customer)
	if len(b) != 4*len(a) {
		t.Fatalf("opusdec gives %d samples, want %d", len(b)/4, len(a))
	}
	for k, ref := range [][]int16{a, c} {
		quiet(ref, func(from, to int) {
			for i := from; i < to; i++ {
				v := int16(binary.LittleEndian.Uint16(b[4*i+2*k:]))
				if abs(int(v)-int(ref[i])) > 1 { // it decodes to float and rounds by itself
					t.Fatalf("leg %d sample %d: opusdec %d, the leg %d", k, i, v, ref[i])
				}
			}
		})
	}
}

func loud(v int16) bool { return v > 30000 || v < -30000 }

func abs(x int) int { return max(x, -x) }

// The layout of the pages, read without this package's reader.
func TestPages(t *testing.T) {
	agent := leg(t, 120, 300)
	file := write(t, agent, agent)
	var flags []byte
	var granules []uint64
	for at, seq := 0, uint32(0); at < len(file); seq++ {
		if string(file[at:at+4]) != "OggS" {
			t.Fatalf("no page at %d", at)
		}
		if s := binary.LittleEndian.Uint32(file[at+14:]); s != 7 {
			t.Errorf("serial %d", s)
		}
		if s := binary.LittleEndian.Uint32(file[at+18:]); s != seq {
			t.Errorf("page %d is numbered %d", seq, s)
		}
		flags = append(flags, file[at+5])
		granules = append(granules, binary.LittleEndian.Uint64(file[at+6:]))
		n := 27 + int(file[at+26])
		for _, l := range file[at+27 : at+n] {
			n += int(l)
		}
		at += n
	}
	if want := []byte{2, 0, 0, 0, 4}; !bytes.Equal(flags, want) {
		t.Errorf("flags %v, want %v", flags, want)
	}
	if want := []uint64{0, 0, 48000, 96000, 120 * 960}; !slices.Equal(granules, want) {
		t.Errorf("granules %v, want %v", granules, want)
	}
}

func TestWriterRefuses(t *testing.T) {
	good := leg(t, 1, 300)[0]
	long := []byte{1<<3 | 1, 0, 0} // 40 ms
	w := NewWriter(1)
	one := func(p []byte) [][]byte { return [][]byte{p} }
	if _, err := w.Page(one(good), one(good), false); err == nil {
		t.Error("page before head")
	}
	w.Head()
	for name, legs := range map[string][2][][]byte{
		"unequal legs":    {one(good), nil},
		"no slot":         {nil, nil},
		"too many":        {make([][]byte, 51), make([][]byte, 51)},
		"40 ms customer":  {one(good), one(long)},
		"40 ms agent":     {one(long), one(good)},
		"40 ms both":      {one(long), one(long)},
		"malformed":       {one(good), one([]byte{3})},
		"empty, not lost": {one([]byte{}), one(good)},
	} {
		if b, err := w.Page(legs[0], legs[1], false); err == nil || b != nil {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	if err := Fits(long); !errors.Is(err, errSlot) {
		t.Error(err)
	}
	if err := Fits([]byte{3}); !errors.Is(err, codec.ErrPacket) {
		t.Error(err)
	}
	if w.Samples() != 0 {
		t.Error("refused pages moved the time")
	}
	if _, err := w.Page(nil, nil, true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Page(one(good), one(good), false); err == nil {
		t.Error("page after the last")
	}
}
