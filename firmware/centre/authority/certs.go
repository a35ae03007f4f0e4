package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"deskset/firmware/fleet"
)

// How long certificates are good for. Online things renew; the CA does not.
const (
	seatLife   = 2 * 365 * 24 * time.Hour
	serverLife = 398 * 24 * time.Hour
	renewLeft  = serverLife / 3
)

// Role of the holder of a client certificate.
type Role string

const (
	Seat    Role = "seat"
	Auditor Role = "auditor" // reads recordings and the floor, changes nothing
	// Operator is what a program on the centre's own machine calls itself, with
	// a certificate that it makes for the minute; it may do what an auditor may.
	Operator Role = "operator"
)

// Holder is who a client certificate names.
type Holder struct {
	Role   Role
	Name   string
	Serial string // hex
}

// CheckName says what is wrong with a centre's name. It ends up in
// certificates, receipts and file names, as a seat's does.
func CheckName(s string) error {
	if err := fleet.SeatName(s); err != nil {
		return fmt.Errorf("centre: %w", err)
	}
	return nil
}

func template(cn string, now time.Time, life time.Duration) *x509.Certificate {
	serial := make([]byte, 16)
	rand.Read(serial)
	serial[0] = serial[0]&0x7f | 0x40 // positive, always 16 bytes (RFC 5280 4.1.2.2)
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: cn},
		NotBefore:    now.Add(-time.Hour), // seats' clocks are wrong in the morning
		NotAfter:     now.Add(life),
	}
}

// SerialOf is a certificate's serial number as Holder has it.
func SerialOf(c *x509.Certificate) string { return hex.EncodeToString(c.SerialNumber.Bytes()) }

// holderURI names the holder where only this CA can write it; the common name
// repeats it for people.
func holderURI(r Role, name string) *url.URL {
	return &url.URL{Scheme: "urn", Opaque: "deskset:" + string(r) + ":" + name}
}

// SignSeat certifies the key of a checked request for the seat. Nothing of
// the request but its key is used.
func (a *Authority) SignSeat(csr *x509.CertificateRequest, seat string, now time.Time) (*x509.Certificate, error) {
	if err := fleet.SeatName(seat); err != nil {
		return nil, err
	}
	return a.signClient(csr.PublicKey, Seat, seat, now, seatLife)
}

func (a *Authority) signClient(pub crypto.PublicKey, r Role, name string, now time.Time, life time.Duration) (*x509.Certificate, error) {
	t := template(name, now, life)
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	t.URIs = []*url.URL{holderURI(r, name)}
	der, err := x509.CreateCertificate(rand.Reader, t, a.ca, pub, a.caKey)
	if err != nil {
		return nil, fmt.Errorf("certify %s %s: %w", r, name, err)
	}
	return x509.ParseCertificate(der)
}

// SeatChain is what a seat presents, PEM, leaf first.
func (a *Authority) SeatChain(leaf *x509.Certificate) string { return string(certPEM(leaf.Raw)) }

// ParseCSR reads a seat's request: PEM, ECDSA P-256, properly self-signed.
func ParseCSR(text string) (*x509.CertificateRequest, error) {
	if len(text) > 8<<10 {
		return nil, errors.New("certificate request: too large")
	}
	b, rest := pem.Decode([]byte(text))
	if b == nil || b.Type != "CERTIFICATE REQUEST" || len(strings.TrimSpace(string(rest))) != 0 {
		return nil, errors.New("certificate request: want exactly one PEM CERTIFICATE REQUEST")
	}
	csr, err := x509.ParseCertificateRequest(b.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	pub, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, errors.New("certificate request: the key must be ECDSA P-256")
	}
	if csr.SignatureAlgorithm != x509.ECDSAWithSHA256 {
		return nil, fmt.Errorf("certificate request: signed with %v, want ECDSA with SHA-256", csr.SignatureAlgorithm)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request: it is not signed by its own key: %w", err)
	}
	return csr, nil
}

