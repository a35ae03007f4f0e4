package sipua_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"deskset/firmware/sipua"
	"deskset/firmware/sipua/sipuatest"
)

// realPBX answers REGISTER over a real wss on loopback; the first message goes
// out as a binary frame, and each connection is closed (1012) when told.
func realPBX(t *testing.T, restart <-chan struct{}) *httptest.Server {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ws, err := websocket.Accept(w, req, &websocket.AcceptOptions{Subprotocols: []string{"sip"}})
		if err != nil {
			return
		}
		defer ws.CloseNow()
		ctx, cancel := context.WithCancel(req.Context())
		defer cancel()
		go func() {
			select {
			case <-restart:
				ws.Close(websocket.StatusServiceRestart, "restart")
			case <-ctx.Done():
			}
		}()
		ws.Write(ctx, websocket.MessageText, make([]byte, sipua.MaxMessage+1))
		for {
			_, b, err := ws.Read(ctx)
			if err != nil {
				return
			}
			m, err := sipuatest.Parse(b)
			if err != nil {
				t.Errorf("%q: %v", b, err)
				return
			}
			ws.Write(ctx, websocket.MessageBinary, m.Response(200, "", "", fmt.Sprintf("Contact: %s;expires=600", m.ContactURI())))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func runReal(t *testing.T, cfg sipua.Config) *sipua.UA {
	t.Helper()
	ua, err := sipua.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ua.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ua
}

func nextReal[T sipua.Event](t *testing.T, ua *sipua.UA) T {
	t.Helper()
	select {
	case e := <-ua.Events():
		v, ok := e.(T)
		if !ok {
			t.Fatalf("event %T %+v, want %T", e, e, v)
		}
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("no event")
		panic("unreachable")
	}
}

func TestRealWSS(t *testing.T) {
	restart := make(chan struct{})
	s := realPBX(t, restart)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	cfg := sipua.Config{
		URL: "wss" + strings.TrimPrefix(s.URL, "https") + "/ws", User: "101", Password: "secret",
		Instance: "urn:uuid:00000000-0000-4000-8000-000000000101",
		TLS:      &tls.Config{RootCAs: roots},
	}
	ua := runReal(t, cfg)
	nextReal[sipua.Registered](t, ua)
	restart <- struct{}{}
	if e := nextReal[sipua.Lost](t, ua); !strings.Contains(e.Err.Error(), "1012 restart") {
		t.Error(e.Err)
	}
	if e := nextReal[sipua.Registered](t, ua); !e.Recovered {
		t.Errorf("%+v", e)
	}
	if st := ua.Stats(); st.Oversized != 2 || st.Flows != 2 || st.Registrations != 2 {
		t.Errorf("%+v", st)
	}

	cfg.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	if e := nextReal[sipua.Lost](t, runReal(t, cfg)); !strings.Contains(e.Err.Error(), "install the PBX's CA") {
		t.Error(e.Err)
	}
}
