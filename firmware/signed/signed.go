// Package signed is the one envelope for everything that a party signs:
// policies, manifests, receipts, vCons. It is JWS compact serialization
// (RFC 7515) with EdDSA (RFC 8037) or ES256 (RFC 7518), and a "typ" header that
// says what the payload is, so that one signed thing can never be passed off
// as another.
package signed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// MaxSize bounds what Open reads, in bytes.
const MaxSize = 4 << 20

// ErrSignature says that a document is not signed by a trusted key for its type.
var ErrSignature = errors.New("signature does not verify")

// Type names what a payload is; it is part of what is signed.
type Type string

const (
	Policy   Type = "deskset-policy+jws"
	Manifest Type = "deskset-manifest+jws"
	Receipt  Type = "deskset-receipt+jws"
	VCon     Type = "vcon+jws"
)

// KeyID names a public key: the first 16 bytes of SHA-256 over its
// SubjectPublicKeyInfo, base64url.
func KeyID(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("name key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:16]), nil
}

// Seal signs v, encoded as JSON. The key is Ed25519 or ECDSA P-256.
func Seal(key crypto.Signer, typ Type, v any) ([]byte, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", typ, err)
	}
	alg, err := algorithm(key.Public())
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", typ, err)
	}
	kid, err := KeyID(key.Public())
	if err != nil {
		return nil, err
	}
	opts := (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("kid", kid)
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", typ, err)
	}
	obj, err := s.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", typ, err)
	}
	out, err := obj.CompactSerialize()
	return []byte(out), err
}

// Open checks doc against the trusted keys and its type and decodes the
// payload into v. Unknown members are refused.
func Open(trusted []crypto.PublicKey, typ Type, doc []byte, v any) error {
	if len(doc) > MaxSize {
		return fmt.Errorf("open %s: %d bytes is too large", typ, len(doc))
	}
	obj, err := jose.ParseSignedCompact(string(doc), []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256})
	if err != nil {
		return fmt.Errorf("open %s: %w: %v", typ, ErrSignature, err)
	}
	head := obj.Signatures[0].Protected
	if got, _ := head.ExtraHeaders[jose.HeaderType].(string); got != string(typ) {
		return fmt.Errorf("open %s: %w: it is a %q", typ, ErrSignature, got)
	}
	for _, pub := range trusted {
		alg, err := algorithm(pub)
		if err != nil || string(alg) != head.Algorithm {
			continue
		}
		payload, err := obj.Verify(pub)
		if err != nil {
			continue
		}
		dec := json.NewDecoder(strings.NewReader(string(payload)))
		dec.DisallowUnknownFields()
		if err := dec.Decode(v); err != nil {
			return fmt.Errorf("open %s: %w", typ, err)
		}
		if _, err := dec.Token(); err != io.EOF {
			return fmt.Errorf("open %s: more than one value is signed", typ)
		}
		return nil
	}
	return fmt.Errorf("open %s: %w by any of %d trusted keys", typ, ErrSignature, len(trusted))
}

func algorithm(pub crypto.PublicKey) (jose.SignatureAlgorithm, error) {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return jose.EdDSA, nil
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize == 256 {
			return jose.ES256, nil
		}
	}
	return "", fmt.Errorf("key type %T cannot sign here: use Ed25519 or P-256", pub)
}
