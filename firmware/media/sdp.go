package media

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"deskset/audio/codec"

	"github.com/pion/ice/v4"
	"github.com/pion/sdp/v3"
)

// Limits on what a far end may send; beyond them a description is refused.
const (
	maxSDP        = 16 << 10 // bytes
	maxSections   = 8        // m= lines
	maxFormats    = 64       // payload types in one m= line
	maxCandidates = 32       // more are ignored
)

// payload is one RTP payload type of an m= line.
type payload struct {
	pt    uint8
	codec codec.Codec // None for a telephone event or an unknown codec
	event bool        // telephone-event, RFC 4733
	clock uint32
	fmtp  string
}

// section is one m= line as the answer must repeat it.
type section struct {
	media, proto string
	formats      []string
}

// remote is a far end's session description, checked.
type remote struct {
	sections []section // all, in order
	audio    int       // index of the one that is used
	mid      string
	bundle   bool // mid stands in a BUNDLE group

	dir          Direction // as the far end sees it
	ufrag, pwd   string
	lite         bool
	candidates   []ice.Candidate
	fingerprints []fingerprint
	setup        string // active, passive, actpass
	payloads     []payload
}

// parseRemote reads and checks a session description: one usable audio section
// over DTLS-SRTP with rtcp-mux and ICE. The error wraps ErrDescription.
func parseRemote(raw []byte) (*remote, error) {
	if len(raw) > maxSDP {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrDescription, len(raw), maxSDP)
	}
	var d sdp.SessionDescription
	if err := d.Unmarshal(raw); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDescription, err)
	}
	if n := len(d.MediaDescriptions); n == 0 || n > maxSections {
		return nil, fmt.Errorf("%w: %d media sections", ErrDescription, n)
	}
	r := &remote{audio: -1}
	for i, m := range d.MediaDescriptions {
		s := section{m.MediaName.Media, strings.Join(m.MediaName.Protos, "/"), m.MediaName.Formats}
		if len(s.formats) == 0 || len(s.formats) > maxFormats {
			return nil, fmt.Errorf("%w: %d formats in one media section", ErrDescription, len(s.formats))
		}
		if !plain(s.media) || !plain(s.proto) || slices.ContainsFunc(s.formats, func(f string) bool { return !plain(f) }) {
			return nil, fmt.Errorf("%w: malformed media section", ErrDescription)
		}
		r.sections = append(r.sections, s)
		if r.audio < 0 && s.media == "audio" && m.MediaName.Port.Value != 0 {
			r.audio = i
		}
	}
	if r.audio < 0 {
		return nil, fmt.Errorf("%w: no audio", ErrDescription)
	}
	if err := r.readAudio(&d, d.MediaDescriptions[r.audio]); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *remote) readAudio(d *sdp.SessionDescription, m *sdp.MediaDescription) error {
	switch p := r.sections[r.audio].proto; p {
	case "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP":
	default:
		return fmt.Errorf("%w: transport %q is not DTLS-SRTP", ErrDescription, p)
	}
	if _, mux := m.Attribute("rtcp-mux"); !mux {
		return fmt.Errorf("%w: no rtcp-mux", ErrDescription)
	}
	r.mid, _ = m.Attribute("mid")
	if !plain(r.mid) {
		return fmt.Errorf("%w: malformed mid", ErrDescription)
	}
	if g, ok := d.Attribute("group"); ok {
		f := strings.Fields(g)
		r.bundle = r.mid != "" && len(f) > 1 && f[0] == "BUNDLE" && slices.Contains(f[1:], r.mid)
	}
	if err := r.readTransport(d, m); err != nil {
		return err
	}
	if err := r.readPayloads(m); err != nil {
		return err
	}
	return r.readDirection(d, m)
}

