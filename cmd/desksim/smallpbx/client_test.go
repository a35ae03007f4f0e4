package smallpbx

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"deskset/audio/codec"
	"deskset/cmd/desksim/phone"
	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/coder/websocket"
	"github.com/emiago/sipgo/sip"
	"github.com/pion/webrtc/v4"
	sample "github.com/pion/webrtc/v4/pkg/media"
)

// client is a SIP client on a WebSocket, as a browser's library would be: pion's
// PeerConnection as it comes, all its codecs and interceptors.
type client struct {
	t    *testing.T
	user string
	conn *websocket.Conn
	ep   *siplite.Endpoint
	done chan struct{}
	in   chan *siplite.Incoming
}

func (c *client) Send(msg []byte) error {
	return c.conn.Write(context.Background(), websocket.MessageText, msg)
}
func (c *client) Reliable() bool        { return true }
func (c *client) Transport() string     { return "WS" }
func (c *client) Local() string         { return "df7jal23ls0d.invalid" }
func (c *client) Remote() string        { return "pbx" }
func (c *client) Done() <-chan struct{} { return c.done }

func newClient(t *testing.T, url, user string, cfg *tls.Config) *client {
	t.Helper()
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg}}
	conn, _, err := websocket.Dial(patient(t), url, &websocket.DialOptions{Subprotocols: []string{"sip"}, HTTPClient: hc})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	c := &client{t: t, user: user, conn: conn, done: make(chan struct{}), in: make(chan *siplite.Incoming, 8)}
	c.ep = siplite.New(siplite.Config{Handle: func(in *siplite.Incoming) { c.in <- in }, Log: testLog(t)})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(c.done)
		for {
			_, data, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			c.ep.Receive(c, data)
		}
	})
	t.Cleanup(func() { conn.CloseNow(); wg.Wait(); c.ep.Close(); hc.CloseIdleConnections() })
	return c
}

// register sends one REGISTER with the answer to its challenge, and returns the
// final response. contact has its parameters.
func (c *client) register(user, password, contact string, headers ...sip.Header) *sip.Response {
	c.t.Helper()
	id := sip.CallIDHeader(siplite.NewTag())
	var auth sip.Header
	for seq := uint32(1); ; seq++ {
		me := siplite.UserURI(user, "127.0.0.1")
		req := sip.NewRequest(sip.REGISTER, siplite.UserURI("", "127.0.0.1"))
		req.AppendHeader(&sip.FromHeader{Address: me, Params: sip.HeaderParams{{K: "tag", V: siplite.NewTag()}}})
		req.AppendHeader(&sip.ToHeader{Address: me})
		req.AppendHeader(&id)
		req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: sip.REGISTER})
		if contact != "" {
			req.AppendHeader(sip.NewHeader("Contact", contact))
		}
		for _, h := range headers {
			req.AppendHeader(h)
		}
		if auth != nil {
			req.AppendHeader(auth)
		}
		req.SetBody(nil)
		res, err := c.ep.Do(patient(c.t), c, req, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		if res.StatusCode != 401 || auth != nil {
			return res
		}
		if auth, err = siplite.Authorize(req, res, user, password); err != nil {
			c.t.Fatal(err)
		}
	}
}

func contactURI(user string) string { return "<sip:" + user + "@df7jal23ls0d.invalid;transport=ws>" }

func TestRegistrar(t *testing.T) {
	t.Parallel()
	p := startPBX(t, nil)
	c := newClient(t, p.WSURL(), "101", nil)
	if res := c.register("101", "wrong", contactURI("101")); res.StatusCode != 401 {
		t.Errorf("wrong password: %d", res.StatusCode)
	}
	if res := c.register("999", "s101", contactURI("999")); res.StatusCode != 401 {
		t.Errorf("no such account: %d", res.StatusCode)
	}
	if p.Registered("101") {
		t.Error("registered without proof")
	}
	const instance = `;+sip.instance="<urn:uuid:00000000-0000-4000-8000-000000000101>";reg-id=1`
	res := c.register("101", "s101", contactURI("101")+instance, sip.NewHeader("Path", "<sip:edge.invalid;lr>"),
		sip.NewHeader("Expires", "60"), sip.NewHeader("Supported", "outbound, path"))
	if res.StatusCode != 200 || siplite.HeaderText(res, "Require") != "outbound" || !strings.Contains(siplite.HeaderText(res, "Path"), "edge.invalid") {
		t.Errorf("%s", res)
	}
	if ct := siplite.HeaderText(res, "Contact"); !strings.Contains(ct, "expires=60") || !strings.Contains(ct, "reg-id=1") {
		t.Errorf("contact %s", ct)
	}
	// The same instance on another connection takes the place of the first, with
	// another contact, too.
	d := newClient(t, p.WSURL(), "101", nil)
	if res := d.register("101", "s101", "<sip:101@other.invalid;transport=ws>"+instance); len(res.GetHeaders("Contact")) != 1 {
		t.Errorf("%s", res)
	}
	// Another instance stands beside it.
	e := newClient(t, p.WSURL(), "101", nil)
	if res := e.register("101", "s101", contactURI("101")+strings.Replace(instance, "101>", "102>", 1)); len(res.GetHeaders("Contact")) != 2 {
		t.Errorf("%s", res)
	}
	e.conn.CloseNow() // its contact goes with it
	if err := p.waitFor(patient(t), "the loss", func() bool {
		return len(p.flowsOf("101")) == 1
	}); err != nil {
		t.Error(err)
	}
	if res := d.register("101", "s101", ""); len(res.GetHeaders("Contact")) != 1 {
		t.Errorf("asked: %s", res)
	}
	if res := d.register("101", "s101", "*", sip.NewHeader("Expires", "5")); res.StatusCode != 400 {
		t.Errorf("star with an expiry: %d", res.StatusCode)
	}
	if res := d.register("101", "s101", "*", sip.NewHeader("Expires", "0")); res.StatusCode != 200 || p.Registered("101") {
		t.Errorf("star: %d", res.StatusCode)
	}
	if res := d.register("101", "s101", contactURI("101"), sip.NewHeader("Expires", "1")); res.StatusCode != 200 || !p.Registered("101") {
		t.Errorf("short: %d", res.StatusCode)
	}
	if res := d.register("101", "s101", contactURI("101")+";expires=0"); res.StatusCode != 200 || p.Registered("101") {
		t.Errorf("unregister: %d", res.StatusCode)
	}
}

