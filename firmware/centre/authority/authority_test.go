package authority_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deskset/firmware/centre/authority"
	"deskset/firmware/vault/sealed"
)

var t0 = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

func newAuthority(t testing.TB) (*authority.Authority, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	a, err := authority.Create(dir, "centre-1", []string{"centre.example", "10.0.0.5", "::1"}, t0)
	if err != nil {
		t.Fatal(err)
	}
	return a, dir
}

func TestCreateAndLoad(t *testing.T) {
	a, dir := newAuthority(t)
	b, err := authority.Load(dir, "centre-1")
	if err != nil {
		t.Fatal(err)
	}
	if a.Fingerprint() != b.Fingerprint() || a.Facts().ID() != b.Facts().ID() {
		t.Error("loaded other keys")
	}
	if _, err := authority.Create(dir, "centre-1", []string{"localhost"}, t0); err == nil {
		t.Error("keys were made twice")
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		i, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f.Name(), ".key") && i.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), i.Mode())
		}
	}
	// Files that do not belong together, or are damaged, are told by name.
	for name, spoil := range map[string]func(dir string) error{
		"ca.key":     func(d string) error { return os.WriteFile(filepath.Join(d, "ca.key"), []byte("x"), 0o600) },
		"online.key": func(d string) error { return os.Remove(filepath.Join(d, "online.key")) },
		"online.pem": func(d string) error {
			_, other := newAuthority(t)
			for _, f := range []string{"online.pem", "online.key"} {
				b, err := os.ReadFile(filepath.Join(other, f))
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(d, f), b, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		"facts.key": func(d string) error {
			k, err := sealed.GenerateKey(sealed.Offline)
			if err != nil {
				return err
			}
			b, err := sealed.MarshalPrivate(k)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(d, "facts.key"), b, 0o600)
		},
	} {
		_, d := newAuthority(t)
		if err := spoil(d); err != nil {
			t.Fatal(err)
		}
		if _, err := authority.Load(d, "centre-1"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServerCertificate(t *testing.T) {
	a, _ := newAuthority(t)
	hosts := []string{"centre.example", "10.0.0.5", "::1"}
	first, err := a.Server(hosts, t0)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.CA())
	for _, h := range hosts {
		if _, err := first.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: h, CurrentTime: t0}); err != nil {
			t.Error(err)
		}
	}
	if again, err := a.Server(hosts, t0.Add(24*time.Hour)); err != nil || !again.Leaf.Equal(first.Leaf) {
		t.Error("renewed without need", err)
	}
	if c, err := a.Server(hosts, t0.Add(300*24*time.Hour)); err != nil || c.Leaf.Equal(first.Leaf) || !c.Leaf.NotAfter.After(first.Leaf.NotAfter) {
		t.Error("not renewed near its end", err)
	}
	if c, err := a.Server([]string{"other.example"}, t0); err != nil || c.Leaf.VerifyHostname("other.example") != nil || c.Leaf.VerifyHostname("centre.example") == nil {
		t.Error("not renewed for another host", err)
	}
	if _, err := a.Server([]string{"bad host"}, t0); err == nil {
		t.Error("a bad host was taken")
	}
}

// Only what this CA wrote into a URI counts, not a name that looks alike.
func TestIdentify(t *testing.T) {
	a, _ := newAuthority(t)
	op, err := a.OperatorCert(t0)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := authority.Identify(op.Leaf); err != nil || h.Role != authority.Operator || op.Leaf.NotAfter.Sub(t0) > 10*time.Minute {
		t.Error(h, err)
	}
	server, err := a.Server([]string{"S-0001"}, t0)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := authority.Identify(server.Leaf); err == nil {
		t.Errorf("the server's certificate is %+v", h)
	}
}

