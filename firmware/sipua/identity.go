package sipua

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths that a name from outside may have on the seat, runes.
const (
	maxName   = 64
	maxNumber = 64
)

// caller tells who calls: P-Asserted-Identity (RFC 3325), which the PBX vouches
// for, before From. A withheld number is "".
func (m *message) caller() (number, name string) {
	var ids []address
	for _, v := range m.list("P-Asserted-Identity") {
		if a, err := parseAddress(v); err == nil {
			ids = append(ids, a)
		}
	}
	if len(ids) == 0 {
		ids = []address{m.From}
	}
	for _, a := range ids {
		if number == "" {
			number = clean(userPart(a.URI), maxNumber)
		}
		if name == "" {
			name = clean(a.Display, maxName)
		}
	}
	if strings.EqualFold(number, "anonymous") {
		number = ""
	}
	return number, name
}

// queue finds the queue's name in the named headers: the display name or the
// user part of an address, else the plain text.
func (m *message) queue(names []string) string {
	for _, name := range names {
		for _, v := range m.all(name) {
			if a, err := parseAddress(firstOf(v)); err == nil && strings.Contains(a.URI, ":") {
				if s := clean(a.Display, maxName); s != "" {
					return s
				}
				if s := clean(userPart(a.URI), maxName); s != "" {
					return s
				}
				continue
			}
			if s := clean(unquote(strings.TrimSpace(v)), maxName); s != "" {
				return s
			}
		}
	}
	return ""
}

func firstOf(v string) string {
	if vs := splitList(v); len(vs) > 0 {
		return vs[0]
	}
	return v
}

// autoAnswer: the ways in which PBXs ask a telephone to pick up by itself.
func (m *message) autoAnswer() bool {
	for _, v := range m.all("Alert-Info") {
		v = strings.ToLower(v)
		if strings.Contains(v, "alert-autoanswer") || strings.Contains(v, "auto answer") {
			return true
		}
	}
	for _, name := range []string{"Call-Info", "Answer-Mode"} {
		for _, v := range m.all(name) {
			v = strings.ToLower(strings.ReplaceAll(v, " ", ""))
			if strings.Contains(v, "answer-after=0") || name == "Answer-Mode" && strings.HasPrefix(v, "auto") {
				return true
			}
		}
	}
	return false
}

// clean keeps what can be shown: valid UTF-8, no control or format characters
// (no bidirectional tricks), no outer space, at most n runes.
func clean(s string, n int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	var b strings.Builder
	for _, r := range strings.TrimSpace(s) {
		if !unicode.IsGraphic(r) {
			continue
		}
		if n--; n < 0 {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// mask makes a number or address fit for a log: its last two characters.
func mask(s string) string {
	if u := userPart(s); u != "" {
		s = u
	}
	rs := []rune(s)
	if len(rs) <= 2 {
		return strings.Repeat("*", len(rs))
	}
	return "**" + string(rs[len(rs)-2:])
}

// cause of the Reason header (RFC 3326): the SIP cause before Q.850's, 0 and
// "" without one.
func (m *message) cause() (code int, text string) {
	for _, v := range m.list("Reason") {
		protocol, rest := cutKeep(v, ';')
		ps := parseParams(rest)
		t, _ := lookup(ps, "text")
		c, _ := lookup(ps, "cause")
		if text == "" {
			text = clean(t, maxName)
		}
		if n := atoi(c); strings.EqualFold(strings.TrimSpace(protocol), "SIP") && n >= 100 && n <= 699 {
			return n, clean(t, maxName)
		}
	}
	return 0, text
}

func atoi(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' || n > 1e6 {
			return 0
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}
