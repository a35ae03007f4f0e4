package signed

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// generalJWS is the general JSON serialization (RFC 7515 section 7.2.1), the
// form that the vCon draft asks for.
type generalJWS struct {
	Payload    string             `json:"payload"`
	Signatures []generalSignature `json:"signatures"`
}

type generalSignature struct {
	Header    map[string]any `json:"header,omitempty"`
	Protected string         `json:"protected"`
	Signature string         `json:"signature"`
}

// General turns what Seal made into the general JSON serialization, with an
// unprotected header beside the signature (e.g. "x5c"). The header is not
// signed: nothing may be decided by it before Open has verified the document.
func General(compact []byte, header map[string]any) ([]byte, error) {
	p := strings.Split(string(compact), ".")
	if len(p) != 3 {
		return nil, errors.New("general JWS: not a compact JWS")
	}
	return json.Marshal(generalJWS{
		Payload:    p[1],
		Signatures: []generalSignature{{Header: header, Protected: p[0], Signature: p[2]}},
	})
}

// Compact turns a general JSON serialization with one signature back into the
// form that Open reads, and returns its unprotected header beside it.
func Compact(general []byte) (compact []byte, header map[string]any, err error) {
	if len(general) > MaxSize {
		return nil, nil, fmt.Errorf("general JWS: %d bytes is too large", len(general))
	}
	dec := json.NewDecoder(bytes.NewReader(general))
	dec.DisallowUnknownFields()
	var g generalJWS
	if err := dec.Decode(&g); err != nil {
		return nil, nil, fmt.Errorf("general JWS: %w", err)
	}
	if len(g.Signatures) != 1 {
		return nil, nil, fmt.Errorf("general JWS: %d signatures, want one", len(g.Signatures))
	}
	s := g.Signatures[0]
	for _, part := range []string{s.Protected, g.Payload, s.Signature} {
		if _, err := base64.RawURLEncoding.DecodeString(part); err != nil || part == "" {
			return nil, nil, errors.New("general JWS: a member is not base64url")
		}
	}
	return []byte(s.Protected + "." + g.Payload + "." + s.Signature), s.Header, nil
}

// Unverified returns the payload of a document without checking who signed
// it. It is for a party's own documents only; whatever came from outside goes
// through Open.
func Unverified(compact []byte) ([]byte, error) {
	p := strings.Split(string(compact), ".")
	if len(p) != 3 || len(compact) > MaxSize {
		return nil, errors.New("not a compact JWS")
	}
	return base64.RawURLEncoding.DecodeString(p[1])
}
