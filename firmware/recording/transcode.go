package recording

import (
	"fmt"

	"deskset/audio/codec"
	"deskset/audio/oggopus"
	"deskset/firmware/record"
)

// transcodeWhy says why a packet cannot be stored as it came; "" when it can.
func transcodeWhy(c codec.Codec, payload []byte) string {
	if c != codec.Opus {
		return "the far end speaks " + c.Name()
	}
	if oggopus.Fits(payload) != nil {
		return "packets are not 20 ms long"
	}
	if t, err := codec.ParseTOC(payload); err != nil || t.Stereo() {
		return "packets are stereo"
	}
	return ""
}

// transcoder makes 20 ms mono Opus of whatever a leg gets. It is idle on most
// calls.
type transcoder struct {
	cfg   *Config
	codec codec.Codec
	dec   codec.Decoder
	enc   codec.Encoder
	pcm   []int16 // decoded, not yet encoded
	pos   int64   // of pcm[0], a whole slot
	buf   [codec.MaxSamples]int16
	out   [codec.MaxPayload]byte

	active bool // a span is open
	from   int64
	why    string
	broken bool
}

type frame struct {
	slot int64
	pkt  []byte
}

// feed one packet that begins at pos and get the slots it fills.
func (t *transcoder) feed(c codec.Codec, payload []byte, pos int64) (out []frame) {
	if err := t.ready(c); err != nil {
		if !t.broken {
			t.cfg.Log.Error("leg cannot be transcoded", "codec", c, "err", err)
		}
		t.broken = true
		return nil
	}
	n, err := t.dec.Decode(t.buf[:], payload)
	if err != nil {
		return nil // a lost slot
	}
	if len(t.pcm) > 0 && pos != t.pos+int64(len(t.pcm)) {
		out = t.flush()
	}
	if len(t.pcm) == 0 {
		t.pos = floorSlot(pos) * slotLen
		t.pcm = append(t.pcm, make([]int16, pos-t.pos)...)
	}
	t.pcm = append(t.pcm, t.buf[:n]...)
	return append(out, t.encode()...)
}

func floorSlot(pos int64) int64 {
	if pos < 0 {
		return (pos - slotLen + 1) / slotLen
	}
	return pos / slotLen
}

func (t *transcoder) ready(c codec.Codec) (err error) {
	if t.enc == nil {
		if t.enc, err = t.cfg.NewEncoder(); err != nil {
			t.enc = nil
			return fmt.Errorf("make encoder: %w", err)
		}
	}
	if t.dec == nil || t.codec != c {
		if t.dec, err = t.cfg.NewDecoder(c); err != nil {
			t.dec = nil
			return fmt.Errorf("make decoder: %w", err)
		}
		t.codec = c
	}
	return nil
}

func (t *transcoder) encode() (out []frame) {
	for len(t.pcm) >= slotLen {
		if n, err := t.enc.Encode(t.out[:], t.pcm[:slotLen]); err == nil {
			out = append(out, frame{t.pos / slotLen, append([]byte(nil), t.out[:n]...)})
		}
		t.pcm = append(t.pcm[:0], t.pcm[slotLen:]...)
		t.pos += slotLen
	}
	return out
}

// flush the rest of a slot, filled up with silence.
func (t *transcoder) flush() []frame {
	if n := len(t.pcm) % slotLen; n != 0 {
		t.pcm = append(t.pcm, make([]int16, slotLen-n)...)
	}
	return t.encode()
}

// span notes where re-encoding begins, or changes its reason.
func (t *transcoder) span(r *Recorder, n int, pos int64, why string) {
	if t.active && t.why == why {
		return
	}
	t.exact(r, n, pos)
	t.active, t.from, t.why = true, pos, why
	r.fact(record.Fact{Kind: record.Transcoded, Leg: legNames[n], Ms: toMs(pos), Text: why})
}

// exact notes that packets are kept bit for bit from pos on.
func (t *transcoder) exact(r *Recorder, n int, pos int64) {
	if !t.active {
		return
	}
	for _, f := range t.flush() {
		r.put(n, f.slot, f.pkt)
	}
	t.active = false
	r.fact(record.Fact{Kind: record.Transcoded, Leg: legNames[n], Ms: toMs(t.from), UntilMs: toMs(max(pos, t.from)), Text: t.why})
}
