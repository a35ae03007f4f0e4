package media

import (
	"fmt"
	"strconv"
	"strings"

	"deskset/audio/codec"
)

// agreed is what offer and answer came to. It is never changed once made; a
// re-offer makes a new one.
type agreed struct {
	codec   codec.Codec
	pt      uint8 // to send it with
	bitrate int   // bit/s the far end wants at most, 0: no wish
	dir     Direction
	ssrc    uint32 // ours

	events      bool // the far end takes telephone events
	eventPT     uint8
	eventClock  uint32
	recvCodec   [128]codec.Codec // by payload type, None: unknown
	recvIsEvent [128]bool
}

// preferred are the codecs of a leg that was told none, in this order.
var preferred = []codec.Codec{codec.Opus, codec.PCMU, codec.PCMA}

// CheckOffer says why a leg with the usual codecs could not answer an offer:
// it is asked before anybody is rung for a call that nobody can take. The error
// is ErrDescription.
func CheckOffer(offer []byte) error {
	r, err := parseRemote(offer)
	if err != nil {
		return err
	}
	_, err = choose(preferred, r.payloads)
	return err
}

// choose finds the first of ours, in our order, that the far end lists.
func choose(ours []codec.Codec, theirs []payload) (payload, error) {
	for _, c := range ours {
		for _, p := range theirs {
			if p.codec == c {
				return p, nil
			}
		}
	}
	return payload{}, fmt.Errorf("%w: no common codec", ErrDescription)
}

// eventsFor finds the telephone events that go with a codec: those of its own
// clock, else those at 8000 that many PBXs list alone.
func eventsFor(c codec.Codec, list []payload) (payload, bool) {
	var found payload
	for _, p := range list {
		if p.event && p.clock == c.ClockRate() {
			return p, true
		}
		if p.event && p.clock == 8000 && !found.event {
			found = p
		}
	}
	return found, found.event
}

// newAgreed joins both lists. first is what we send with. Types of both sides
// are understood on the way in: they are the same in nearly every call, and
// where they differ ours are the ones that were promised.
func newAgreed(first payload, ours, theirs []payload, dir Direction, ssrc uint32) *agreed {
	a := &agreed{codec: first.codec, pt: first.pt, dir: dir, ssrc: ssrc, bitrate: maxBitrate(first.fmtp)}
	if e, ok := eventsFor(first.codec, theirs); ok {
		if _, mutual := eventsFor(first.codec, ours); mutual {
			a.events, a.eventPT, a.eventClock = true, e.pt, e.clock
		}
	}
	for _, list := range [][]payload{theirs, ours} {
		for _, p := range list {
			if p.codec != codec.None || p.event {
				a.recvCodec[p.pt], a.recvIsEvent[p.pt] = p.codec, p.event
			}
		}
	}
	return a
}

// answerTo makes our half of an offer: the one codec that is used, the events
// that go with it, under the offer's numbers.
func answerTo(ours []codec.Codec, r *remote) (first payload, list []payload, err error) {
	first, err = choose(ours, r.payloads)
	if err != nil {
		return first, nil, err
	}
	mine := payload{pt: first.pt, codec: first.codec, clock: first.clock}
	if first.codec == codec.Opus {
		mine.fmtp = opusFmtp
	}
	list = []payload{mine}
	if e, ok := eventsFor(first.codec, r.payloads); ok {
		e.fmtp = eventsFmtp
		list = append(list, e)
	}
	return first, list, nil
}

// firstOf finds what an answer wants to be sent: its first codec that we
// offered.
func firstOf(r *remote, ours []payload) (payload, error) {
	for _, p := range r.payloads {
		for _, o := range ours {
			if p.codec != codec.None && p.codec == o.codec {
				return p, nil
			}
		}
	}
	return payload{}, fmt.Errorf("%w: answer has no codec that was offered", ErrDescription)
}

// maxBitrate reads maxaveragebitrate of RFC 7587 section 6.1; 0 when absent or
// out of Opus's range.
func maxBitrate(fmtp string) int {
	for f := range strings.SplitSeq(fmtp, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
		if strings.EqualFold(k, "maxaveragebitrate") {
			if n, err := strconv.Atoi(v); err == nil && n >= 6000 && n <= 510000 {
				return n
			}
		}
	}
	return 0
}
