// Package authority holds the centre's own keys: the CA that names seats,
// auditors and the centre's server, the online key that signs policies,
// receipts and vCons, and the online key that opens the facts of a call. It
// holds the public halves of the voice keys and never a private one.
package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"deskset/firmware/vault/sealed"
)

// Names of the files below the key directory.
const (
	fileCA        = "ca.pem"
	fileCAKey     = "ca.key"
	fileServer    = "server.pem"
	fileServerKey = "server.key"
	fileOnline    = "online.pem"
	fileOnlineKey = "online.key"
	fileFactsKey  = "facts.key"
	fileVoice     = "voice.json"
	fileAuditors  = "auditors.json"
)

// Authority is the loaded key directory. Its fields are not changed after
// Load; the files of the server certificate and of the voice keys are read
// again when asked for.
type Authority struct {
	dir    string
	name   string
	ca     *x509.Certificate
	caKey  crypto.Signer
	online *x509.Certificate
	signer ed25519.PrivateKey
	facts  *sealed.PrivateKey

	mu        sync.Mutex
	voice     VoiceKeys // as read from voiceFile
	voiceFile fs.FileInfo
	auditMu   sync.Mutex
}

// Create makes all keys of a new centre in dir, which must not hold any yet.
// hosts are DNS names and IP addresses that seats reach the centre by.
func Create(dir, name string, hosts []string, now time.Time) (*Authority, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	for _, f := range []string{fileCA, fileCAKey, fileServer, fileServerKey, fileOnline, fileOnlineKey, fileFactsKey} {
		if _, err := os.Lstat(filepath.Join(dir, f)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("make keys: %s is there already; a centre's keys are made once", filepath.Join(dir, f))
		}
	}
	a := &Authority{dir: dir, name: name}
	if err := a.makeCA(now); err != nil {
		return nil, err
	}
	if err := a.makeOnline(now); err != nil {
		return nil, err
	}
	facts, err := sealed.GenerateKey(sealed.Online)
	if err != nil {
		return nil, fmt.Errorf("make facts key: %w", err)
	}
	a.facts = facts
	b, err := sealed.MarshalPrivate(facts)
	if err != nil {
		return nil, err
	}
	if err := writeNew(filepath.Join(dir, fileFactsKey), b, 0o600); err != nil {
		return nil, err
	}
	if err := a.RenewServer(hosts, now); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Authority) makeCA(now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make CA key: %w", err)
	}
	t := template("deskset centre "+a.name+" CA", now, 20*365*24*time.Hour)
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make CA: %w", err)
	}
	a.caKey = key
	if a.ca, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("make CA: %w", err)
	}
	return a.writePair(fileCA, fileCAKey, der, key, true)
}

func (a *Authority) makeOnline(now time.Time) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make online key: %w", err)
	}
	t := template("deskset centre "+a.name+" signer", now, 10*365*24*time.Hour)
	t.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, a.ca, key.Public(), a.caKey)
	if err != nil {
		return fmt.Errorf("make online certificate: %w", err)
	}
	a.signer = key
	if a.online, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("make online certificate: %w", err)
	}
	return a.writePair(fileOnline, fileOnlineKey, der, key, true)
}

// Load reads the key directory and checks that its files belong together.
func Load(dir, name string) (*Authority, error) {
	a := &Authority{dir: dir, name: name}
	var err error
	if a.ca, a.caKey, err = loadPair(dir, fileCA, fileCAKey); err != nil {
		return nil, err
	}
	var online crypto.Signer
	if a.online, online, err = loadPair(dir, fileOnline, fileOnlineKey); err != nil {
		return nil, err
	}
	var ok bool
	if a.signer, ok = online.(ed25519.PrivateKey); !ok {
		return nil, fmt.Errorf("load keys: %s is not an Ed25519 key", fileOnlineKey)
	}
	if err := a.online.CheckSignatureFrom(a.ca); err != nil {
		return nil, fmt.Errorf("load keys: %s is not of this CA: %w", fileOnline, err)
	}
	b, err := os.ReadFile(filepath.Join(dir, fileFactsKey))
	if err != nil {
		return nil, fmt.Errorf("load keys: %w", err)
	}
	if a.facts, err = sealed.ParsePrivate(b); err != nil {
		return nil, fmt.Errorf("load keys: %s: %w", fileFactsKey, err)
	}
	if a.facts.Use() != sealed.Online {
		return nil, fmt.Errorf("load keys: %s holds an offline voice key: take it off this machine", fileFactsKey)
	}
	return a, nil
}

// CA as PEM: what a seat needs to trust this centre.
func (a *Authority) CA() []byte { return certPEM(a.ca.Raw) }

// Signer is the online key: policies, receipts, vCons.
func (a *Authority) Signer() crypto.Signer { return a.signer }

// Public is the online key's public half, which seats pin.
func (a *Authority) Public() crypto.PublicKey { return a.signer.Public() }

// PublicPEM is Public as PEM SubjectPublicKeyInfo.
func (a *Authority) PublicPEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(a.signer.Public())
	if err != nil {
		return nil, fmt.Errorf("online key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// Chain is the certificate chain of the online key, DER, leaf first: the x5c
// of a vCon.
func (a *Authority) Chain() [][]byte { return [][]byte{a.online.Raw, a.ca.Raw} }

// Facts is the key that opens the facts of a call.
func (a *Authority) Facts() *sealed.PrivateKey { return a.facts }