// Identify reads the holder out of a client certificate that the TLS stack
// has verified against this CA.
func Identify(c *x509.Certificate) (Holder, error) {
	if len(c.URIs) != 1 || c.URIs[0].Scheme != "urn" {
		return Holder{}, errors.New("the certificate names no seat and no auditor")
	}
	p := strings.Split(c.URIs[0].Opaque, ":")
	if len(p) != 3 || p[0] != "deskset" || !slices.Contains([]Role{Seat, Auditor, Operator}, Role(p[1])) {
		return Holder{}, errors.New("the certificate names no seat and no auditor")
	}
	if err := fleet.SeatName(p[2]); err != nil {
		return Holder{}, err
	}
	return Holder{Role: Role(p[1]), Name: p[2], Serial: SerialOf(c)}, nil
}

// OperatorCert makes a key and certificate for a program on this machine, good
// for ten minutes and never written down.
func (a *Authority) OperatorCert(now time.Time) (tls.Certificate, error) {
	leaf, key, err := a.clientPair(Operator, "local", now, 10*time.Minute)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func (a *Authority) clientPair(r Role, name string, now time.Time, life time.Duration) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("%s key: %w", r, err)
	}
	leaf, err := a.signClient(key.Public(), r, name, now, life)
	return leaf, key, err
}

// RenewServer makes a new server key and certificate for the hosts and
// replaces the old ones.
func (a *Authority) RenewServer(hosts []string, now time.Time) error {
	if len(hosts) == 0 {
		return errors.New("server certificate: no host given")
	}
	t := template("deskset centre "+a.name, now, serverLife)
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, h := range hosts {
		if err := CheckHost(h); err != nil {
			return err
		}
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("server key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.ca, key.Public(), a.caKey)
	if err != nil {
		return fmt.Errorf("server certificate: %w", err)
	}
	return a.writePair(fileServer, fileServerKey, der, key, false)
}

// CheckHost says what is wrong with a name or address for the certificate.
func CheckHost(h string) error {
	if _, err := netip.ParseAddr(h); err == nil {
		return nil
	}
	ok := len(h) > 0 && len(h) <= 253 && !strings.HasPrefix(h, "-") && !strings.HasPrefix(h, ".")
	for _, r := range h {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	}
	if !ok {
		return fmt.Errorf("host %q: want a DNS name or an IP address, without port", h)
	}
	return nil
}

// Server is the certificate to serve with. It is renewed first when it is
// missing, near its end, of another CA, or does not carry exactly these hosts.
func (a *Authority) Server(hosts []string, now time.Time) (tls.Certificate, error) {
	leaf, key, err := loadPair(a.dir, fileServer, fileServerKey)
	if err != nil || leaf.NotAfter.Sub(now) < renewLeft || leaf.CheckSignatureFrom(a.ca) != nil || !sameHosts(leaf, hosts) {
		if err := a.RenewServer(hosts, now); err != nil {
			return tls.Certificate{}, err
		}
		if leaf, key, err = loadPair(a.dir, fileServer, fileServerKey); err != nil {
			return tls.Certificate{}, err
		}
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func sameHosts(c *x509.Certificate, hosts []string) bool {
	have := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		have = append(have, ip.String())
	}
	want := slices.Clone(hosts)
	for i, h := range want {
		if ip := net.ParseIP(h); ip != nil {
			want[i] = ip.String()
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	return slices.Equal(have, want)
}

// ClientCAs is what client certificates are verified against.
func (a *Authority) ClientCAs() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.ca)
	return p
}

// Fingerprint of the CA, hex SHA-256, for people to compare.
func (a *Authority) Fingerprint() string {
	sum := sha256.Sum256(a.ca.Raw)
	return hex.EncodeToString(sum[:])
}

func (a *Authority) path(name string) string { return filepath.Join(a.dir, name) }
