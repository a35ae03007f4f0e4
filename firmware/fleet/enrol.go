package fleet

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"deskset/firmware/signed"
)

// EnrolConfig is what a new seat holds.
type EnrolConfig struct {
	URL   string        // of the centre
	CA    []byte        // PEM
	Token string        // one-time, from `deskfleet seats add`
	Key   crypto.Signer // ECDSA P-256, made on the seat
}

// Enrol gets the seat's certificate, name and first policy, and checks each
// against the others. The token is used up even if the answer is lost.
func Enrol(ctx context.Context, c EnrolConfig) (EnrolReply, error) {
	var reply EnrolReply
	if pub, ok := c.Key.Public().(*ecdsa.PublicKey); !ok || pub.Params().BitSize != 256 {
		return reply, errors.New("enrol: the seat's key must be ECDSA P-256")
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:            pkix.Name{CommonName: "deskset"},
		SignatureAlgorithm: x509.ECDSAWithSHA256,
	}, c.Key)
	if err != nil {
		return reply, fmt.Errorf("enrol: make the request: %w", err)
	}
	cl, err := NewClient(ClientConfig{URL: c.URL, CA: c.CA})
	if err != nil {
		return reply, fmt.Errorf("enrol: %w", err)
	}
	defer cl.Close()
	req := EnrolRequest{
		Token: strings.TrimSpace(c.Token),
		CSR:   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})),
	}
	if err := cl.postJSON(ctx, PathEnrol, req, &reply); err != nil {
		return EnrolReply{}, fmt.Errorf("enrol: %w", err)
	}
	if err := reply.check(c); err != nil {
		return EnrolReply{}, fmt.Errorf("enrol: the centre's answer: %w", err)
	}
	return reply, nil
}

func (r EnrolReply) check(c EnrolConfig) error {
	if err := SeatName(r.Seat); err != nil {
		return err
	}
	leaf, _, err := keyPair([]byte(r.Chain), c.Key)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.CA)
	inter := x509.NewCertPool()
	inter.AppendCertsFromPEM([]byte(r.Chain))
	// The clock of a new seat may be wrong: check the chain as of its own issue.
	opts := x509.VerifyOptions{Roots: roots, Intermediates: inter, CurrentTime: leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := leaf.Verify(opts); err != nil {
		return fmt.Errorf("seat certificate: %w", err)
	}
	if leaf.Subject.CommonName != r.Seat {
		return fmt.Errorf("seat certificate: it names %q, not %q", clip(leaf.Subject.CommonName), r.Seat)
	}
	key, err := ParseCentreKey([]byte(r.CentreKey))
	if err != nil {
		return err
	}
	_, err = OpenPolicy(key, r.Seat, []byte(r.PolicyJWS))
	return err
}

// ParseCentreKey reads the PEM SubjectPublicKeyInfo of EnrolReply.CentreKey.
func ParseCentreKey(b []byte) (crypto.PublicKey, error) {
	blk, _ := pem.Decode(b)
	if blk == nil || blk.Type != "PUBLIC KEY" {
		return nil, errors.New("centre key: not a PEM public key")
	}
	pub, err := x509.ParsePKIXPublicKey(blk.Bytes)
	if err != nil {
		return nil, fmt.Errorf("centre key: %w", err)
	}
	return pub, nil
}

// OpenPolicy verifies a policy for the seat with the centre's pinned key.
func OpenPolicy(centre crypto.PublicKey, seat string, doc []byte) (*Policy, error) {
	var p Policy
	if err := signed.Open([]crypto.PublicKey{centre}, signed.Policy, doc, &p); err != nil {
		return nil, err
	}
	if err := p.Check(seat); err != nil {
		return nil, err
	}
	return &p, nil
}

// ParseEnrolRequest reads what a seat asks, strictly. Errors repeat no token.
func ParseEnrolRequest(b []byte) (EnrolRequest, error) {
	var r EnrolRequest
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return EnrolRequest{}, errors.New("enrol request: want JSON with token and csr")
	}
	if _, err := dec.Token(); err != io.EOF {
		return EnrolRequest{}, errors.New("enrol request: more than one value")
	}
	if r.Token == "" || r.CSR == "" {
		return EnrolRequest{}, errors.New("enrol request: token or csr is missing")
	}
	return r, nil
}
