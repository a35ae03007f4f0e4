package media

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/srtp/v3"
)

// ICE timing. pion's defaults (200 ms between checks) cost 200 ms to the first
// sound; on a LAN of seats short checks cost nothing.
const (
	iceCheck        = 10 * time.Millisecond
	iceKeepAlive    = 2500 * time.Millisecond // consent, RFC 7675
	iceDisconnected = 6 * time.Second
	iceFailed       = 9 * time.Second // after disconnected
)

// listen makes the ICE agent and begins to read the socket.
func (l *Leg) listen() error {
	logs := pionLogs{l.log}
	agent, err := ice.NewAgentWithOptions(
		ice.WithLocalCredentials(l.loc.ufrag, l.loc.pwd),
		ice.WithUDPMux(candidateMux{l.sock, &l.iceIn}),
		ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6}),
		ice.WithIncludeLoopback(),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithDisableActiveTCP(),
		ice.WithCheckInterval(iceCheck),
		ice.WithMaxBindingRequests(uint16(l.cfg.Connect/iceCheck)),
		ice.WithKeepaliveInterval(iceKeepAlive),
		ice.WithDisconnectedTimeout(iceDisconnected),
		ice.WithFailedTimeout(iceFailed),
		// A far end that shows from an address it did not list is as good.
		ice.WithPrflxAcceptanceMinWait(0),
		ice.WithSrflxAcceptanceMinWait(0),
		ice.WithLoggerFactory(logs),
	)
	if err != nil {
		return fmt.Errorf("media leg: ICE: %w", err)
	}
	l.agent = agent
	err = errors.Join(
		agent.OnCandidate(func(ice.Candidate) {}),
		agent.OnSelectedCandidatePairChange(func(_, far ice.Candidate) { l.setFar(far) }),
		agent.OnConnectionStateChange(l.iceState),
		agent.GatherCandidates(),
		l.sock.serve(l.arrived),
	)
	if err != nil {
		return fmt.Errorf("media leg: listen: %w", err)
	}
	return nil
}

func (l *Leg) setFar(c ice.Candidate) {
	addr, err := netip.ParseAddr(c.Address())
	if err != nil {
		return
	}
	ap := netip.AddrPortFrom(addr.Unmap(), uint16(c.Port()))
	l.far.Store(&ap)
}

// iceState tells changes after the leg was connected; until then connecting
// has its own deadline.
func (l *Leg) iceState(s ice.ConnectionState) {
	select {
	case <-l.connected:
	default:
		return
	}
	switch s {
	case ice.ConnectionStateDisconnected:
		l.away.Store(true)
		l.tell(LegDisconnected, nil)
	case ice.ConnectionStateConnected:
		if l.away.Swap(false) {
			l.tell(LegReconnected, nil)
		}
	case ice.ConnectionStateFailed:
		l.fail(fmt.Errorf("%w: no answer to ICE checks for %v", ErrLost, iceDisconnected+iceFailed))
	}
}

// fail marks the leg as lost, once.
func (l *Leg) fail(err error) {
	l.mu.Lock()
	if l.step == closedLeg || l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	l.mu.Unlock()
	l.tell(LegFailed, err)
	close(l.failed)
}

// connect starts ICE and DTLS towards r. l.mu is held.
func (l *Leg) connect(r *remote, controlling bool) error {
	if err := l.agent.SetRemoteICELite(r.lite); err != nil {
		return fmt.Errorf("media leg: ICE: %w", err)
	}
	for _, c := range r.candidates {
		if err := l.agent.AddRemoteCandidate(c); err != nil {
			l.log.Debug("media: candidate not used", "error", err)
		}
	}
	start := l.agent.StartAccept
	if controlling {
		start = l.agent.StartDial
	}
	if _, err := start(r.ufrag, r.pwd); err != nil {
		return fmt.Errorf("media leg: ICE: %w", err)
	}
	began, client := l.cfg.Now(), l.client
	l.wg.Go(func() {
		ctx, cancel := context.WithTimeout(l.ctx, l.cfg.Connect)
		defer cancel()
		if err := l.establish(ctx, r.fingerprints, client); err != nil {
			l.fail(fmt.Errorf("%w: %w", ErrConnect, err))
			return
		}
		l.log.Debug("media connected", "after", l.cfg.Now().Sub(began))
		close(l.connected)
		l.tell(LegConnected, nil)
	})
	return nil
}

