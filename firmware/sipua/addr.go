package sipua

import (
	"errors"
	"strings"
)

// address is a name-addr or addr-spec with its header parameters (RFC 3261
// section 25.1). URI is kept as it came, without brackets.
type address struct {
	Display string
	URI     string
	Params  []param
}

type param struct{ Name, Value string }

// param gives the named header parameter, unquoted; names are compared
// without case.
func (a address) param(name string) (string, bool) { return lookup(a.Params, name) }

func lookup(ps []param, name string) (string, bool) {
	for _, p := range ps {
		if strings.EqualFold(p.Name, name) {
			return p.Value, true
		}
	}
	return "", false
}

var errAddress = errors.New("malformed address")

// parseAddress reads one address; a list is split with splitList first.
func parseAddress(s string) (address, error) {
	var a address
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, `"`) {
		end := closingQuote(s)
		if end < 0 {
			return a, errAddress
		}
		a.Display = unquote(s[:end+1])
		s = strings.TrimSpace(s[end+1:])
		if !strings.HasPrefix(s, "<") {
			return a, errAddress
		}
	}
	if open := strings.IndexByte(s, '<'); open >= 0 {
		if a.Display == "" {
			a.Display = strings.TrimSpace(s[:open])
		}
		end := strings.IndexByte(s[open:], '>')
		if end < 0 {
			return a, errAddress
		}
		a.URI = strings.TrimSpace(s[open+1 : open+end])
		s = s[open+end+1:]
	} else {
		// Without brackets what follows the first ; belongs to the header.
		a.URI, s = cutKeep(s, ';')
		a.URI = strings.TrimSpace(a.URI)
	}
	if a.URI == "" || strings.ContainsAny(a.URI, " \t\"<>") {
		return a, errAddress
	}
	a.Params = parseParams(s)
	return a, nil
}

// cutKeep cuts s before the first sep, which stays with the tail.
func cutKeep(s string, sep byte) (head, tail string) {
	if i := strings.IndexByte(s, sep); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// parseParams reads ;name=value;name ...; what is malformed is passed over.
func parseParams(s string) []param {
	var ps []param
	for _, part := range splitOutside(s, ';') {
		name, value, _ := strings.Cut(part, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if name == "" || strings.ContainsAny(name, " \t\"<>") {
			continue
		}
		ps = append(ps, param{name, unquote(value)})
	}
	return ps
}

// splitList splits a header's comma-separated values.
func splitList(s string) []string {
	var vs []string
	for _, v := range splitOutside(s, ',') {
		if v = strings.TrimSpace(v); v != "" {
			vs = append(vs, v)
		}
	}
	return vs
}

// splitOutside splits at sep outside of quotes and angle brackets.
func splitOutside(s string, sep byte) []string {
	var parts []string
	start, bracket := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' && !bracket:
			if end := closingQuote(s[i:]); end > 0 {
				i += end
			}
		case c == '<':
			bracket = true
		case c == '>':
			bracket = false
		case c == sep && !bracket:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// closingQuote is the index of the quote that ends the quoted string with
// which s begins, -1 without one.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func quoteDisplay(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// userPart of a sip:, sips: or tel: URI, with %XX decoded; "" without one.
func userPart(uri string) string {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok {
		return ""
	}
	switch strings.ToLower(scheme) {
	case "tel":
		rest, _ = cutKeep(rest, ';')
	case "sip", "sips":
		var found bool
		rest, _, found = strings.Cut(rest, "@")
		if !found {
			return ""
		}
		rest, _, _ = strings.Cut(rest, ":")
		rest, _ = cutKeep(rest, ';') // ;phone-context and the like
	default:
		return ""
	}
	return unescape(rest)
}

// unescape decodes %XX (RFC 3261 section 19.1.2); a malformed escape stays.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// escapeWith encodes every byte that is not a letter, a digit or in allowed.
func escapeWith(s, allowed string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(allowed, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// escapeUser makes s the user part of a sip: URI (RFC 3261 section 25.1).
func escapeUser(s string) string { return escapeWith(s, "-_.!~*'()&=+$,?/") }

// escapeHeader makes s a header's value within a URI (hvalue).
func escapeHeader(s string) string { return escapeWith(s, "-_.!~*'()[]/?:+$") }
