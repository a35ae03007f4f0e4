package smallpbx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"sync"
	"time"

	"deskset/audio/codec"
	"deskset/cmd/desksim/smallpbx/rtplite"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// rtcMedia is one PeerConnection with one audio stream.
type rtcMedia struct {
	pc     *webrtc.PeerConnection
	track  *rtcTrack
	codecs []codec.Codec
	wg     sync.WaitGroup

	version   uint64 // added to the o= line by re-offers
	reoffered bool   // the next answer is to a re-offer

	mu     sync.Mutex
	closed bool
	agr    agreement
	ok     bool
}

// newRTCMedia makes one; failed is called, on a goroutine of its own, when the
// connection is lost for good (the peer's process died).
func newRTCMedia(ip netip.Addr, cfg Config, got onPacket, failed func()) (*rtcMedia, error) {
	codecs := cfg.Codecs
	api, err := rtcAPI(ip, codecs, cfg.MediaTimeout)
	if err != nil {
		return nil, fmt.Errorf("WebRTC: %w", err)
	}
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, fmt.Errorf("WebRTC: %w", err)
	}
	m := &rtcMedia{pc: pc, track: &rtcTrack{}, codecs: codecs}
	sender, err := pc.AddTrack(m.track)
	if err != nil {
		pc.Close()
		return nil, fmt.Errorf("WebRTC: %w", err)
	}
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateFailed {
			failed()
		}
	})
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		m.spawn(func() { readTrack(t, got) })
	})
	m.spawn(func() { // RTCP has to be read for the interceptors to see it
		buf := make([]byte, 1500)
		for {
			if _, _, err := sender.Read(buf); err != nil {
				return
			}
		}
	})
	return m, nil
}

// rtcAPI has audio only, RTCP reports only, and one address to be found at.
func rtcAPI(ip netip.Addr, codecs []codec.Codec, timeout time.Duration) (*webrtc.API, error) {
	var me webrtc.MediaEngine
	register := func(mime string, clock uint32, channels uint16, fmtp string, pt webrtc.PayloadType) error {
		return me.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mime, ClockRate: clock, Channels: channels, SDPFmtpLine: fmtp},
			PayloadType:        pt,
		}, webrtc.RTPCodecTypeAudio)
	}
	var errs []error
	for _, c := range codecs {
		switch c {
		case codec.Opus:
			errs = append(errs, register(webrtc.MimeTypeOpus, 48000, 2, "minptime=10;useinbandfec=1", 111))
		case codec.PCMU:
			errs = append(errs, register(webrtc.MimeTypePCMU, 8000, 0, "", 0))
		case codec.PCMA:
			errs = append(errs, register(webrtc.MimeTypePCMA, 8000, 0, "", 8))
		}
	}
	errs = append(errs, register("audio/telephone-event", 48000, 0, "0-16", 110),
		register("audio/telephone-event", 8000, 0, "0-16", 126))
	var reg interceptor.Registry
	errs = append(errs, webrtc.ConfigureRTCPReports(&reg))
	var se webrtc.SettingEngine
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	se.SetIncludeLoopbackCandidate(true)
	se.SetIPFilter(func(a net.IP) bool { b, _ := netip.AddrFromSlice(a); return b.Unmap() == ip })
	se.SetICETimeouts(timeout/3, timeout-timeout/3, min(2*time.Second, timeout/6))
	se.DisableCloseByDTLS(true) // the call ends by BYE
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return webrtc.NewAPI(webrtc.WithMediaEngine(&me), webrtc.WithInterceptorRegistry(&reg), webrtc.WithSettingEngine(se)), nil
}

// spawn runs f on a goroutine that close waits for.
func (m *rtcMedia) spawn(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.wg.Go(f)
	}
}

func readTrack(t *webrtc.TrackRemote, got onPacket) {
	buf := make([]byte, 2048)
	for {
		n, _, err := t.Read(buf)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || (err != nil && n == 0) {
			return
		}
		// Any other error came with its packet: a payload type that is not the
		// track's, which is for us to judge.
		var p rtp.Packet
		if p.Unmarshal(buf[:n]) == nil {
			got(&p)
		}
	}
}

// directions are the attributes that pion must not see: it stops a transceiver
// for good on inactive.
var directions = regexp.MustCompile(`(?m)^a=(sendonly|recvonly|inactive)\r?$`)

func bothWays(sdp []byte) string { return directions.ReplaceAllString(string(sdp), "a=sendrecv\r") }

var sendrecv = regexp.MustCompile(`(?m)^a=sendrecv\r?$`)

func oneWay(sdp string, d rtplite.Direction) []byte {
	return []byte(sendrecv.ReplaceAllString(sdp, "a="+string(d)+"\r"))
}

