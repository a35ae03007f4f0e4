package console

import (
	"net"
	"net/http"
	"strconv"
	"strings"
)

// guard is before every handler: headers that hold for all, a Host that is
// ours (a rebound DNS name is not), and for what changes something an Origin
// that is this very page.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "+
			"require-trusted-types-for 'script'; trusted-types 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=()")
		h.Set("Cache-Control", "no-store")

		if !s.hostIsOurs(r) {
			s.refuse(w, r, http.StatusMisdirectedRequest, &Error{Code: CodeForbidden, Text: "this name is not the seat's"})
			return
		}
		// Browsers say where a request comes from; only this page and the
		// address bar may fetch, and only this page may ask for anything.
		if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" &&
			(strings.HasPrefix(r.URL.Path, "/api/") || site != "none" && r.Header.Get("Sec-Fetch-Mode") != "navigate") {
			s.refuse(w, r, http.StatusForbidden, &Error{Code: CodeForbidden, Text: "asked by another site"})
			return
		}
		changes := r.Method != http.MethodGet && r.Method != http.MethodHead
		if (changes || r.Header.Get("Upgrade") != "") && !strings.EqualFold(r.Header.Get("Origin"), "https://"+r.Host) {
			s.refuse(w, r, http.StatusForbidden, &Error{Code: CodeForbidden, Text: "the Origin is not this page"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostIsOurs takes the address that the connection came in on, and configured
// names (with its port, or with one of their own).
func (s *Server) hostIsOurs(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return false
	}
	if s.names[canonicalHost(r.Host)] && strings.Contains(strings.TrimSuffix(r.Host, "]"), ":") {
		if _, _, err := net.SplitHostPort(r.Host); err == nil {
			return true // the name was configured with this port
		}
	}
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host, port = strings.Trim(r.Host, "[]"), "443"
	}
	if port != strconv.Itoa(local.Port) {
		return false
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.Equal(local.IP) || s.names[canonicalHost(host)]
	}
	host = canonicalHost(host)
	return s.names[host] || host == "localhost" && local.IP.IsLoopback()
}

func canonicalHost(h string) string { return strings.TrimSuffix(strings.ToLower(h), ".") }

// peer is the address that a request came from, without its port.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