func TestMD5Only(t *testing.T) {
	t.Parallel()
	p := startPBX(t, func(c *Config) { c.MD5Only = true })
	c := newClient(t, p.WSURL(), "102", nil)
	if res := c.register("102", "s102", contactURI("102")); res.StatusCode != 200 {
		t.Errorf("%d", res.StatusCode)
	}
	startSeat(t, p, "101")
}

func TestWebSocketRefusals(t *testing.T) {
	t.Parallel()
	p := startPBX(t, nil)
	if _, _, err := websocket.Dial(patient(t), p.WSURL(), nil); err == nil {
		t.Error("let in without the subprotocol sip")
	}
	res, err := http.Get("http://" + p.WSAddr() + "/ws")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 400 {
		t.Errorf("plain GET: %d", res.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
	// Garbage does not end a connection; a message beyond all bounds does.
	c := newClient(t, p.WSURL(), "101", nil)
	c.Send([]byte("rubbish"))
	c.Send([]byte("\r\n\r\n"))
	if res := c.register("101", "s101", contactURI("101")); res.StatusCode != 200 {
		t.Errorf("after rubbish: %d", res.StatusCode)
	}
	c.Send(make([]byte, 200_000))
	wait(t, c.done, "end of the connection")
	if err := p.waitFor(patient(t), "unregistration", func() bool { return !p.Registered("101") }); err != nil {
		t.Error(err)
	}
}

// selfSigned is a certificate for 127.0.0.1 and the pool that trusts it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test PBX"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestBrowser is a call of a browser-like client over wss, in and out, against a
// desk phone, with sound both ways, hold, and an ICE restart by re-INVITE.
func TestBrowser(t *testing.T) {
	t.Parallel()
	cert, pool := selfSigned(t)
	p := startPBX(t, func(c *Config) {
		c.WSS, c.TLS = "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}}
	})
	if _, _, err := websocket.Dial(patient(t), p.WSSURL(), &websocket.DialOptions{Subprotocols: []string{"sip"}}); err == nil {
		t.Error("an unknown CA was trusted")
	}
	c := newClient(t, p.WSSURL(), "103", &tls.Config{RootCAs: pool})
	if res := c.register("103", "s103", contactURI("103")); res.StatusCode != 200 {
		t.Fatalf("%d", res.StatusCode)
	}
	cust := customer(t, p, "PCMU")
	for _, inbound := range []bool{true, false} {
		t.Run("inbound "+strconv.FormatBool(inbound), func(t *testing.T) {
			b := newBrowser(t, c)
			var far *phone.Call
			if inbound {
				call, err := cust.Call(patient(t), "103")
				if err != nil {
					t.Fatal(err)
				}
				b.answer(next(t, c.in, "INVITE"))
				if err := call.Wait(patient(t)); err != nil {
					t.Fatal(err)
				}
				far = call
			} else {
				ph := startPhone(t, p, "201", "PCMU", phone.Policy{})
				b.invite("201")
				far = next(t, ph.Incoming(), "call")
			}
			wait(t, b.connected, "ICE and DTLS")
			b.talk(far)
			b.reinvite(true)
			b.talk(far)
			far.Hangup()
			wait(t, b.bye, "BYE")
		})
	}
}

// browser is one call of a client.
type browser struct {
	t         *testing.T
	c         *client
	pc        *webrtc.PeerConnection
	track     *webrtc.TrackLocalStaticSample
	dialog    *siplite.Dialog
	connected chan struct{}
	bye       chan struct{}
	heard     chan *webrtc.TrackRemote
	once      sync.Once
}

func newBrowser(t *testing.T, c *client) *browser {
	t.Helper()
	var se webrtc.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(se)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, c: c, pc: pc, connected: make(chan struct{}), bye: make(chan struct{}), heard: make(chan *webrtc.TrackRemote, 1)}
	b.track, err = webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "mic", "browser")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pc.AddTrack(b.track); err != nil {
		t.Fatal(err)
	}
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			b.once.Do(func() { close(b.connected) })
		}
	})
	pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { b.heard <- tr })
	t.Cleanup(func() { pc.GracefulClose() })
	return b
}