// versions finds the session version in an o= line.
var versions = regexp.MustCompile(`(?m)^(o=\S+ \S+ )(\d+)( )`)

// setups finds the DTLS role.
var setups = regexp.MustCompile(`(?m)^a=setup:\w+`)

// reoffer is the last description once more, one version on: nothing changes but
// that the peer has to answer. (pion would add a stream of its own for a peer
// that declares no SSRC.)
func (m *rtcMedia) reoffer() []byte {
	m.version++
	s := versions.ReplaceAllStringFunc(m.pc.LocalDescription().SDP, func(o string) string {
		f := versions.FindStringSubmatch(o)
		n, err := strconv.ParseUint(f[2], 10, 62)
		if err != nil {
			return o
		}
		return f[1] + strconv.FormatUint(n+m.version, 10) + f[3]
	})
	return []byte(setups.ReplaceAllString(s, "a=setup:actpass"))
}

func (m *rtcMedia) offer(ctx context.Context) ([]byte, error) {
	if _, again := m.agreed(); again {
		m.reoffered = true
		return m.reoffer(), nil
	}
	o, err := m.pc.CreateOffer(nil)
	if err != nil {
		return nil, fmt.Errorf("WebRTC offer: %w", err)
	}
	s, err := m.setLocal(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("WebRTC offer: %w", err)
	}
	return []byte(s), nil
}

func (m *rtcMedia) answer(ctx context.Context, offer []byte) ([]byte, error) {
	d, err := rtplite.ParseWebRTC(offer)
	if err != nil {
		return nil, err
	}
	if _, err := agree(d, m.codecs); err != nil {
		return nil, err
	}
	err = m.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: bothWays(offer)})
	if err != nil {
		return nil, fmt.Errorf("WebRTC offer received: %w", err)
	}
	a, err := m.pc.CreateAnswer(nil)
	if err != nil {
		return nil, fmt.Errorf("WebRTC answer: %w", err)
	}
	s, err := m.setLocal(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("WebRTC answer: %w", err)
	}
	return oneWay(s, d.Dir.Answer()), m.use(d)
}

func (m *rtcMedia) accept(_ context.Context, answer []byte) error {
	d, err := rtplite.ParseWebRTC(answer)
	if err != nil {
		return err
	}
	if m.reoffered {
		m.reoffered = false
		return m.use(d)
	}
	err = m.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: bothWays(answer)})
	if err != nil {
		return fmt.Errorf("WebRTC answer received: %w", err)
	}
	return m.use(d)
}

// setLocal sets a description and returns it with all candidates in it.
func (m *rtcMedia) setLocal(ctx context.Context, d webrtc.SessionDescription) (string, error) {
	gathered := webrtc.GatheringCompletePromise(m.pc)
	if err := m.pc.SetLocalDescription(d); err != nil {
		return "", err
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return m.pc.LocalDescription().SDP, nil
}

func (m *rtcMedia) use(d rtplite.Desc) error {
	a, err := agree(d, m.codecs)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.agr, m.ok = a, true
	m.mu.Unlock()
	return nil
}

func (m *rtcMedia) agreed() (agreement, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.agr, m.ok
}

func (m *rtcMedia) write(h *rtp.Header, payload []byte) error { return m.track.write(h, payload) }

func (m *rtcMedia) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.pc.GracefulClose()
	m.wg.Wait()
}

// rtcTrack is a TrackLocal that sends whatever payload type it is given: pion's
// own sends one codec, and telephone-event is a second.
type rtcTrack struct {
	mu   sync.Mutex
	out  webrtc.TrackLocalWriter
	ssrc uint32
}

func (t *rtcTrack) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	params := c.CodecParameters()
	if len(params) == 0 {
		return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
	}
	t.mu.Lock()
	t.out, t.ssrc = c.WriteStream(), uint32(c.SSRC())
	t.mu.Unlock()
	return params[0], nil
}

func (t *rtcTrack) Unbind(webrtc.TrackLocalContext) error {
	t.mu.Lock()
	t.out = nil
	t.mu.Unlock()
	return nil
}

func (t *rtcTrack) ID() string                { return "audio" }
func (t *rtcTrack) RID() string               { return "" }
func (t *rtcTrack) StreamID() string          { return "smallpbx" }
func (t *rtcTrack) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeAudio }

// write sends a packet; its SSRC is the track's unless it carries another one.
func (t *rtcTrack) write(h *rtp.Header, payload []byte) error {
	t.mu.Lock()
	out, ssrc := t.out, t.ssrc
	t.mu.Unlock()
	if out == nil {
		return nil // not connected yet
	}
	c := *h
	if c.SSRC == 0 {
		c.SSRC = ssrc
	}
	_, err := out.WriteRTP(&c, payload)
	return err
}
