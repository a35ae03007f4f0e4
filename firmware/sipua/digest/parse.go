package digest

import (
	"fmt"
	"strings"
)

// Parse reads one challenge. Unknown parameters are passed over; a challenge
// without realm or nonce, or with a line break in a value, is an error.
func Parse(s string) (Challenge, error) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	if !strings.EqualFold(scheme, "Digest") {
		return Challenge{}, ErrScheme
	}
	ps, err := Params(rest)
	if err != nil {
		return Challenge{}, err
	}
	c := Challenge{
		Realm: ps["realm"], Nonce: ps["nonce"], Opaque: ps["opaque"],
		Algorithm: ps["algorithm"],
		Stale:     strings.EqualFold(ps["stale"], "true"),
		UserHash:  strings.EqualFold(ps["userhash"], "true"),
	}
	if _, ok := ps["realm"]; !ok || c.Nonce == "" {
		return Challenge{}, fmt.Errorf("digest: challenge without realm or nonce")
	}
	if strings.ContainsFunc(c.Algorithm, func(r rune) bool { return !token(r) }) {
		return Challenge{}, fmt.Errorf("digest: bad algorithm %q", c.Algorithm)
	}
	for q := range strings.SplitSeq(ps["qop"], ",") {
		if q = strings.TrimSpace(q); q != "" {
			c.QOP = append(c.QOP, q)
		}
	}
	return c, nil
}

func token(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.!%*+`'~", r)
}

// Params reads the comma-separated name=value list of a challenge or of an
// Authorization value (after its scheme). Names come in lower case; the first
// of a repeated name counts.
func Params(s string) (map[string]string, error) {
	ps := map[string]string{}
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return ps, nil
		}
		name, rest, ok := strings.Cut(s, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return !token(r) }) {
			return nil, fmt.Errorf("digest: malformed parameter")
		}
		value, rest, err := value(strings.TrimLeft(rest, " \t"))
		if err != nil {
			return nil, err
		}
		if _, twice := ps[name]; !twice {
			ps[name] = value
		}
		s = rest
	}
}

// value reads a quoted string or a token and returns what follows it.
func value(s string) (v, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexByte(s, ',')
		if i < 0 {
			i = len(s)
		}
		v = strings.TrimSpace(s[:i])
		if strings.ContainsAny(v, "\r\n\"") {
			return "", "", fmt.Errorf("digest: malformed value")
		}
		return v, s[i:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i == len(s) {
				return "", "", fmt.Errorf("digest: unfinished escape")
			}
			b.WriteByte(s[i])
		case '"':
			if strings.ContainsAny(b.String(), "\r\n") {
				return "", "", fmt.Errorf("digest: line break in a value")
			}
			return b.String(), s[i+1:], nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", fmt.Errorf("digest: unfinished quoted string")
}
