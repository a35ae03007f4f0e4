package media

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Identity is the key and self-signed certificate by which a seat's legs are
// known to their far ends (RFC 5763). It names nobody. One is made each time
// the seat starts and serves all of its legs; it is never stored.
type Identity struct {
	cert        tls.Certificate
	fingerprint fingerprint
}

// NewIdentity makes an ECDSA P-256 key and its certificate. The certificate is
// valid from 2000 to 2100, because the seat's clock may be wrong at start and
// only the fingerprint counts.
func NewIdentity() (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("media identity: make key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("media identity: make serial: %w", err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "WebRTC"},
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("media identity: sign certificate: %w", err)
	}
	sum := sha256.Sum256(der)
	return &Identity{
		cert:        tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		fingerprint: fingerprint{hash: "sha-256", sum: sum[:]},
	}, nil
}

// fingerprint is an SDP a=fingerprint (RFC 8122 section 5).
type fingerprint struct {
	hash string // lower case
	sum  []byte
}

func (f fingerprint) String() string {
	var b strings.Builder
	b.WriteString(f.hash)
	for i, c := range f.sum {
		sep := ":"
		if i == 0 {
			sep = " "
		}
		fmt.Fprintf(&b, "%s%02X", sep, c)
	}
	return b.String()
}

// parseFingerprint reads the value of an a=fingerprint. A hash that is unknown
// or broken (MD5, SHA-1) is not an error: known is false and the line counts
// for nothing.
func parseFingerprint(v string) (f fingerprint, known bool, err error) {
	hash, hexes, ok := strings.Cut(strings.TrimSpace(v), " ")
	if !ok {
		return f, false, fmt.Errorf("%w: fingerprint without a value", ErrDescription)
	}
	want := 0
	switch f.hash = strings.ToLower(hash); f.hash {
	case "sha-256":
		want = sha256.Size
	case "sha-384":
		want = sha512.Size384
	case "sha-512":
		want = sha512.Size
	default:
		return f, false, nil
	}
	f.sum, err = hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(hexes), ":", ""))
	if err != nil || len(f.sum) != want {
		return f, false, fmt.Errorf("%w: fingerprint is not %d hexadecimal bytes", ErrDescription, want)
	}
	return f, true, nil
}

// matches says whether f is the fingerprint of a certificate in DER.
func (f fingerprint) matches(der []byte) bool {
	var sum []byte
	switch f.hash {
	case "sha-256":
		s := sha256.Sum256(der)
		sum = s[:]
	case "sha-384":
		s := sha512.Sum384(der)
		sum = s[:]
	case "sha-512":
		s := sha512.Sum512(der)
		sum = s[:]
	}
	return len(sum) > 0 && subtle.ConstantTimeCompare(sum, f.sum) == 1
}