func TestVoiceKeys(t *testing.T) {
	a, _ := newAuthority(t)
	dir := filepath.Join(t.TempDir(), "stick")
	v, err := authority.MakeVoiceKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authority.MakeVoiceKeys(dir); err == nil {
		t.Error("voice keys were written over")
	}
	pub, err := os.ReadFile(filepath.Join(dir, "voice.pub"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"primary", "escrow"} {
		path := filepath.Join(dir, name+".key")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i, err := os.Stat(path); err != nil || i.Mode().Perm() != 0o600 {
			t.Error(i.Mode(), err)
		}
		k, err := sealed.ParsePrivate(b)
		if err != nil || k.Use() != sealed.Offline || !strings.Contains(string(pub), k.ID()) {
			t.Error(err)
		}
		if _, err := authority.ParseVoiceKeys(b); err == nil || !strings.Contains(err.Error(), "never reach the centre") {
			t.Errorf("a private key at the centre: %v", err)
		}
	}
	if got, err := a.Voice(); err != nil || len(got.Keys) != 0 {
		t.Error(got, err)
	}
	p, err := authority.ParseVoiceKeys(pub)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SetVoice(p); err != nil {
		t.Fatal(err)
	}
	facts, voice, err := a.Recipients()
	if err != nil || len(facts) != 1 || len(voice) != 2 || voice[0].ID != v.Keys[0].ID {
		t.Error(facts, voice, err)
	}
	swapped := v
	swapped.Keys = []authority.VoiceKey{{Name: "primary", ID: v.Keys[1].ID, Key: v.Keys[0].Key}}
	if a.SetVoice(swapped) == nil {
		t.Error("a key under another's name was taken")
	}
	if got, err := a.Voice(); err != nil || len(got.Keys) != 2 {
		t.Error(got, err)
	}
}

func TestAuditors(t *testing.T) {
	a, dir := newAuthority(t)
	b, err := a.AddAuditor("li", "https://centre.example:8443", t0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := authority.ParseBundle(text)
	if err != nil || got != b {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(b.Cert), []byte(b.Key))
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	h, err := authority.Identify(c)
	if err != nil || h.Role != authority.Auditor {
		t.Fatal(h, err)
	}
	other, err := authority.Load(dir, "centre-1") // as the serving process
	if err != nil {
		t.Fatal(err)
	}
	if err := other.AdmitAuditor(h); err != nil {
		t.Error(err)
	}
	if err := a.RevokeAuditor("li"); err != nil {
		t.Fatal(err)
	}
	if other.AdmitAuditor(h) == nil {
		t.Error("admitted after revocation")
	}
	if a.RevokeAuditor("wang") == nil {
		t.Error("revoked nobody")
	}
	for _, bad := range []string{"", "{}", strings.Replace(string(text), b.Key[40:60], b.Key[41:61], 1)} {
		if _, err := authority.ParseBundle([]byte(bad)); err == nil {
			t.Errorf("%.40s is taken", bad)
		}
	}
}

// A request that passes has a P-256 key and nothing else is used of it.
func FuzzCSR(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
	f.Fuzz(func(t *testing.T, s string) {
		c, err := authority.ParseCSR(s)
		if err != nil {
			return
		}
		if k, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() || c.CheckSignature() != nil {
			t.Fatalf("%+v passes", c)
		}
	})
}

func FuzzVoiceKeys(f *testing.F) {
	v, err := authority.MakeVoiceKeys(filepath.Join(f.TempDir(), "v"))
	if err != nil {
		f.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":"deskset-voice-keys/1","keys":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := authority.ParseVoiceKeys(b)
		if err != nil {
			return
		}
		for _, k := range v.Keys {
			if k.ID == "" || k.Key == "" {
				t.Fatalf("%+v passes", k)
			}
		}
	})
}

func FuzzBundle(f *testing.F) {
	a, _ := newAuthority(f)
	b, err := a.AddAuditor("li", "https://c:1", t0, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	text, err := json.Marshal(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := authority.ParseBundle(b); err == nil && x.Key == "" {
			t.Fatal("no key passes")
		}
	})
}
