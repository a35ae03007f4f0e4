// Package rtplite is plain RTP over UDP as a desk phone does it: the SDP of one
// audio stream (RFC 8866, 3264), a socket, telephone-event (RFC 4733), and a
// network that can be made worse on purpose. It is shared by the demo's PBX and
// its scripted phones; WebRTC is not here.
package rtplite

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"deskset/audio/codec"

	"github.com/pion/sdp/v3"
)

// Direction of a stream, from the view of who wrote the SDP.
type Direction string

const (
	SendRecv Direction = "sendrecv"
	SendOnly Direction = "sendonly"
	RecvOnly Direction = "recvonly"
	Inactive Direction = "inactive"
)

// Sends tells whether the writer of the SDP sends.
func (d Direction) Sends() bool { return d == SendRecv || d == SendOnly }

// Receives tells whether the writer of the SDP wants to receive.
func (d Direction) Receives() bool { return d == SendRecv || d == RecvOnly }

// Answer is the direction that answers an offer's when we would do both ways.
func (d Direction) Answer() Direction {
	switch d {
	case SendOnly:
		return RecvOnly
	case RecvOnly:
		return SendOnly
	}
	return d
}

// Format is one codec with its payload type.
type Format struct {
	Codec codec.Codec
	PT    uint8
}

// Event is telephone-event at one clock, RFC 4733 section 2.4.1.
type Event struct {
	PT    uint8
	Clock uint32
}

// Desc is what one audio stream's SDP says.
type Desc struct {
	Addr    netip.AddrPort // where the writer receives
	Formats []Format       // in order of preference
	Events  []Event
	Dir     Direction
}

// ErrNoAudio says that an SDP has no audio stream that we could use.
var ErrNoAudio = errors.New("no audio stream of a codec that we know")

// ParseSDP reads the first live audio stream. Session-level connection and
// direction are inherited; c=0.0.0.0 is the old way to hold (RFC 3264 section 8.4).
func ParseSDP(body []byte) (Desc, error) {
	d, err := parse(body)
	if err == nil && d.Addr.Addr().IsUnspecified() {
		switch d.Dir {
		case SendRecv:
			d.Dir = SendOnly
		case RecvOnly:
			d.Dir = Inactive
		}
	}
	return d, err
}

// ParseWebRTC reads a description whose c= line says nothing, because candidates
// do (RFC 8839 section 4.3).
func ParseWebRTC(body []byte) (Desc, error) { return parse(body) }

func parse(body []byte) (Desc, error) {
	var s sdp.SessionDescription
	if err := s.Unmarshal(body); err != nil {
		return Desc{}, fmt.Errorf("read SDP: %w", err)
	}
	for _, m := range s.MediaDescriptions {
		if m.MediaName.Media != "audio" || m.MediaName.Port.Value <= 0 || m.MediaName.Port.Value > 65535 {
			continue
		}
		d, err := audio(&s, m)
		if err != nil {
			return Desc{}, err
		}
		if len(d.Formats) > 0 {
			return d, nil
		}
	}
	return Desc{}, fmt.Errorf("read SDP: %w", ErrNoAudio)
}

func audio(s *sdp.SessionDescription, m *sdp.MediaDescription) (Desc, error) {
	d := Desc{Dir: SendRecv}
	conn := m.ConnectionInformation
	if conn == nil {
		conn = s.ConnectionInformation
	}
	if conn == nil || conn.Address == nil {
		return d, errors.New("read SDP: no connection address")
	}
	host, _, _ := strings.Cut(conn.Address.Address, "/")
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return d, fmt.Errorf("read SDP: connection address: %w", err)
	}
	d.Addr = netip.AddrPortFrom(ip, uint16(m.MediaName.Port.Value))
	for _, attrs := range [][]sdp.Attribute{s.Attributes, m.Attributes} {
		for _, a := range attrs {
			switch dir := Direction(a.Key); dir {
			case SendRecv, SendOnly, RecvOnly, Inactive:
				d.Dir = dir
			}
		}
	}
	maps := map[uint8]string{0: "PCMU/8000", 8: "PCMA/8000"}
	for _, a := range m.Attributes {
		if a.Key != "rtpmap" {
			continue
		}
		pt, rest, _ := strings.Cut(a.Value, " ")
		if n, err := strconv.ParseUint(pt, 10, 7); err == nil {
			maps[uint8(n)] = rest
		}
	}
	for _, f := range m.MediaName.Formats {
		n, err := strconv.ParseUint(f, 10, 7)
		if err != nil {
			continue
		}
		pt := uint8(n)
		name, rest, _ := strings.Cut(strings.TrimSpace(maps[pt]), "/")
		clockText, _, _ := strings.Cut(rest, "/")
		clock, err := strconv.ParseUint(clockText, 10, 32)
		if err != nil || clock == 0 {
			continue
		}
		if strings.EqualFold(name, "telephone-event") {
			d.Events = append(d.Events, Event{pt, uint32(clock)})
			continue
		}
		if c, ok := codec.ByName(name, uint32(clock)); ok {
			d.Formats = append(d.Formats, Format{c, pt})
		}
	}
	return d, nil
}

