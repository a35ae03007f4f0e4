// Package digest answers digest challenges (RFC 7616, RFC 8760 for SIP, and
// the older RFC 2617 and RFC 2069 forms that PBXs still send). Pure.
package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Challenge is one WWW-Authenticate or Proxy-Authenticate value.
type Challenge struct {
	Realm, Nonce, Opaque string
	Algorithm            string // as sent; "" is MD5
	QOP                  []string
	Stale                bool // the nonce was too old, the password was right
	UserHash             bool
}

// Request is what a challenge is answered for.
type Request struct {
	User, Password string
	Method, URI    string
	Body           []byte // only hashed for qop=auth-int
	CNonce         string // fresh and random, 128 bits or more
	NC             uint32 // how often this nonce was answered, from 1
}

var (
	// ErrScheme: the challenge is not Digest.
	ErrScheme = errors.New("digest: not a Digest challenge")
	// ErrUnsupported: an algorithm or qop that is not spoken here.
	ErrUnsupported = errors.New("digest: unsupported algorithm or qop")
)

// strength orders the algorithms; 0 is unknown.
func strength(algorithm string) int {
	switch baseAlgorithm(algorithm) {
	case "MD5":
		return 1
	case "SHA-256":
		return 2
	case "SHA-512-256":
		return 3
	}
	return 0
}

func baseAlgorithm(a string) string {
	a = strings.ToUpper(a)
	if a == "" {
		return "MD5"
	}
	return strings.TrimSuffix(a, "-SESS")
}

func session(a string) bool { return strings.HasSuffix(strings.ToUpper(a), "-SESS") }

func (c Challenge) hash(s string) string {
	switch baseAlgorithm(c.Algorithm) {
	case "SHA-256":
		h := sha256.Sum256([]byte(s))
		return hex.EncodeToString(h[:])
	case "SHA-512-256":
		h := sha512.Sum512_256([]byte(s))
		return hex.EncodeToString(h[:])
	}
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}

// Supported tells whether Authorize can answer c.
func (c Challenge) Supported() bool {
	return strength(c.Algorithm) > 0 && (len(c.QOP) == 0 || c.qop() != "")
}

func (c Challenge) qop() string {
	for _, q := range []string{"auth", "auth-int"} {
		if slices.ContainsFunc(c.QOP, func(s string) bool { return strings.EqualFold(s, q) }) {
			return q
		}
	}
	return ""
}

// Strongest picks the answerable challenge with the best algorithm, the first
// of equals; a man in the middle who only adds a weak one gains nothing.
func Strongest(cs []Challenge) (Challenge, bool) {
	best := -1
	for i, c := range cs {
		if c.Supported() && (best < 0 || strength(c.Algorithm) > strength(cs[best].Algorithm)) {
			best = i
		}
	}
	if best < 0 {
		return Challenge{}, false
	}
	return cs[best], true
}

// Authorize gives the value of the Authorization or Proxy-Authorization header.
func (c Challenge) Authorize(r Request) (string, error) {
	if !c.Supported() {
		return "", fmt.Errorf("%w: algorithm %q, qop %q", ErrUnsupported, c.Algorithm, c.QOP)
	}
	a1 := c.hash(r.User + ":" + c.Realm + ":" + r.Password)
	if session(c.Algorithm) {
		a1 = c.hash(a1 + ":" + c.Nonce + ":" + r.CNonce)
	}
	qop := c.qop()
	a2 := r.Method + ":" + r.URI
	if qop == "auth-int" {
		a2 += ":" + c.hash(string(r.Body))
	}
	a2 = c.hash(a2)
	nc := fmt.Sprintf("%08x", r.NC)
	response := c.hash(a1 + ":" + c.Nonce + ":" + a2) // RFC 2069
	if qop != "" {
		response = c.hash(strings.Join([]string{a1, c.Nonce, nc, r.CNonce, qop, a2}, ":"))
	}

	user := r.User
	if c.UserHash {
		user = c.hash(r.User + ":" + c.Realm)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Digest username=%s, realm=%s, nonce=%s, uri=%s, response=%q",
		quote(user), quote(c.Realm), quote(c.Nonce), quote(r.URI), response)
	if c.Algorithm != "" {
		b.WriteString(", algorithm=" + c.Algorithm)
	}
	if c.Opaque != "" {
		b.WriteString(", opaque=" + quote(c.Opaque))
	}
	if qop != "" {
		b.WriteString(", qop=" + qop + ", nc=" + nc + ", cnonce=" + quote(r.CNonce))
	} else if session(c.Algorithm) {
		b.WriteString(", cnonce=" + quote(r.CNonce))
	}
	if c.UserHash {
		b.WriteString(", userhash=true")
	}
	return b.String(), nil
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
