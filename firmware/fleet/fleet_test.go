package fleet_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/signed"
)

func policy(seat string, version uint64) fleet.Policy {
	return fleet.Policy{Version: version, Seat: seat, Centre: "c", PBX: []fleet.PBX{{URL: "wss://p/ws", Domain: "p", User: "1", Password: "secret"}}}
}

func sealPolicy(t *testing.T, k crypto.Signer, p fleet.Policy) []byte {
	t.Helper()
	b, err := signed.Seal(k, signed.Policy, p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPolicyFile(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "policy.jws")
	if _, err := fleet.LoadPolicy(path, pub, "S-1"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for v := range uint64(3) {
		if err := fleet.SavePolicy(path, sealPolicy(t, key, policy("S-1", v+1))); err != nil {
			t.Fatal(err)
		}
		p, err := fleet.LoadPolicy(path, pub, "S-1")
		if err != nil || p.Version != v+1 {
			t.Fatal(p, err)
		}
	}
	if i, err := os.Stat(path); err != nil || i.Mode().Perm() != 0o600 {
		t.Fatal(i.Mode(), err)
	}
	if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != 1 {
		t.Fatal("something is left over", all, err)
	}
	if _, err := fleet.LoadPolicy(path, pub, "S-2"); err == nil {
		t.Error("another seat's policy is taken")
	}
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.LoadPolicy(path, other, "S-1"); !errors.Is(err, signed.ErrSignature) {
		t.Error("another key's policy is taken", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.LoadPolicy(path, pub, "S-1"); err == nil {
		t.Error("garbage is taken")
	}
	if err := fleet.SavePolicy(filepath.Join(t.TempDir(), "no", "such", "dir"), nil); err == nil {
		t.Error("saved nowhere")
	}
}

func TestNames(t *testing.T) {
	for _, good := range []string{"S-0001", "a", "0", "SH02_A-117"} {
		if err := fleet.SeatName(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "-a", "_a", ".a", "a/b", "a b", "a\n", "工位", strings.Repeat("a", 33), ".."} {
		if fleet.SeatName(bad) == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestRangeForms(t *testing.T) {
	for _, bad := range []string{"", "bytes", "bytes 0-1", "bytes 0-1/*", "bytes */5", "items 0-1/2", "bytes 1-0/5", "bytes 0-5/5", "bytes -1-2/5", "bytes +0-1/5", "bytes 0-01/5", "bytes 0-1/5 ", "bytes 0-99999999999999999999/5"} {
		if r, err := fleet.ParseRange(bad); err == nil {
			t.Errorf("%q is %+v", bad, r)
		}
	}
}

func TestClientConfig(t *testing.T) {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: httptest.NewTLSServer(nil).Certificate().Raw})
	for _, u := range []string{"", "http://h", "https://", "https://u:p@h", "https://h?x=1", "ftp://h"} {
		if _, err := fleet.NewClient(fleet.ClientConfig{URL: u, CA: ca}); err == nil {
			t.Errorf("address %q is taken", u)
		}
	}
	if _, err := fleet.NewClient(fleet.ClientConfig{URL: "https://h", CA: []byte("x")}); err == nil {
		t.Error("no CA is taken")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.NewClient(fleet.ClientConfig{URL: "https://h", CA: ca, Chain: ca, Key: key}); err == nil || !strings.Contains(err.Error(), "not for this seat's key") {
		t.Errorf("another key's certificate: %v", err)
	}
}

func TestClientAnswers(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/problem":
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(503)
			io.WriteString(w, `{"title":"no","status":200,"detail":"later"}`)
		case "/huge":
			w.Write(make([]byte, 5<<20))
		default:
			io.WriteString(w, "fine")
		}
	}))
	defer s.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	c, err := fleet.NewClient(fleet.ClientConfig{URL: s.URL + "/", CA: ca})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	get := func(path string) ([]byte, error) { return c.Do(t.Context(), "GET", path, nil, nil, 0) }
	if b, err := get("/ok"); err != nil || string(b) != "fine" {
		t.Error(string(b), err)
	}
	if _, err := get("/redirect"); err == nil {
		t.Error("a redirect was followed")
	}
	if _, err := get("/huge"); err == nil {
		t.Error("a huge answer was taken")
	}
	_, err = get("/problem")
	var se *fleet.StatusError
	if !errors.As(err, &se) || se.Status != 503 || se.Detail != "later" || se.RetryAfter != 7*time.Second || !se.Temporary() {
		t.Errorf("%+v", err)
	}
	strange, err := fleet.NewClient(fleet.ClientConfig{URL: s.URL, CA: sealCA(t)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strange.Do(t.Context(), "GET", "/ok", nil, nil, 0); err == nil {
		t.Error("another CA's server was trusted")
	}
}

func sealCA(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return selfSigned(t, key)
}

func TestBackoff(t *testing.T) {
	b := fleet.Backoff{Base: 100 * time.Millisecond, Max: time.Second}
	var top time.Duration
	for i := range 1000 {
		d := b.Next()
		if d <= 0 || d > time.Second {
			t.Fatalf("wait %d is %v", i, d)
		}
		if i == 0 && d > 100*time.Millisecond {
			t.Fatalf("the first wait is %v", d)
		}
		top = max(top, d)
	}
	if top < 900*time.Millisecond {
		t.Errorf("no wait near the top: %v", top)
	}
	b.Reset()
	if d := b.Next(); d > 100*time.Millisecond {
		t.Errorf("after a reset %v", d)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := (&fleet.Backoff{Base: time.Hour, Max: time.Hour}).Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// An answer to an enrolment that does not fit together is refused whole.
func TestEnrolChecksTheAnswer(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"seat":"S-1","chain":"x","centre_key":"y","policy_jws":"z"}`)
	}))
	defer s.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := fleet.Enrol(t.Context(), fleet.EnrolConfig{URL: s.URL, CA: ca, Token: "t", Key: key}); err == nil || r.Seat != "" {
		t.Errorf("%+v, %v", r, err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.Enrol(t.Context(), fleet.EnrolConfig{URL: s.URL, CA: ca, Token: "t", Key: ed}); err == nil {
		t.Error("an Ed25519 seat key")
	}
}
