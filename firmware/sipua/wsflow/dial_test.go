package wsflow

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// authority is a CA of the test's own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) roots() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool}
}

func (a authority) server(t *testing.T, change func(*x509.Certificate)) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "pbx"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	change(tmpl)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func TestTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	for _, c := range []struct {
		name   string
		client *tls.Config
		change func(*x509.Certificate)
		want   string // in the error; "" for none
	}{
		{"private CA", ca.roots(), func(*x509.Certificate) {}, ""},
		{"another CA", other.roots(), func(*x509.Certificate) {}, "not signed by the CA that the policy names"},
		{"the system's CAs", nil, func(*x509.Certificate) {}, "not signed by the CA that the policy names"},
		{"expired", ca.roots(), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "out of its dates"},
		{"not yet valid", ca.roots(), func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }, "out of its dates"},
		{"another name", ca.roots(), func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)} }, "for another name"},
		{"a client's certificate", ca.roots(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, "not fit for a server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := serve(t, ca.server(t, c.change), func(p *peer) {
				p.write(frame{true, opText, []byte("hello")})
				p.read()
			})
			conn, err := Dial(t.Context(), url, Options{TLS: c.client, MaxMessage: 100})
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			expect(t, conn, "hello")
			conn.ws.CloseNow()
		})
	}
}

func TestDialErrors(t *testing.T) {
	ca := newAuthority(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	away := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer away.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()

	for url, want := range map[string]string{
		"ws" + strings.TrimPrefix(plain.URL, "http") + "/x": `HTTP 404 instead of opening a WebSocket: check the path "/x"`,
		"ws" + strings.TrimPrefix(away.URL, "http"):         "HTTP 302",
		"wss" + strings.TrimPrefix(plain.URL, "http"):       "does not speak TLS",
		"ws://" + nobody + "/ws":                            "nothing listens",
		"ws://" + silent.Addr().String() + "/ws":            "does not answer",
		"ws://no.such.name.invalid/ws":                      "is not known",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		if strings.Contains(url, silent.Addr().String()) {
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		}
		_, err := Dial(ctx, url, Options{Insecure: true, TLS: ca.roots()})
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(url, ".invalid") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A server of WebSocket that is not one of SIP.
func TestOtherProtocol(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for _, protocol := range []string{"", "mqtt"} {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			p := newPeer(t, conn)
			p.handshake(protocol)
			conn.Close()
		}
	}()
	for range 2 {
		_, err := Dial(t.Context(), "ws://"+ln.Addr().String()+"/ws", Options{Insecure: true})
		if err == nil {
			t.Error("taken")
		}
	}
}
