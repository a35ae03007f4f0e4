package sealed

import (
	"bytes"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"deskset/firmware/fleet"
)

// Use says what a private key is for; it is the PEM type of its file, so that
// an offline voice key is never mistaken for the centre's online one.
type Use string

const (
	Online  Use = "DESKSET HPKE KEY"  // opens facts, lives at the centre
	Offline Use = "DESKSET VOICE KEY" // opens voice, never online
)

// maxKeyFile bounds what ParsePrivate reads, in bytes.
const maxKeyFile = 16 << 10

// PrivateKey opens files sealed to its public half.
type PrivateKey struct {
	use Use
	id  string
	key hpke.PrivateKey
}

// PublicKey is a recipient of files.
type PublicKey struct {
	id  string
	key hpke.PublicKey
}

func kem() hpke.KEM { return hpke.MLKEM768X25519() }

// GenerateKey makes a new key pair from the system's randomness.
func GenerateKey(use Use) (*PrivateKey, error) {
	k, err := kem().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return &PrivateKey{use: use, key: k, id: KeyID(k.PublicKey().Bytes())}, nil
}

// KeyID names a public key, given as crypto/hpke encodes it: the first 16 bytes
// of its SHA-256, base64url.
func KeyID(pub []byte) string {
	sum := sha256.Sum256(pub)
	return encodeKeyID(sum[:16])
}

func encodeKeyID(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decodeKeyID(s string) (id [16]byte, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 16 {
		return id, fmt.Errorf("key id %q is not 16 bytes in base64url", s)
	}
	return [16]byte(b), nil
}

// ID is the KeyID of the public half.
func (k *PrivateKey) ID() string { return k.id }

// Use of the key.
func (k *PrivateKey) Use() Use { return k.use }

// Public half.
func (k *PrivateKey) Public() *PublicKey { return &PublicKey{id: k.id, key: k.key.PublicKey()} }

// ID is the KeyID.
func (p *PublicKey) ID() string { return p.id }

// Recipient is the key as a policy names it.
func (p *PublicKey) Recipient() fleet.Recipient {
	return fleet.Recipient{ID: p.id, Key: base64.StdEncoding.EncodeToString(p.key.Bytes())}
}

// ParsePublic reads a recipient of a policy. An ID that is not the key's own is
// refused: it would seal recordings to a key that nobody can find.
func ParsePublic(r fleet.Recipient) (*PublicKey, error) {
	b, err := base64.StdEncoding.DecodeString(r.Key)
	if err != nil {
		return nil, fmt.Errorf("recipient %q: key is not base64: %w", r.ID, err)
	}
	k, err := kem().NewPublicKey(b)
	if err != nil {
		return nil, fmt.Errorf("recipient %q: %w", r.ID, err)
	}
	id := KeyID(b)
	if r.ID != "" && r.ID != id {
		return nil, fmt.Errorf("recipient %q: its key is %q", r.ID, id)
	}
	return &PublicKey{id: id, key: k}, nil
}

// ParsePublics reads a list of recipients.
func ParsePublics(rs []fleet.Recipient) ([]*PublicKey, error) {
	var out []*PublicKey
	for _, r := range rs {
		k, err := ParsePublic(r)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// MarshalPrivate is the key's file: PEM with the key id as a header, so that a
// mistyped or damaged file is told from a wrong key. Write it with mode 0600.
func MarshalPrivate(k *PrivateKey) ([]byte, error) {
	b, err := k.key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{
		Type: string(k.use), Headers: map[string]string{"Key-Id": k.id}, Bytes: b,
	}), nil
}

// ParsePrivate reads a key file of either use.
func ParsePrivate(file []byte) (*PrivateKey, error) {
	if len(file) > maxKeyFile {
		return nil, fmt.Errorf("key file of %d bytes is too large", len(file))
	}
	b, rest := pem.Decode(file)
	if b == nil {
		return nil, errors.New("no key in the file: it must hold a PEM block that begins with -----BEGIN DESKSET")
	}
	use := Use(b.Type)
	if use != Online && use != Offline {
		return nil, fmt.Errorf("the file holds a %q, not a recording key", b.Type)
	}
	if len(bytes.TrimSpace(rest)) != 0 {
		return nil, errors.New("the key file holds more than one key or has text after it: keep one key a file")
	}
	k, err := kem().NewPrivateKey(b.Bytes)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	id := KeyID(k.PublicKey().Bytes())
	if want := b.Headers["Key-Id"]; want != id {
		return nil, fmt.Errorf("key file is damaged: it is named %q but its key is %q; use the backup", want, id)
	}
	return &PrivateKey{use: use, id: id, key: k}, nil
}