// establish waits for ICE, then agrees on keys.
func (l *Leg) establish(ctx context.Context, allowed []fingerprint, client bool) error {
	if err := l.agent.AwaitConnect(ctx); err != nil {
		return fmt.Errorf("ICE: %w", err)
	}
	pair, err := l.agent.GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return fmt.Errorf("ICE: no pair selected: %w", err)
	}
	l.setFar(pair.Remote)
	dc, err := l.newDTLS(allowed, client)
	if err != nil {
		return fmt.Errorf("DTLS: %w", err)
	}
	l.mu.Lock()
	l.dtls = dc
	l.mu.Unlock()
	if err := dc.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("DTLS: %w", err)
	}
	return l.takeKeys(dc, client)
}

func (l *Leg) newDTLS(allowed []fingerprint, client bool) (*dtls.Conn, error) {
	opts := []dtls.Option{
		dtls.WithCertificates(l.cfg.Identity.cert),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		// The certificate counts only by the fingerprint that came over
		// signalling (RFC 8122 section 6).
		dtls.WithInsecureSkipVerify(true),
		dtls.WithVerifyPeerCertificate(func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) > 0 {
				for _, f := range allowed {
					if f.matches(raw[0]) {
						return nil
					}
				}
			}
			return errors.New("certificate is not the one of the session description")
		}),
		dtls.WithFlightInterval(100 * time.Millisecond), // a lost flight costs this, not a second
		dtls.WithLoggerFactory(pionLogs{l.log}),
	}
	far := net.UDPAddrFromAddrPort(l.farAddr())
	if client {
		var list []dtls.ClientOption
		for _, o := range opts {
			list = append(list, o)
		}
		return dtls.ClientWithOptions(l.dtlsIn, far, list...)
	}
	list := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert)}
	for _, o := range opts {
		list = append(list, o)
	}
	return dtls.ServerWithOptions(l.dtlsIn, far, list...)
}

// takeKeys derives the SRTP keys of both ways (RFC 5764 section 4.2).
func (l *Leg) takeKeys(dc *dtls.Conn, client bool) error {
	profile, ok := dc.SelectedSRTPProtectionProfile()
	if !ok {
		return errors.New("DTLS: far end chose no SRTP profile")
	}
	state, ok := dc.ConnectionState()
	if !ok {
		return errors.New("DTLS: no keys")
	}
	cfg := srtp.Config{Profile: srtp.ProtectionProfile(profile)}
	if err := cfg.ExtractSessionKeysFromDTLS(&state, client); err != nil {
		return fmt.Errorf("SRTP: %w", err)
	}
	tx, err := srtp.CreateContext(cfg.Keys.LocalMasterKey, cfg.Keys.LocalMasterSalt, cfg.Profile)
	if err != nil {
		return fmt.Errorf("SRTP: %w", err)
	}
	rx, err := srtp.CreateContext(cfg.Keys.RemoteMasterKey, cfg.Keys.RemoteMasterSalt, cfg.Profile,
		srtp.SRTPReplayProtection(128), srtp.SRTCPReplayProtection(64))
	if err != nil {
		return fmt.Errorf("SRTP: %w", err)
	}
	l.rt.setKeys(tx, rx)
	return nil
}

// arrived sorts a datagram by its first byte (RFC 7983 section 7). It runs on
// the socket's goroutine before the ticks begin, and as part of them afterwards.
func (l *Leg) arrived(b []byte, from netip.AddrPort, ago time.Duration) {
	switch {
	case len(b) == 0:
	case b[0] <= 3:
		if c := l.iceIn.Load(); c != nil {
			c.offer(b, from)
		}
	case b[0] >= 20 && b[0] <= 63:
		l.dtlsIn.offer(b, from)
	case b[0] >= 128 && b[0] <= 191:
		l.rt.wait(b, ago)
	}
}
