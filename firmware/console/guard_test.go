package console_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"deskset/firmware/console"
)

func TestHost(t *testing.T) {
	s := serve(t, signedIn(t), func(c *console.Config) { c.Names = []string{"Seat.test", "front.test:8443"} })
	c := newClient(t, s)
	port := s.Addr().(*net.TCPAddr).Port
	for host, want := range map[string]int{
		fmt.Sprintf("127.0.0.1:%d", port):      200,
		fmt.Sprintf("localhost:%d", port):      200,
		fmt.Sprintf("LOCALHOST:%d", port):      200,
		fmt.Sprintf("seat.test:%d", port):      200,
		fmt.Sprintf("seat.test.:%d", port):     200,
		"front.test:8443":                      200,
		fmt.Sprintf("front.test:%d", port):     421,
		"seat.test":                            421, // port 443 is not ours
		"seat.test:1":                          421,
		"127.0.0.1":                            421,
		fmt.Sprintf("127.0.0.1:%d", port^1):    421,
		fmt.Sprintf("127.0.0.2:%d", port):      421,
		fmt.Sprintf("[::1]:%d", port):          421,
		fmt.Sprintf("evil.test:%d", port):      421,
		fmt.Sprintf("seat.test.evil:%d", port): 421,
		fmt.Sprintf("127.0.0.1.evil:%d", port): 421,
		"evil.test":                            421,
	} {
		c.change = func(r *http.Request) { r.Host = host }
		for _, path := range []string{"/", "/api/pair"} {
			if a := c.ask("GET", path, ""); a.status != want {
				t.Errorf("Host %s%s: %d, want %d", host, path, a.status, want)
			}
		}
	}
}

func TestOrigin(t *testing.T) {
	s := serve(t, signedIn(t), nil)
	c := newClient(t, s)
	c.pair(s)
	for _, origin := range []string{"", "null", "https://evil.test", "http" + c.base[5:], c.base + "0", "https://127.0.0.1", c.base + ".evil.test", c.base + "/"} {
		c.change = func(r *http.Request) {
			r.Header.Del("Origin")
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
		}
		for _, q := range [][2]string{{"POST", "/api/do"}, {"POST", "/api/pair"}, {"POST", "/api/pair/claim"}, {"DELETE", "/api/pair"}} {
			if a := c.ask(q[0], q[1], `{"kind":"ready"}`); a.status != 403 || a.code != console.CodeForbidden {
				t.Errorf("Origin %q, %s %s: %d", origin, q[0], q[1], a.status)
			}
		}
		if status := c.handshake(http.Header{"Origin": {origin}}); status != 403 {
			t.Errorf("Origin %q, socket: %d", origin, status)
		}
	}
	c.change = nil
	if status := c.handshake(http.Header{}); status != 403 {
		t.Errorf("a socket without Origin: %d", status)
	}
	if a := c.ask("POST", "/api/do", `{"kind":"ready"}`); a.status != 200 {
		t.Errorf("the page's own: %d %s", a.status, a.body)
	}

	for site, want := range map[string]int{"cross-site": 403, "same-site": 403, "none": 403, "same-origin": 200} {
		c.change = func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", site) }
		if a := c.ask("GET", "/api/view", ""); a.status != want {
			t.Errorf("Sec-Fetch-Site %s: %d, want %d", site, a.status, want)
		}
	}
	c.change = func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Mode", "navigate")
	}
	if a := c.ask("GET", "/", ""); a.status != 200 {
		t.Errorf("a link to the page: %d", a.status)
	}
}

func TestHeaders(t *testing.T) {
	s := serve(t, signedIn(t), nil)
	c := newClient(t, s)
	for _, path := range []string{"/", "/js/app.js", "/css/base.css", "/api/pair", "/api/view", "/nothing", "/api/nothing"} {
		a := c.ask("GET", path, "")
		csp := a.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: no %s in %q", path, part, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") || strings.Contains(csp, "*") {
			t.Errorf("%s: %q", path, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin"} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s: %q", path, name, got)
			}
		}
		if strings.HasPrefix(path, "/api/") && a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached: %q", path, a.header.Get("Cache-Control"))
		}
		if a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Content-Type") == "" {
			t.Errorf("%s: %v", path, a.header)
		}
	}
}

func TestOnlyThePagesFiles(t *testing.T) {
	s := serve(t, signedIn(t), nil)
	c := newClient(t, s)
	for path, want := range map[string]int{
		"/": 200, "/icon.svg": 200, "/index.html": 404, "/js": 404, "/js/": 404, "/page/index.html": 404,
		"/console.pem": 404, "/js/%2e%2e/%2e%2e/console.go": 404, "/..%2fconsole.go": 404, "/api": 404, "/api/": 404,
	} {
		a := c.ask("GET", path, "")
		if a.status != want && !(want == 404 && a.status == 400) {
			t.Errorf("%s: %d, want %d", path, a.status, want)
		}
	}
	for _, q := range [][2]string{{"POST", "/"}, {"PUT", "/js/app.js"}, {"GET", "/api/do"}, {"PUT", "/api/do"}, {"POST", "/api/view"}} {
		if a := c.ask(q[0], q[1], ""); a.status != 405 && a.status != 404 {
			t.Errorf("%s %s: %d", q[0], q[1], a.status)
		}
	}
	c.change = func(r *http.Request) { r.Header.Set("If-None-Match", `"x"`) }
	tag := c.ask("GET", "/js/app.js", "").header.Get("ETag")
	c.change = func(r *http.Request) { r.Header.Set("If-None-Match", tag) }
	if a := c.ask("GET", "/js/app.js", ""); a.status != 304 {
		t.Errorf("unchanged file: %d", a.status)
	}
}

func TestAllowedPeers(t *testing.T) {
	s := serve(t, signedIn(t), func(c *console.Config) { c.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("a peer outside the list: %v", err)
	}
	s = serve(t, signedIn(t), func(c *console.Config) { c.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	if a := newClient(t, s).ask("GET", "/", ""); a.status != 200 {
		t.Errorf("a peer inside the list: %d", a.status)
	}
}

// A peer that opens connections without end is cut off, and keeps nobody
// else waiting; a closed one counts no longer.
func TestConnectionsAreBounded(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := console.NewBounded(ln, nil)
	defer b.Close()
	accepted := make(chan net.Conn, 100)
	go func() {
		for {
			c, err := b.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	for range console.MaxPeerConns {
		dial()
	}
	one := <-accepted
	if _, err := dial().Read(make([]byte, 1)); err == nil {
		t.Error("one too many was let in")
	}
	one.Close()
	one.Close() // counts once
	dial()
	for range console.MaxPeerConns { // the rest of the first ones, and the last
		<-accepted
	}
}
