package console

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	certFile = "console.pem"        // key and certificate, 0600
	certLife = 398 * 24 * time.Hour // from now; with the year before it, browsers still take it
	certSlop = 30 * 24 * time.Hour  // renewed this long before its end
)

// SelfSigned is the console's own certificate for these names and addresses,
// for a seat whose agent's PC knows no better one. It is kept in dir
// (console.pem, readable to the owner only) and made anew when it is missing,
// damaged, near its end or for other names. fingerprint is what a person may
// compare with the browser's: SHA-256 of the certificate, hex pairs.
//
// The clock of a seat may be wrong in the morning, so the certificate begins a
// year before now.
func SelfSigned(dir string, names []string, now time.Time) (cert tls.Certificate, fingerprint string, err error) {
	path := filepath.Join(dir, certFile)
	if b, err := os.ReadFile(path); err == nil {
		if cert, err := tls.X509KeyPair(b, b); err == nil && stillGood(cert.Leaf, names, now) {
			return cert, Fingerprint(cert), nil
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return cert, "", fmt.Errorf("console certificate: %w", err)
	}
	b, err := makeCert(names, now)
	if err != nil {
		return cert, "", fmt.Errorf("make the console's certificate: %w", err)
	}
	if err := writeDurably(path, b); err != nil {
		return cert, "", fmt.Errorf("keep the console's certificate: %w", err)
	}
	if cert, err = tls.X509KeyPair(b, b); err != nil {
		return cert, "", fmt.Errorf("console certificate: %w", err)
	}
	return cert, Fingerprint(cert), nil
}

// Fingerprint of a certificate as browsers show it: "AB:CD:...".
func Fingerprint(cert tls.Certificate) string {
	if len(cert.Certificate) == 0 {
		return ""
	}
	sum := sha256.Sum256(cert.Certificate[0])
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}

func stillGood(leaf *x509.Certificate, names []string, now time.Time) bool {
	if leaf == nil || now.Before(leaf.NotBefore) || now.Add(certSlop).After(leaf.NotAfter) {
		return false
	}
	for _, n := range names {
		if leaf.VerifyHostname(n) != nil {
			return false
		}
	}
	return true
}

func makeCert(names []string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "deskset console"},
		NotBefore:    now.AddDate(-1, 0, 0),
		NotAfter:     now.Add(certLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...), nil
}

// writeDurably leaves the old file or the new one, never half of one.
func writeDurably(path string, b []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".console-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
