package media

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// peer is an independent far end: pion's PeerConnection.
type peer struct {
	t     *testing.T
	pc    *webrtc.PeerConnection
	track *webrtc.TrackLocalStaticRTP
	up    chan struct{}

	mu     sync.Mutex
	got    []rtp.Packet
	packet chan struct{} // one token a packet, dropped when full
	seq    uint16
	ts     uint32
}

// peerOptions of newPeer.
type peerOptions struct {
	mime    string // codec it offers and sends
	setting func(*webrtc.SettingEngine)
	noDTMF  bool
	eventPT webrtc.PayloadType
	codecPT webrtc.PayloadType
}

func newPeer(t *testing.T, o peerOptions) *peer {
	t.Helper()
	se := webrtc.SettingEngine{}
	se.SetIncludeLoopbackCandidate(true)
	se.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	if o.setting != nil {
		o.setting(&se)
	}
	me := &webrtc.MediaEngine{}
	caps := map[string]webrtc.RTPCodecParameters{
		webrtc.MimeTypeOpus: {RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"}, PayloadType: 96},
		webrtc.MimeTypePCMU: {RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000}, PayloadType: 0},
		webrtc.MimeTypePCMA: {RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMA, ClockRate: 8000}, PayloadType: 8},
	}
	c := caps[o.mime]
	if o.codecPT != 0 {
		c.PayloadType = o.codecPT
	}
	check(t, me.RegisterCodec(c, webrtc.RTPCodecTypeAudio))
	if !o.noDTMF {
		pt := o.eventPT
		if pt == 0 {
			pt = 126
		}
		check(t, me.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/telephone-event", ClockRate: c.ClockRate, SDPFmtpLine: "0-15"},
			PayloadType:        pt,
		}, webrtc.RTPCodecTypeAudio))
	}
	api := webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(me), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	check(t, err)
	p := &peer{t: t, pc: pc, up: make(chan struct{}), packet: make(chan struct{}, 4096)}
	p.track, err = webrtc.NewTrackLocalStaticRTP(c.RTPCodecCapability, "audio", "far")
	check(t, err)
	_, err = pc.AddTrack(p.track)
	check(t, err)
	var once sync.Once
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(p.up) })
		}
	})
	pc.OnTrack(func(r *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			pkt, _, err := r.ReadRTP()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.got = append(p.got, *pkt)
			p.mu.Unlock()
			select {
			case p.packet <- struct{}{}:
			default:
			}
		}
	})
	t.Cleanup(func() { pc.GracefulClose() })
	return p
}

// offer and the others exchange whole descriptions: nothing is trickled.
func (p *peer) offer() []byte {
	p.t.Helper()
	d, err := p.pc.CreateOffer(nil)
	check(p.t, err)
	return p.setLocal(d)
}

func (p *peer) answer(offer []byte) []byte {
	p.t.Helper()
	check(p.t, p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(offer)}))
	d, err := p.pc.CreateAnswer(nil)
	check(p.t, err)
	return p.setLocal(d)
}

func (p *peer) setLocal(d webrtc.SessionDescription) []byte {
	p.t.Helper()
	g := webrtc.GatheringCompletePromise(p.pc)
	check(p.t, p.pc.SetLocalDescription(d))
	<-g
	return []byte(p.pc.LocalDescription().SDP)
}

func (p *peer) setAnswer(answer []byte) {
	p.t.Helper()
	check(p.t, p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}))
}

// send sends one packet of 20 ms.
func (p *peer) send(payload []byte, ticks uint32) {
	p.seq++
	p.ts += ticks
	p.track.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: p.seq, Timestamp: p.ts}, Payload: payload})
}

// packets is what has come so far.
func (p *peer) packets() []rtp.Packet {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]rtp.Packet(nil), p.got...)
}

// await waits until what has come satisfies ok.
func (p *peer) await(what string, ok func([]rtp.Packet) bool) {
	p.t.Helper()
	late := time.After(5 * time.Second)
	for {
		if ok(p.packets()) {
			return
		}
		select {
		case <-p.packet:
		case <-late:
			p.t.Fatalf("not received: %s", what)
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// identity is one for all tests: making keys takes time.
var identity = sync.OnceValue(func() *Identity {
	id, err := NewIdentity()
	if err != nil {
		panic(err)
	}
	return id
})

func newLeg(t testing.TB, cfg Config) *Leg {
	t.Helper()
	if cfg.Conn == nil {
		cfg.Local = netip.MustParseAddr("127.0.0.1")
	}
	if cfg.Identity == nil {
		cfg.Identity = identity()
	}
	cfg.Now = time.Now
	l, err := New(cfg)
	check(t, err)
	t.Cleanup(func() { check(t, l.Close()) })
	return l
}

func await(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s did not happen", what)
	}
}

// call connects a leg to a peer; the leg offers, or answers.
func call(t *testing.T, l *Leg, p *peer, legOffers bool) {
	t.Helper()
	ctx := context.Background()
	if legOffers {
		offer, err := l.Offer(ctx)
		check(t, err)
		check(t, l.SetAnswer(p.answer(offer)))
	} else {
		answer, err := l.Answer(ctx, p.offer())
		check(t, err)
		p.setAnswer(answer)
	}
	await(t, "connection of the leg", l.Connected())
	await(t, "connection of the peer", p.up)
}

// clockOf gives a tick each 20 ms until the test ends.
func ticks(t *testing.T, f func()) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tk := time.NewTicker(frameTime)
		defer tk.Stop()
		for {
			select {
			case <-tk.C:
				f()
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait() })
}

var loopback = netip.MustParseAddr("127.0.0.1")
var testAddr = netip.MustParseAddrPort("192.0.2.1:40000")
