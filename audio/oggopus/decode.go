package oggopus

import (
	"bytes"
	"errors"
	"io"

	"deskset/audio/codec"
)

// Decoder turns slots into sound, one leg apart from the other.
type Decoder struct {
	legs [channels]*codec.OpusDecoder
	skip int
}

// NewDecoder begins at the start of a recording.
func NewDecoder() (*Decoder, error) {
	d := &Decoder{skip: PreSkip}
	for i := range d.legs {
		var err error
		if d.legs[i], err = codec.NewOpusDecoder(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Decode writes a slot to two buffers of SlotSamples, 48 kHz mono. It gives the
// number of samples from the buffers' start that are to be thrown away: the
// pre-skip at the start of a recording, then 0. A Missing slot is silence, and
// what follows starts afresh; a packet that libopus refuses is concealed.
func (d *Decoder) Decode(s Slot, agent, customer []int16) (skip int, err error) {
	if len(agent) != SlotSamples || len(customer) != SlotSamples {
		return 0, codec.ErrShort
	}
	skip = min(d.skip, SlotSamples)
	d.skip -= skip
	if s.Missing {
		clear(agent)
		clear(customer)
		return skip, errors.Join(d.legs[0].Reset(), d.legs[1].Reset())
	}
	if err := decodeLeg(d.legs[0], agent, s.Agent); err != nil {
		return 0, err
	}
	return skip, decodeLeg(d.legs[1], customer, s.Customer)
}

func decodeLeg(d *codec.OpusDecoder, dst []int16, pkt []byte) error {
	_, err := d.Decode(dst, pkt)
	if errors.Is(err, codec.ErrPacket) {
		err = d.Conceal(dst)
	}
	return err
}

// DecodeAll decodes to the end of r: two legs of equal length, 48 kHz mono. It
// holds the whole sound in memory, 11.5 MB a minute; longer recordings go slot
// by slot through a Decoder.
func DecodeAll(r *Reader) (agent, customer []int16, err error) {
	d, err := NewDecoder()
	if err != nil {
		return nil, nil, err
	}
	var a, c [SlotSamples]int16
	for {
		s, err := r.Next()
		if err == io.EOF {
			return agent, customer, nil
		}
		if err != nil {
			return agent, customer, err
		}
		skip, err := d.Decode(s, a[:], c[:])
		if err != nil {
			return agent, customer, err
		}
		agent, customer = append(agent, a[skip:]...), append(customer, c[skip:]...)
	}
}

// Decode strictly decodes a complete recording.
func Decode(b []byte) (agent, customer []int16, err error) {
	return DecodeAll(NewReader(bytes.NewReader(b)))
}
