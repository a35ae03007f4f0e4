package centre_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/centretest"
	"deskset/firmware/fleet"
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func status(t *testing.T, err error, want int) *fleet.StatusError {
	t.Helper()
	var se *fleet.StatusError
	if !errors.As(err, &se) || se.Status != want {
		t.Fatalf("got %v, want status %d", err, want)
	}
	return se
}

func enrol(t *testing.T, e *centretest.Env, token string, key crypto.Signer) error {
	t.Helper()
	_, err := fleet.Enrol(t.Context(), fleet.EnrolConfig{URL: e.URL, CA: e.CA, Token: token, Key: key})
	return err
}

func TestTokenIsUsedOnce(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	token := e.Token(t, "S-0001")
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 8 {
		key := newKey(t)
		wg.Go(func() {
			_, err := fleet.Enrol(context.Background(), fleet.EnrolConfig{URL: e.URL, CA: e.CA, Token: token, Key: key})
			mu.Lock()
			defer mu.Unlock()
			var se *fleet.StatusError
			if err == nil {
				won++
			} else if !errors.As(err, &se) || se.Status != 403 {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Fatalf("one token enrolled %d seats", won)
	}
	status(t, enrol(t, e, token, newKey(t)), 403)
	status(t, enrol(t, e, "dk1-NOSUCHTOKEN", newKey(t)), 403)
}

func TestTokenExpires(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Now()
	e := centretest.New(t, centretest.Clock(func() time.Time { mu.Lock(); defer mu.Unlock(); return now }))
	token := e.Token(t, "S-0001")
	mu.Lock()
	now = now.Add(2 * time.Hour)
	mu.Unlock()
	status(t, enrol(t, e, token, newKey(t)), 403)
}

func TestWrongTokensAreSlowedDown(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	token := e.Token(t, "S-0001")
	key := newKey(t)
	var last error
	for range 15 {
		if last = enrol(t, e, "dk1-WRONG", key); last == nil {
			t.Fatal("a wrong token opened")
		}
	}
	if se := status(t, last, 429); se.RetryAfter == 0 {
		t.Error("no Retry-After")
	}
	status(t, enrol(t, e, token, key), 429)
}

// The request's key must be P-256, its signature its own; its names count for
// nothing; and a bad request does not use the token up.
func TestCSRRules(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	token := e.Token(t, "S-0001")
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	csr := func(key crypto.Signer) string {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "S-9999"}, DNSNames: []string{"evil"}}, key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	}
	good := csr(newKey(t))
	blk, _ := pem.Decode([]byte(good))
	blk.Bytes[len(blk.Bytes)-1] ^= 1
	post := func(text string) *http.Response {
		b, err := json.Marshal(fleet.EnrolRequest{Token: token, CSR: text})
		if err != nil {
			t.Fatal(err)
		}
		return raw(t, e, nil, "POST", fleet.PathEnrol, nil, bytes.NewReader(b))
	}
	for name, text := range map[string]string{
		"Ed25519": csr(ed), "P-384": csr(p384), "RSA": csr(rs), "garbage": "x", "two": good + good,
		"broken signature": string(pem.EncodeToMemory(blk)),
	} {
		if res := post(text); res.StatusCode != 422 {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
	res := post(good)
	if res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	var reply fleet.EnrolReply
	if err := json.NewDecoder(res.Body).Decode(&reply); err != nil {
		t.Fatal(err)
	}
	blk, _ = pem.Decode([]byte(reply.Chain))
	c, err := x509.ParseCertificate(blk.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject.CommonName != "S-0001" || len(c.DNSNames) > 0 || c.IsCA || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
		t.Errorf("certificate %+v", c.Subject)
	}
	if h, err := authority.Identify(c); err != nil || h.Name != "S-0001" || h.Role != authority.Seat {
		t.Error(h, err)
	}
}

// raw sends one request as anybody might.
func raw(t *testing.T, e *centretest.Env, cert *tls.Certificate, method, path string, h http.Header, body io.Reader) *http.Response {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(e.CA)
	conf := &tls.Config{RootCAs: roots}
	if cert != nil {
		conf.Certificates = []tls.Certificate{*cert}
	}
	cl := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), method, e.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range h {
		req.Header[k] = v
	}
	res, err := cl.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestWhoMayComeIn(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	s := e.Enrol(t, "S-0001")
	const id = "0f8fad5b-d9cb-469f-a165-70867728950e"
	for _, path := range []string{fleet.PathStream, fleet.PathRec + id, "/v1/floor", "/v1/audit/recordings"} {
		res := raw(t, e, nil, "GET", path, nil, nil)
		if res.StatusCode != 401 || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s without a certificate: %s", path, res.Status)
		}
	}
	// A certificate of another authority does not get through the handshake.
	strange := centretest.New(t).Enrol(t, "S-0001")
	cl, err := fleet.NewClient(fleet.ClientConfig{URL: e.URL, CA: e.CA, Chain: []byte(strange.Reply.Chain), Key: strange.Key})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	_, err = cl.Do(t.Context(), "GET", fleet.PathRec+id, nil, nil, 0)
	var se *fleet.StatusError
	if err == nil || errors.As(err, &se) {
		t.Errorf("another authority's certificate: %v", err)
	}
	// A seat is no auditor, an auditor no seat.
	_, err = s.Client.Do(t.Context(), "GET", "/v1/floor", nil, nil, 0)
	status(t, err, 403)
	li := e.Auditor(t, "li")
	_, err = li.Do(t.Context(), "GET", fleet.PathRec+id, nil, nil, 0)
	status(t, err, 403)
	if _, err = li.Do(t.Context(), "GET", "/v1/floor", nil, nil, 0); err != nil {
		t.Error(err)
	}
	if err := e.Centre.RevokeAuditor(t.Context(), "li"); err != nil {
		t.Fatal(err)
	}
	_, err = li.Do(t.Context(), "GET", "/v1/floor", nil, nil, 0)
	status(t, err, 403)
	// Enrolled again, the earlier certificate is no good.
	a, err := e.Centre.Roster.Token(t.Context(), "S-0001", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s2 := e.With(t, "S-0001", a.Token)
	_, err = s.Client.Do(t.Context(), "GET", fleet.PathRec+id, nil, nil, 0)
	status(t, err, 403)
	_, err = s2.Client.Do(t.Context(), "GET", fleet.PathRec+id, nil, nil, 0)
	status(t, err, 404)
	if err := e.Centre.Roster.Revoke(t.Context(), "S-0001"); err != nil {
		t.Fatal(err)
	}
	_, err = s2.Client.Do(t.Context(), "GET", fleet.PathRec+id, nil, nil, 0)
	status(t, err, 403)
}

func TestTLSAndPaths(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(e.CA)
	addr := strings.TrimPrefix(e.URL, "https://")
	if c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS12}); err == nil {
		c.Close()
		t.Error("TLS 1.2 was accepted")
	}
	if c, err := tls.Dial("tcp", addr, &tls.Config{}); err == nil {
		c.Close()
		t.Error("the CA is not private")
	}
	for _, path := range []string{"/", "/v1", "/v1/recordings/../../etc/passwd", "/v1/recordings/%2e%2e%2fx/manifest"} {
		if res := raw(t, e, nil, "PUT", path, nil, strings.NewReader("x")); res.StatusCode < 400 {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	s := e.Enrol(t, "S-0001")
	for _, id := range []string{"x", "..%2f..%2fx", "0F8FAD5B-D9CB-469F-A165-70867728950E", "%00"} {
		b, err := s.Client.Do(t.Context(), "GET", fleet.PathRec+id, nil, nil, 0)
		if status(t, err, 404); len(b) == 0 {
			t.Error("no problem told")
		}
	}
	// Big bodies are cut off before they are kept anywhere.
	res := raw(t, e, nil, "POST", fleet.PathEnrol, nil, io.LimitReader(zeros{}, 1<<20))
	if res.StatusCode != 413 {
		t.Error(res.Status)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