func (b *browser) config() siplite.DialogConfig {
	return siplite.DialogConfig{
		Flow:    func(context.Context) (siplite.Flow, error) { return b.c, nil },
		Contact: func(siplite.Flow) sip.Uri { return siplite.UserURI(b.c.user, "df7jal23ls0d.invalid") },
		User:    b.c.user, Password: "s" + b.c.user,
		Handle: func(in *siplite.Incoming) {
			in.Respond(200, "", nil)
			if in.Req.Method == sip.BYE {
				close(b.bye)
			}
		},
	}
}

func (b *browser) local(d webrtc.SessionDescription, err error) []byte {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	done := webrtc.GatheringCompletePromise(b.pc)
	if err := b.pc.SetLocalDescription(d); err != nil {
		b.t.Fatal(err)
	}
	<-done
	return []byte(b.pc.LocalDescription().SDP)
}

func (b *browser) remote(kind webrtc.SDPType, sdp []byte) {
	b.t.Helper()
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: kind, SDP: string(sdp)}); err != nil {
		b.t.Fatalf("%v\n%s", err, sdp)
	}
}

var sdpType = sip.NewHeader("Content-Type", "application/sdp")

func (b *browser) answer(in *siplite.Incoming) {
	b.t.Helper()
	d, err := b.c.ep.AcceptDialog(in, b.config())
	if err != nil {
		b.t.Fatal(err)
	}
	b.dialog = d
	in.Respond(180, "", nil, d.ContactHeader(b.c))
	b.remote(webrtc.SDPTypeOffer, in.Req.Body())
	in.Respond(200, "", b.local(b.pc.CreateAnswer(nil)), d.ContactHeader(b.c), sdpType)
	wait(b.t, in.Acked(), "ACK")
}

func (b *browser) invite(target string) {
	b.t.Helper()
	b.dialog = b.c.ep.NewDialog(b.config(), siplite.Party{URI: siplite.UserURI(b.c.user, "127.0.0.1")},
		siplite.Party{URI: siplite.UserURI(target, "127.0.0.1")}, siplite.UserURI(target, "127.0.0.1"))
	b.offer(nil)
}

// reinvite offers again, with new ICE credentials if restart is set.
func (b *browser) reinvite(restart bool) {
	b.t.Helper()
	b.offer(&webrtc.OfferOptions{ICERestart: restart})
}

func (b *browser) offer(o *webrtc.OfferOptions) {
	b.t.Helper()
	res, err := b.dialog.Request(patient(b.t), sip.INVITE, b.local(b.pc.CreateOffer(o)), nil, sdpType)
	if err != nil || res.StatusCode != 200 {
		b.t.Fatal(res, err)
	}
	if err := b.dialog.Ack(patient(b.t), res, nil); err != nil {
		b.t.Fatal(err)
	}
	b.remote(webrtc.SDPTypeAnswer, res.Body())
}

// talk sends sound both ways and checks it at both ends.
func (b *browser) talk(far *phone.Call) {
	b.t.Helper()
	mine, its := voice(51, 0.8), voice(52, 0.8)
	enc, err := codec.NewOpusEncoder(0)
	if err != nil {
		b.t.Skip(err)
	}
	dec, err := codec.NewOpusDecoder()
	if err != nil {
		b.t.Fatal(err)
	}
	tr := next(b.t, b.heard, "track")
	b.heard <- tr // for the next time
	var mu sync.Mutex
	var got []int16
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := make(chan struct{})
	defer close(stop)
	wg.Go(func() {
		buf := make([]int16, codec.MaxSamples)
		for {
			select {
			case <-stop:
				return
			default:
			}
			pkt, _, err := tr.ReadRTP()
			if err != nil {
				return
			}
			if n, err := dec.Decode(buf, pkt.Payload); err == nil {
				mu.Lock()
				got = append(got, buf[:n]...)
				mu.Unlock()
			}
		}
	})
	from := mark(far)
	spoken := far.Say(its)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	payload := make([]byte, codec.MaxPayload)
	for i := 0; i < len(mine)/codec.Frame+10; i++ {
		frame := make([]int16, codec.Frame)
		if at := i * codec.Frame; at < len(mine) {
			copy(frame, mine[at:])
		}
		n, err := enc.Encode(payload, frame)
		if err != nil {
			b.t.Fatal(err)
		}
		if err := b.track.WriteSample(sample.Sample{Data: payload[:n], Duration: 20 * time.Millisecond}); err != nil {
			b.t.Fatal(err)
		}
		<-tick.C
	}
	wait(b.t, spoken, "end of speech")
	heardBy(b.t, far, mine, from)
	heard(b.t, "browser", its, func() []int16 {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	})
}