// readTransport reads ICE (RFC 8839) and DTLS (RFC 8842); each of these may
// stand at the session or at the media section, where the latter wins.
func (r *remote) readTransport(d *sdp.SessionDescription, m *sdp.MediaDescription) error {
	attr := func(key string) string {
		if v, ok := m.Attribute(key); ok {
			return v
		}
		v, _ := d.Attribute(key)
		return v
	}
	r.ufrag, r.pwd = attr("ice-ufrag"), attr("ice-pwd")
	if len(r.ufrag) < 4 || len(r.ufrag) > 256 || len(r.pwd) < 22 || len(r.pwd) > 256 {
		return fmt.Errorf("%w: no ICE credentials", ErrDescription)
	}
	_, r.lite = d.Attribute("ice-lite")
	switch r.setup = attr("setup"); r.setup {
	case "":
		return fmt.Errorf("%w: no DTLS setup", ErrDescription)
	case "active", "passive", "actpass":
	default:
		return fmt.Errorf("%w: DTLS setup %.16q", ErrDescription, r.setup)
	}
	lines := slices.Concat(m.Attributes, d.Attributes)
	for _, a := range lines {
		if a.Key != "fingerprint" {
			continue
		}
		f, known, err := parseFingerprint(a.Value)
		if err != nil {
			return err
		}
		if known {
			r.fingerprints = append(r.fingerprints, f)
		}
	}
	if len(r.fingerprints) == 0 {
		return fmt.Errorf("%w: no fingerprint of SHA-256 or better", ErrDescription)
	}
	for _, a := range m.Attributes {
		if a.Key != "candidate" || len(r.candidates) == maxCandidates {
			continue
		}
		// What cannot be read or used is skipped: RFC 8839 section 5.1.
		c, err := ice.UnmarshalCandidate(a.Value)
		if err != nil || c.Component() != ice.ComponentRTP || c.NetworkType().IsTCP() {
			continue
		}
		if _, err := netip.ParseAddr(c.Address()); err != nil {
			continue // a name: mDNS is for browsers
		}
		r.candidates = append(r.candidates, c)
	}
	return nil
}

func (r *remote) readPayloads(m *sdp.MediaDescription) error {
	maps, fmtps := map[uint8]string{}, map[uint8]string{}
	for _, a := range m.Attributes {
		into := maps
		switch a.Key {
		case "rtpmap":
		case "fmtp":
			into = fmtps
		default:
			continue
		}
		head, tail, _ := strings.Cut(a.Value, " ")
		pt, err := strconv.ParseUint(head, 10, 7)
		if err != nil {
			return fmt.Errorf("%w: %s of no payload type", ErrDescription, a.Key)
		}
		into[uint8(pt)] = strings.TrimSpace(tail)
	}
	seen := [128]bool{}
	for _, f := range m.MediaName.Formats {
		n, err := strconv.ParseUint(f, 10, 7)
		if err != nil {
			return fmt.Errorf("%w: payload type %.16q", ErrDescription, f)
		}
		// RFC 5761 section 4: with rtcp-mux these would be read as RTCP.
		if n >= 64 && n <= 95 || seen[n] {
			continue
		}
		seen[n] = true
		p, err := payloadOf(uint8(n), maps[uint8(n)])
		if err != nil {
			return err
		}
		p.fmtp = fmtps[p.pt]
		r.payloads = append(r.payloads, p)
	}
	return nil
}

// payloadOf reads the value of an a=rtpmap behind its number; "" is a static
// type of RFC 3551.
func payloadOf(pt uint8, rtpmap string) (payload, error) {
	p := payload{pt: pt}
	if rtpmap == "" {
		for _, c := range []codec.Codec{codec.PCMU, codec.PCMA} {
			if s, ok := c.StaticPT(); ok && s == pt {
				p.codec, p.clock = c, c.ClockRate()
			}
		}
		return p, nil
	}
	f := strings.Split(rtpmap, "/")
	if len(f) < 2 {
		return p, fmt.Errorf("%w: rtpmap of %d has no clock rate", ErrDescription, pt)
	}
	clock, err := strconv.ParseUint(f[1], 10, 32)
	if err != nil {
		return p, fmt.Errorf("%w: rtpmap of %d: clock rate %.16q", ErrDescription, pt, f[1])
	}
	p.clock = uint32(clock)
	if strings.EqualFold(f[0], "telephone-event") {
		p.event = true
		return p, nil
	}
	c, ok := codec.ByName(f[0], p.clock)
	// RFC 7587 section 7: Opus is always written with two channels.
	if ok && (len(f) < 3 && c.SDPChannels() == 1 || len(f) >= 3 && f[2] == strconv.Itoa(c.SDPChannels())) {
		p.codec = c
	}
	return p, nil
}

// readDirection reads the direction, with the hold of RFC 2543: an address of
// zero. Port 9 with that address is only ICE's "no default candidate".
func (r *remote) readDirection(d *sdp.SessionDescription, m *sdp.MediaDescription) error {
	r.dir = SendRecv
	for _, lines := range [][]sdp.Attribute{d.Attributes, m.Attributes} {
		for _, a := range lines {
			if dir, ok := directionOf(a.Key); ok {
				r.dir = dir
			}
		}
	}
	c := m.ConnectionInformation
	if c == nil {
		c = d.ConnectionInformation
	}
	if c == nil || c.Address == nil {
		return fmt.Errorf("%w: no connection line", ErrDescription)
	}
	addr, err := netip.ParseAddr(c.Address.Address)
	if err == nil && addr.IsUnspecified() && m.MediaName.Port.Value != 9 {
		r.dir &= SendOnly
	}
	return nil
}

// plain says whether s may be written into a description of ours as it is.
func plain(s string) bool {
	return len(s) <= 64 && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c > '~'
	})
}
