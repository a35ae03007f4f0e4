package siplite

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// Authorize makes the header that answers a 401 or 407, from the strongest
// challenge that we can do (RFC 8760: SHA-256 before MD5).
func Authorize(req *sip.Request, res *sip.Response, user, password string) (sip.Header, error) {
	if password == "" {
		return nil, errors.New("challenged, and no password is set")
	}
	ask, answer := "WWW-Authenticate", "Authorization"
	if res.StatusCode == 407 {
		ask, answer = "Proxy-Authenticate", "Proxy-Authorization"
	}
	var best *digest.Challenge
	for _, h := range res.GetHeaders(ask) {
		c, err := digest.ParseChallenge(h.Value())
		if err != nil || !digest.CanDigest(c) {
			continue
		}
		if best == nil || strength(c.Algorithm) > strength(best.Algorithm) {
			best = c
		}
	}
	if best == nil {
		return nil, errors.New("no challenge that we can answer")
	}
	cred, err := digest.Digest(best, digest.Options{Method: string(req.Method), URI: req.Recipient.String(),
		Username: user, Password: password})
	if err != nil {
		return nil, fmt.Errorf("digest: %w", err)
	}
	return sip.NewHeader(answer, cred.String()), nil
}

func strength(algorithm string) int {
	switch strings.ToUpper(algorithm) {
	case "SHA-256", "SHA-512-256":
		return 1
	}
	return 0
}

// Verifier challenges requests and checks the answers (RFC 3261 section 22 with
// RFC 8760). Its nonces carry their own time and seal, so it keeps no state.
type Verifier struct {
	Realm    string
	Password func(user string) (string, bool)
	Now      func() time.Time
	// MD5Only offers no SHA-256, like an old PBX.
	MD5Only bool

	secret [32]byte
}

// NonceLife is how long a nonce is good; an older one gets stale=true.
const NonceLife = 5 * time.Minute

// NewVerifier makes a verifier with a random secret.
func NewVerifier(realm string, password func(string) (string, bool)) *Verifier {
	v := &Verifier{Realm: realm, Password: password, Now: time.Now}
	rand.Read(v.secret[:])
	return v
}

// Check returns the user that signed the request; else the challenges to send
// with 401. Wrong credentials are challenged again, as most PBXs do.
func (v *Verifier) Check(req *sip.Request) (user string, challenges []sip.Header) {
	stale := false
	for _, h := range req.GetHeaders("Authorization") {
		cred, err := digest.ParseCredentials(h.Value())
		if err != nil || cred.Realm != v.Realm {
			continue
		}
		fresh, ours := v.nonceAge(cred.Nonce)
		if !ours {
			continue
		}
		if !v.matches(req, cred) {
			continue
		}
		if !fresh {
			stale = true
			continue
		}
		return cred.Username, nil
	}
	nonce := v.nonce()
	algorithms := []string{"SHA-256", "MD5"}
	if v.MD5Only {
		algorithms = algorithms[1:]
	}
	for _, a := range algorithms {
		c := digest.Challenge{Realm: v.Realm, Nonce: nonce, Algorithm: a, QOP: []string{"auth"}, Stale: stale}
		challenges = append(challenges, sip.NewHeader("WWW-Authenticate", c.String()))
	}
	return "", challenges
}

func (v *Verifier) matches(req *sip.Request, cred *digest.Credentials) bool {
	password, ok := v.Password(cred.Username)
	if !ok || password == "" {
		return false
	}
	switch strings.ToUpper(cred.Algorithm) {
	case "", "MD5":
	case "SHA-256":
		if v.MD5Only {
			return false
		}
	default:
		return false
	}
	chal := &digest.Challenge{Realm: v.Realm, Nonce: cred.Nonce, Algorithm: cred.Algorithm, Opaque: cred.Opaque}
	if cred.QOP != "" {
		if cred.QOP != "auth" || cred.Cnonce == "" || cred.Nc <= 0 {
			return false
		}
		chal.QOP = []string{"auth"}
	}
	want, err := digest.Digest(chal, digest.Options{Method: string(req.Method), URI: cred.URI,
		Username: cred.Username, Password: password, Cnonce: cred.Cnonce, Count: cred.Nc})
	return err == nil && hmac.Equal([]byte(want.Response), []byte(cred.Response))
}

func (v *Verifier) nonce() string {
	at := strconv.FormatInt(v.Now().Unix(), 16)
	return at + "." + v.seal(at)
}

func (v *Verifier) seal(at string) string {
	m := hmac.New(sha256.New, v.secret[:])
	m.Write([]byte(at))
	return hex.EncodeToString(m.Sum(nil)[:16])
}

func (v *Verifier) nonceAge(nonce string) (fresh, ours bool) {
	at, mac, ok := strings.Cut(nonce, ".")
	if !ok || !hmac.Equal([]byte(mac), []byte(v.seal(at))) {
		return false, false
	}
	sec, err := strconv.ParseInt(at, 16, 64)
	if err != nil {
		return false, false
	}
	return v.Now().Sub(time.Unix(sec, 0)) < NonceLife, true
}