// Choose takes the first codec of ours, in our order, that the other side has.
func (d Desc) Choose(ours []codec.Codec) (Format, bool) {
	for _, c := range ours {
		for _, f := range d.Formats {
			if f.Codec == c {
				return f, true
			}
		}
	}
	return Format{}, false
}

// EventFor is the telephone-event that fits a codec: the one at its clock, else
// any; ok is false when there is none.
func (d Desc) EventFor(c codec.Codec) (Event, bool) {
	for _, e := range d.Events {
		if e.Clock == c.ClockRate() {
			return e, true
		}
	}
	if len(d.Events) > 0 {
		return d.Events[0], true
	}
	return Event{}, false
}

// Origin numbers the SDPs of one side of one session: the version rises with
// each (RFC 3264 section 8).
type Origin struct {
	mu      sync.Mutex
	id      uint64
	version uint64
}

// Next is the o= line's value for the next SDP.
func (o *Origin) next(ip netip.Addr) sdp.Origin {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.id == 0 {
		var b [8]byte
		rand.Read(b[:])
		o.id = binary.BigEndian.Uint64(b[:]) >> 2
	}
	o.version++
	return sdp.Origin{Username: "-", SessionID: o.id, SessionVersion: o.version,
		NetworkType: "IN", AddressType: ipType(ip), UnicastAddress: ip.String()}
}

func ipType(ip netip.Addr) string {
	if ip.Is4() {
		return "IP4"
	}
	return "IP6"
}

// SDP writes the description of one audio stream.
func (d Desc) SDP(o *Origin) []byte {
	ip := d.Addr.Addr()
	s := sdp.SessionDescription{
		Origin:                o.next(ip),
		SessionName:           "-",
		ConnectionInformation: &sdp.ConnectionInformation{NetworkType: "IN", AddressType: ipType(ip), Address: &sdp.Address{Address: ip.String()}},
		TimeDescriptions:      []sdp.TimeDescription{{}},
	}
	m := &sdp.MediaDescription{MediaName: sdp.MediaName{Media: "audio",
		Port: sdp.RangedPort{Value: int(d.Addr.Port())}, Protos: []string{"RTP", "AVP"}}}
	for _, f := range d.Formats {
		v := fmt.Sprintf("%d %s/%d", f.PT, f.Codec.Name(), f.Codec.ClockRate())
		if n := f.Codec.SDPChannels(); n > 1 {
			v += fmt.Sprintf("/%d", n)
		}
		m.MediaName.Formats = append(m.MediaName.Formats, strconv.Itoa(int(f.PT)))
		m.Attributes = append(m.Attributes, sdp.NewAttribute("rtpmap", v))
		if f.Codec == codec.Opus {
			m.Attributes = append(m.Attributes, sdp.NewAttribute("fmtp", fmt.Sprintf("%d useinbandfec=1", f.PT)))
		}
	}
	for _, e := range d.Events {
		m.MediaName.Formats = append(m.MediaName.Formats, strconv.Itoa(int(e.PT)))
		m.Attributes = append(m.Attributes,
			sdp.NewAttribute("rtpmap", fmt.Sprintf("%d telephone-event/%d", e.PT, e.Clock)),
			sdp.NewAttribute("fmtp", fmt.Sprintf("%d 0-16", e.PT)))
	}
	m.Attributes = append(m.Attributes, sdp.NewAttribute("ptime", "20"), sdp.NewPropertyAttribute(string(d.Dir)))
	s.MediaDescriptions = []*sdp.MediaDescription{m}
	b, err := s.Marshal()
	if err != nil { // only of an impossible port, and ours came from a socket
		return nil
	}
	return b
}

// Offer describes our side: each codec at its usual payload type, and the
// telephone-events that fit.
func Offer(addr netip.AddrPort, codecs []codec.Codec, dir Direction) Desc {
	d := Desc{Addr: addr, Dir: dir}
	has8, has48 := false, false
	for _, c := range codecs {
		pt, static := c.StaticPT()
		if !static {
			pt = 107 // what Asterisk calls Opus
			has48 = true
		} else {
			has8 = true
		}
		d.Formats = append(d.Formats, Format{c, pt})
	}
	if has48 {
		d.Events = append(d.Events, Event{102, 48000})
	}
	if has8 {
		d.Events = append(d.Events, Event{101, 8000})
	}
	return d
}

// AnswerTo describes our side in answer to an offer: its payload types, one codec.
func (d Desc) AnswerTo(addr netip.AddrPort, ours []codec.Codec, dir Direction) (Desc, bool) {
	f, ok := d.Choose(ours)
	if !ok {
		return Desc{}, false
	}
	a := Desc{Addr: addr, Formats: []Format{f}, Dir: dir}
	if e, ok := d.EventFor(f.Codec); ok {
		a.Events = []Event{e}
	}
	return a, true
}
