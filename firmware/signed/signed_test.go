package signed_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"deskset/firmware/signed"
)

type doc struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

func keys(t testing.TB) (ed ed25519.PrivateKey, ec *ecdsa.PrivateKey) {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	return ed, ec
}

func seal(t testing.TB, k crypto.Signer, typ signed.Type, v any) []byte {
	t.Helper()
	b, err := signed.Seal(k, typ, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealAndOpen(t *testing.T) {
	ed, ec := keys(t)
	for _, k := range []crypto.Signer{ed, ec} {
		b := seal(t, k, signed.Policy, doc{"a", 1})
		var got doc
		if err := signed.Open([]crypto.PublicKey{ed.Public(), ec.Public()}, signed.Policy, b, &got); err != nil || got != (doc{"a", 1}) {
			t.Fatal(got, err)
		}
		for _, wrong := range []struct {
			name string
			keys []crypto.PublicKey
			typ  signed.Type
			doc  []byte
		}{
			{"no key", nil, signed.Policy, b},
			{"another type", []crypto.PublicKey{k.Public()}, signed.Receipt, b},
			{"a byte changed", []crypto.PublicKey{k.Public()}, signed.Policy, flip(b, len(b)/2)},
			{"signature changed", []crypto.PublicKey{k.Public()}, signed.Policy, flip(b, len(b)-10)},
			{"cut", []crypto.PublicKey{k.Public()}, signed.Policy, b[:len(b)-1]},
			{"empty", []crypto.PublicKey{k.Public()}, signed.Policy, nil},
		} {
			if err := signed.Open(wrong.keys, wrong.typ, wrong.doc, &got); !errors.Is(err, signed.ErrSignature) {
				t.Errorf("%T, %s: %v", k, wrong.name, err)
			}
		}
		if err := signed.Open([]crypto.PublicKey{k.Public()}, signed.Policy, make([]byte, signed.MaxSize+1), &got); err == nil {
			t.Error("a huge document")
		}
	}
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	if b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return b
}

// The classic ways to get around a JWS.
func TestForgeries(t *testing.T) {
	ed, ec := keys(t)
	trusted := []crypto.PublicKey{ed.Public(), ec.Public()}
	b64 := base64.RawURLEncoding.EncodeToString
	payload := b64([]byte(`{"name":"evil","n":1}`))
	good := strings.Split(string(seal(t, ec, signed.Policy, doc{"a", 1})), ".")
	head := func(m map[string]any) string {
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b64(b)
	}
	raw := []byte(ed.Public().(ed25519.PublicKey))
	for name, forged := range map[string]string{
		"alg none":       head(map[string]any{"alg": "none", "typ": signed.Policy}) + "." + payload + ".",
		"HMAC by public": head(map[string]any{"alg": "HS256", "typ": signed.Policy}) + "." + payload + "." + b64(raw),
		"own key in jwk": head(map[string]any{"alg": "EdDSA", "typ": signed.Policy, "jwk": map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}}) + "." + payload + "." + b64(make([]byte, 64)),
		"zero ECDSA":     head(map[string]any{"alg": "ES256", "typ": signed.Policy}) + "." + payload + "." + b64(make([]byte, 64)),
		"crit":           head(map[string]any{"alg": "ES256", "typ": signed.Policy, "crit": []string{"exp"}, "exp": 1}) + "." + good[1] + "." + good[2],
		"swapped":        good[0] + "." + payload + "." + good[2],
		"JSON form":      `{"payload":"` + good[1] + `","protected":"` + good[0] + `","signature":"` + good[2] + `"}`,
		"padding":        good[0] + "." + good[1] + "=." + good[2],
		"blanks":         " " + strings.Join(good, "."),
	} {
		var got doc
		if err := signed.Open(trusted, signed.Policy, []byte(forged), &got); err == nil {
			t.Errorf("%s opens: %+v", name, got)
		}
	}
	// What is signed must still be understood, all of it.
	var got doc
	for _, v := range []any{map[string]any{"name": "a", "n": 1, "more": true}, map[string]any{"n": "one"}, "text"} {
		if err := signed.Open(trusted, signed.Policy, seal(t, ec, signed.Policy, v), &got); err == nil {
			t.Errorf("%v opens as %+v", v, got)
		}
	}
}

func TestKeyTypes(t *testing.T) {
	big384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signed.Seal(big384, signed.Policy, doc{}); err == nil {
		t.Error("P-384 signs")
	}
	if _, err := signed.Seal(&odd{}, signed.Policy, doc{}); err == nil {
		t.Error("an odd key signs")
	}
	ed, ec := keys(t)
	a, err := signed.KeyID(ed.Public())
	if err != nil {
		t.Fatal(err)
	}
	b, err := signed.KeyID(ec.Public())
	if err != nil || a == b || len(a) != 22 {
		t.Error(a, b, err)
	}
}

type odd struct{ crypto.Signer }

func (*odd) Public() crypto.PublicKey { return big.NewInt(1) }

func TestGeneral(t *testing.T) {
	ed, _ := keys(t)
	b := seal(t, ed, signed.VCon, doc{"a", 1})
	g, err := signed.General(b, map[string]any{"x5c": []string{"QQ=="}})
	if err != nil {
		t.Fatal(err)
	}
	c, h, err := signed.Compact(g)
	if err != nil || !bytes.Equal(c, b) || h["x5c"] == nil {
		t.Fatal(err, h)
	}
	if p, err := signed.Unverified(c); err != nil || string(p) != `{"name":"a","n":1}` {
		t.Fatal(string(p), err)
	}
	for _, bad := range []string{"", "{}", `{"payload":"YQ","signatures":[]}`, `{"payload":"YQ","signatures":[{"protected":"YQ","signature":"YQ"},{"protected":"YQ","signature":"YQ"}]}`, `{"payload":"a b","signatures":[{"protected":"YQ","signature":"YQ"}]}`, `{"payload":"YQ.YQ","signatures":[{"protected":"YQ","signature":"YQ"}]}`} {
		if _, _, err := signed.Compact([]byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if _, err := signed.General([]byte("a.b"), nil); err == nil {
		t.Error("two parts are taken")
	}
}

// No bytes but those that were sealed open.
func FuzzOpen(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	good := seal(f, key, signed.Policy, doc{"a", 1})
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		var got doc
		err := signed.Open([]crypto.PublicKey{key.Public()}, signed.Policy, b, &got)
		if err == nil && got != (doc{"a", 1}) {
			t.Fatalf("%q opens as %+v", b, got)
		}
	})
}

func FuzzCompact(f *testing.F) {
	f.Add([]byte(`{"payload":"YQ","signatures":[{"header":{"uuid":"x"},"protected":"YQ","signature":"YQ"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, h, err := signed.Compact(b)
		if err != nil {
			return
		}
		g, err := signed.General(c, h)
		if err != nil {
			t.Fatal(err)
		}
		if again, _, err := signed.Compact(g); err != nil || !bytes.Equal(again, c) {
			t.Fatalf("%q became %q, %v", c, again, err)
		}
	})
}
