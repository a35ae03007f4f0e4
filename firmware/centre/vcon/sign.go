package vcon

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"deskset/firmware/signed"
)

// Sign makes the signed form: general JWS JSON serialization with the signer's
// chain (DER, leaf first) and the uuid beside the signature.
func Sign(key crypto.Signer, chain [][]byte, v VCon) ([]byte, error) {
	doc, err := signed.Seal(key, signed.VCon, v)
	if err != nil {
		return nil, err
	}
	var x5c []string
	for _, der := range chain {
		x5c = append(x5c, base64.StdEncoding.EncodeToString(der)) // RFC 7515 4.1.6
	}
	return signed.General(doc, map[string]any{"x5c": x5c, "uuid": v.UUID})
}

// Open verifies a signed vCon with the centre's key and returns it, the Call
// attached to it, and the unsigned form's bytes.
func Open(centre crypto.PublicKey, doc []byte) (VCon, Call, []byte, error) {
	var v VCon
	var c Call
	compact, header, err := signed.Compact(doc)
	if err != nil {
		return v, c, nil, fmt.Errorf("vCon: %w", err)
	}
	if err := signed.Open([]crypto.PublicKey{centre}, signed.VCon, compact, &v); err != nil {
		return v, c, nil, fmt.Errorf("vCon: %w", err)
	}
	if id, _ := header["uuid"].(string); id != v.UUID {
		return v, c, nil, errors.New("vCon: the uuid beside the signature is another one")
	}
	raw, err := signed.Unverified(compact) // verified above
	if err != nil {
		return v, c, nil, err
	}
	for _, a := range v.Attachments {
		if a.Purpose == PurposeCall {
			if err := json.Unmarshal(a.Body, &c); err != nil {
				return v, c, nil, fmt.Errorf("vCon: %w", err)
			}
			return v, c, raw, nil
		}
	}
	return v, c, nil, errors.New("vCon: the call's own record is not attached")
}
