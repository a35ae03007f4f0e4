package rig

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"sync"
	"time"

	"deskset/cmd/desksim/smallpbx"
)

// The PBX's accounts: seats at 101, 102 and phones at 201, 202.
const (
	SeatUser  = "101"
	Customer  = "201"
	Colleague = "202"
	Softphone = "203" // Asterisk only: SIP over UDP with ICE and DTLS-SRTP
	Queue     = "700"
	Echo      = "600"
	password  = "lab-secret-"

	// CustomerNumber is who calls from outside.
	CustomerNumber = "13800138000"
)

// Password of an account of the rig's PBX.
func Password(user string) string { return password + user }

// PBX is a PBX that seats and phones are tried against.
type PBX interface {
	Name() string
	WSS() string // host:port of SIP over secure WebSocket
	SIP() string // host:port of SIP over UDP
	// HangUpAll ends every call from the PBX's side.
	HangUpAll(ctx context.Context) error
	// Kill ends the PBX as kill -9 does; Restart brings it back at the same
	// addresses.
	Kill() error
	Restart(ctx context.Context) error
	// SetPassword and SetCert hold from the next Restart on.
	SetPassword(user, password string)
	SetCert(cert tls.Certificate)
	Close() error
}

// Cert is a server certificate for loopback, signed by itself, good from a
// moment for a time; ca is PEM.
func Cert(from time.Time, lasts time.Duration) (cert tls.Certificate, ca []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "lab PBX"},
		NotBefore: from, NotAfter: from.Add(lasts),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return cert, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// small is the demo's own PBX, in this process.
type small struct {
	cfg  smallpbx.Config
	pbx  *smallpbx.PBX
	stop context.CancelFunc
	done sync.WaitGroup
	err  error
	anew bool // the configuration has changed
}

func newSmall(cert tls.Certificate, log *slog.Logger) (*small, error) {
	s := &small{cfg: smallpbx.Config{
		WSS: "127.0.0.1:0", UDP: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
		Accounts: map[string]string{SeatUser: Password(SeatUser), "102": Password("102"), Customer: Password(Customer), Colleague: Password(Colleague)},
		Queue:    smallpbx.QueueConfig{Members: []string{SeatUser}, RingTime: 20 * time.Second}, // as Asterisk's
		Log:      log,
	}}
	return s, s.start()
}

func (s *small) start() error {
	pbx, err := smallpbx.New(s.cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	s.pbx, s.stop, s.anew = pbx, stop, false
	s.cfg.WSS, s.cfg.UDP = pbx.WSSAddr(), pbx.UDPAddr() // the same after a restart
	s.done.Go(func() {
		if err := pbx.Run(ctx); err != nil {
			s.err = err
		}
	})
	return nil
}

func (s *small) Name() string                        { return "small" }
func (s *small) WSS() string                         { return s.cfg.WSS }
func (s *small) SIP() string                         { return s.cfg.UDP }
func (s *small) HangUpAll(ctx context.Context) error { s.pbx.HangupAll(); return nil }
func (s *small) Kill() error                         { return s.pbx.Stop() }

func (s *small) SetPassword(user, password string) {
	s.cfg.Accounts = maps.Clone(s.cfg.Accounts)
	s.cfg.Accounts[user] = password
	s.anew = true
}

func (s *small) SetCert(cert tls.Certificate) {
	s.cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.anew = true
}

func (s *small) Restart(ctx context.Context) error {
	if !s.anew {
		return s.pbx.Restart()
	}
	if err := s.Close(); err != nil {
		return err
	}
	return s.start()
}

func (s *small) Close() error {
	s.stop()
	s.done.Wait()
	if s.err != nil {
		return fmt.Errorf("small PBX: %w", s.err)
	}
	return nil
}

// Small is the embedded PBX itself, nil where another one runs.
func Small(p PBX) *smallpbx.PBX {
	if s, ok := p.(*small); ok {
		return s.pbx
	}
	return nil
}

// OpenPBX starts a PBX: "small", or "asterisk" from the chroot at root. ca is
// the PEM certificate that seats must trust.
func OpenPBX(ctx context.Context, kind, root, logs string, log *slog.Logger) (pbx PBX, ca []byte, err error) {
	cert, ca, err := Cert(time.Now().Add(-time.Hour), 48*time.Hour)
	if err != nil {
		return nil, nil, err
	}
	pbx, err = openPBX(ctx, kind, root, logs, cert, log)
	return pbx, ca, err
}

func openPBX(ctx context.Context, kind, root, logs string, cert tls.Certificate, log *slog.Logger) (PBX, error) {
	switch kind {
	case "small":
		s, err := newSmall(cert, log)
		if err != nil {
			return nil, err // not a PBX that is nil
		}
		return s, nil
	case "asterisk":
		a, err := newAsterisk(ctx, root, logs, cert)
		if err != nil {
			return nil, err
		}
		return a, nil
	default:
		return nil, fmt.Errorf("there is no PBX %q: use small or asterisk", kind)
	}
}
