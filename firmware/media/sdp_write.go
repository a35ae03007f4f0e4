package media

import (
	"fmt"
	"net/netip"
	"strings"

	"deskset/audio/codec"
)

// Payload types of our own offers. A far end's are read from its description.
const (
	offerOpus     = 111
	offerEvents48 = 110
	offerEvents8  = 101
)

// Format parameters of what we receive: RFC 7587 section 6.1, RFC 4733 section 2.4.1.
const (
	opusFmtp   = "minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0"
	eventsFmtp = "0-15"
)

// local is our description of a leg; a new one of the same session differs in
// version and direction only.
type local struct {
	session, version uint64
	addr             netip.AddrPort // default candidate
	ufrag, pwd       string
	fingerprint      fingerprint
	setup            string
	mid              string
	bundle           bool
	sections         []section // all m= lines; those beside audio are refused
	audio            int
	payloads         []payload
	dir              Direction
	ssrc             uint32
	cname            string
}

// offered is what an offer of ours lists for codecs in order of preference.
func offered(codecs []codec.Codec) []payload {
	var out []payload
	clock := map[uint32]bool{}
	for _, c := range codecs {
		p := payload{codec: c, clock: c.ClockRate()}
		if pt, ok := c.StaticPT(); ok {
			p.pt = pt
		} else {
			p.pt, p.fmtp = offerOpus, opusFmtp
		}
		out = append(out, p)
		clock[p.clock] = true
	}
	for _, e := range []payload{{pt: offerEvents48, clock: 48000}, {pt: offerEvents8, clock: 8000}} {
		if clock[e.clock] {
			e.event, e.fmtp = true, eventsFmtp
			out = append(out, e)
		}
	}
	return out
}

// marshal writes the description (RFC 8866, RFC 8839, RFC 8842). The c= and m=
// lines carry the default candidate: Asterisk takes 0.0.0.0 for hold.
func (l *local) marshal() []byte {
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\r\n", a...) }
	family := "IP4"
	if l.addr.Addr().Is6() {
		family = "IP6"
	}
	ip := l.addr.Addr().WithZone("")
	line("v=0")
	line("o=- %d %d IN %s %s", l.session, l.version, family, ip)
	line("s=-")
	line("t=0 0")
	if l.bundle {
		line("a=group:BUNDLE %s", l.mid)
	}
	for i, s := range l.sections {
		if i != l.audio {
			line("m=%s 0 %s %s", s.media, s.proto, strings.Join(s.formats, " "))
			line("c=IN %s %s", family, ip)
			continue
		}
		formats := make([]string, len(l.payloads))
		for i, p := range l.payloads {
			formats[i] = fmt.Sprint(p.pt)
		}
		line("m=audio %d %s %s", l.addr.Port(), s.proto, strings.Join(formats, " "))
		line("c=IN %s %s", family, ip)
		if l.mid != "" {
			line("a=mid:%s", l.mid)
		}
		for _, p := range l.payloads {
			l.payload(line, p)
		}
		line("a=ptime:20")
		line("a=maxptime:20")
		line("a=%s", l.dir)
		line("a=rtcp-mux")
		line("a=setup:%s", l.setup)
		line("a=fingerprint:%s", l.fingerprint)
		line("a=ice-ufrag:%s", l.ufrag)
		line("a=ice-pwd:%s", l.pwd)
		// Declared, because some far ends drop what they were not told of.
		line("a=msid:- audio")
		line("a=ssrc:%d cname:%s", l.ssrc, l.cname)
		line("a=candidate:1 1 udp %d %s %d typ host", uint32(126)<<24|65535<<8|255, ip, l.addr.Port())
		line("a=end-of-candidates")
	}
	return []byte(b.String())
}

func (l *local) payload(line func(string, ...any), p payload) {
	name, channels := "telephone-event", ""
	if !p.event {
		name = p.codec.Name()
		if n := p.codec.SDPChannels(); n > 1 {
			channels = fmt.Sprintf("/%d", n)
		}
	}
	line("a=rtpmap:%d %s/%d%s", p.pt, name, p.clock, channels)
	if p.fmtp != "" {
		line("a=fmtp:%d %s", p.pt, p.fmtp)
	}
}
