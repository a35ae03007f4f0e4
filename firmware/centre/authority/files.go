package authority

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(k crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// writePair writes the key before the certificate, so that a certificate on
// disk always has its key.
func (a *Authority) writePair(cert, key string, der []byte, k crypto.PrivateKey, fresh bool) error {
	kb, err := keyPEM(k)
	if err != nil {
		return err
	}
	write := WriteFile
	if fresh {
		write = writeNew
	}
	if err := write(a.path(key), kb, 0o600); err != nil {
		return err
	}
	return write(a.path(cert), certPEM(der), 0o644)
}

func loadPair(dir, cert, key string) (*x509.Certificate, crypto.Signer, error) {
	cb, err := os.ReadFile(filepath.Join(dir, cert))
	if err != nil {
		return nil, nil, fmt.Errorf("load keys: %w", err)
	}
	kb, err := os.ReadFile(filepath.Join(dir, key))
	if err != nil {
		return nil, nil, fmt.Errorf("load keys: %w", err)
	}
	c, k, err := parsePair(cb, kb)
	if err != nil {
		return nil, nil, fmt.Errorf("load keys: %s and %s: %w; restore them from the backup", cert, key, err)
	}
	return c, k, nil
}

func parsePair(cb, kb []byte) (*x509.Certificate, crypto.Signer, error) {
	b, _ := pem.Decode(cb)
	if b == nil || b.Type != "CERTIFICATE" {
		return nil, nil, errors.New("no PEM certificate")
	}
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		return nil, nil, err
	}
	b, _ = pem.Decode(kb)
	if b == nil || b.Type != "PRIVATE KEY" {
		return nil, nil, errors.New("no PEM private key")
	}
	k, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return nil, nil, err
	}
	s, ok := k.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New("the key cannot sign")
	}
	if pub, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(s.Public()) {
		return nil, nil, errors.New("the certificate is not for this key")
	}
	return c, s, nil
}

// WriteFile replaces a file durably: after a power cut either the old or the
// new bytes are there, whole.
func WriteFile(path string, b []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// writeNew is WriteFile for a file that must not exist.
func writeNew(path string, b []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
