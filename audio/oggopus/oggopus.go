// Package oggopus stores the two legs of a call as one Ogg Opus stream without
// re-encoding: two mono Opus streams in one (RFC 7845: mapping family 1, two
// streams, none coupled), the agent on the left, the customer on the right, in
// slots of 20 ms. What was lost is stored as lost, so the legs never drift
// apart; any player conceals it.
//
// The unit is the page: one second, whole packets only. Each page can be stored
// on its own; the header pages followed by the audio pages in order are a file,
// and a file cut off behind any page plays to there.
package oggopus

import (
	"encoding/binary"
	"fmt"

	"deskset/audio/codec"
	"deskset/audio/pcm"
)

const (
	// SlotSamples is the length of one slot at 48 kHz.
	SlotSamples = pcm.Frame
	// PageSlots is how many slots a full page holds: one second.
	PageSlots = pcm.Rate / SlotSamples
	// PreSkip is the delay of our Opus encoder in 48 kHz samples, which players
	// cut off at the start (RFC 7845 section 4.2).
	PreSkip = codec.DefaultLookahead

	channels = 2
	vendor   = "deskset"
)

// Writer makes the pages of one recording, in order. It keeps no audio.
type Writer struct {
	serial, seq uint32
	granule     uint64
	toc         [channels]codec.TOC
	ended       bool
}

// NewWriter begins a recording; serial is any number, best a random one.
func NewWriter(serial uint32) *Writer {
	return &Writer{serial: serial, toc: [channels]codec.TOC{defaultTOC, defaultTOC}}
}

// Head is the two header pages (RFC 7845 section 5), which come first.
func (w *Writer) Head() []byte {
	id := append(make([]byte, 0, 21), "OpusHead"...)
	id = append(id, 1, channels)
	id = binary.LittleEndian.AppendUint16(id, PreSkip)
	id = binary.LittleEndian.AppendUint32(id, pcm.Rate)
	id = append(id, 0, 0) // gain
	id = append(id, family, streams, coupled, 0, 1)

	tags := append(make([]byte, 0, 32), "OpusTags"...)
	tags = binary.LittleEndian.AppendUint32(tags, uint32(len(vendor)))
	tags = append(tags, vendor...)
	tags = binary.LittleEndian.AppendUint32(tags, 0) // no comments

	out := appendPage(nil, page{flags: flagBegin, serial: w.serial, seq: 0, packets: [][]byte{id}})
	out = appendPage(out, page{serial: w.serial, seq: 1, packets: [][]byte{tags}})
	w.seq = 2
	return out
}

// What RFC 7845 section 5.1.1 calls them. Family 255 would say better that
// these are two speakers, but common players refuse it.
const (
	family  = 1
	streams = 2
	coupled = 0
)

// Page makes the page of up to PageSlots slots; agent and customer are equally
// long, a packet for each slot, nil where none came. Packets must pass Fits.
// last ends the stream: only then may there be no slot at all, for which one is
// stored as lost, as the end mark needs a packet to stand on. (Packets far
// larger than speech needs make more than one page, returned together.) After
// an error nothing has changed.
func (w *Writer) Page(agent, customer [][]byte, last bool) ([]byte, error) {
	switch {
	case w.ended:
		return nil, fmt.Errorf("oggopus: page after the last")
	case w.seq == 0:
		return nil, fmt.Errorf("oggopus: page before the head")
	case len(agent) != len(customer) || len(agent) > PageSlots || len(agent) == 0 && !last:
		return nil, fmt.Errorf("oggopus: page of %d and %d slots", len(agent), len(customer))
	}
	if len(agent) == 0 {
		agent, customer = make([][]byte, 1), make([][]byte, 1)
	}
	toc := w.toc
	packets := make([][]byte, len(agent))
	for i := range agent {
		p, err := joined(agent[i], customer[i], &toc)
		if err != nil {
			return nil, fmt.Errorf("slot %d: %w", i, err)
		}
		packets[i] = p
	}
	w.toc = toc

	out := make([]byte, 0, 8192)
	for first := true; first || len(packets) > 0; first = false {
		n := fitting(packets)
		w.granule += uint64(n) * SlotSamples
		p := page{serial: w.serial, seq: w.seq, granule: w.granule, packets: packets[:n]}
		packets = packets[n:]
		if last && len(packets) == 0 {
			p.flags = flagEnd
			w.ended = true
		}
		w.seq++
		out = appendPage(out, p)
	}
	return out, nil
}

// Samples is how long the recording is so far, at 48 kHz.
func (w *Writer) Samples() int64 { return int64(w.granule) }

// joined is the Ogg packet of one slot.
func joined(agent, customer []byte, toc *[channels]codec.TOC) ([]byte, error) {
	for leg, pkt := range [channels][]byte{agent, customer} {
		if err := Fits(pkt); err != nil {
			return nil, fmt.Errorf("%s: %w", [channels]string{"agent", "customer"}[leg], err)
		}
		if pkt != nil {
			toc[leg] = codec.TOC(pkt[0])
		}
	}
	if agent == nil {
		agent = appendLost(nil, toc[0])
	}
	out := make([]byte, 0, len(agent)+len(customer)+4)
	out, err := appendSelfDelimited(out, agent)
	if err != nil {
		return nil, err
	}
	if customer == nil {
		return appendLost(out, toc[1]), nil
	}
	return append(out, customer...), nil
}
