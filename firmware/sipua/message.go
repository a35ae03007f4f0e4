package sipua

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// message is one parsed SIP message. Header values stay as they came, so that
// what must be copied (Via, Record-Route, From) is copied to the letter.
type message struct {
	Method string // of a request
	URI    string
	Code   int // of a response
	Reason string

	headers []header
	Body    []byte

	CallID         string
	Seq            uint32
	SeqMethod      string
	From, To       address
	FromTag, ToTag string
	Branch         string // of the top Via
}

type header struct{ Name, Value string }

func (m *message) request() bool { return m.Method != "" }

// malformed is a request that can still be answered: with 400 and its text.
type malformed struct {
	m    *message
	text string
}

func (e *malformed) Error() string { return "malformed request: " + e.text }

var errMalformed = errors.New("malformed message")

// parser leaves all headers but Content-Length untouched.
var parser = sip.NewParser(sip.WithHeadersParsers(contentLengthOnly()))

func contentLengthOnly() map[string]sip.HeaderParser {
	all := sip.DefaultHeadersParser()
	return map[string]sip.HeaderParser{"content-length": all["content-length"], "l": all["l"]}
}

// parseMessage reads one SIP message (RFC 7118 section 5: one a WebSocket
// message). The error is a *malformed when a 400 can be sent.
func parseMessage(b []byte) (m *message, err error) {
	defer func() {
		// The library's parser is fuzzed here, but a panic on bytes from
		// outside must never be the seat's end.
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("%w: parser: %v", errMalformed, r)
		}
	}()
	raw, err := parser.ParseSIP(b)
	if err != nil {
		// The library's words may quote the message; they stay out of logs.
		return nil, errMalformed
	}
	m = &message{Body: raw.Body()}
	switch r := raw.(type) {
	case *sip.Request:
		m.Method = string(r.Method)
		m.URI = requestURI(b)
		if !strings.EqualFold(r.SipVersion, "SIP/2.0") || !isToken(m.Method) {
			return nil, errMalformed
		}
		for _, h := range r.Headers() {
			m.headers = append(m.headers, header{h.Name(), h.Value()})
		}
	case *sip.Response:
		m.Code, m.Reason = r.StatusCode, r.Reason
		if m.Code < 100 || m.Code > 699 || !strings.EqualFold(r.SipVersion, "SIP/2.0") {
			return nil, errMalformed
		}
		for _, h := range r.Headers() {
			m.headers = append(m.headers, header{h.Name(), h.Value()})
		}
	default:
		return nil, errMalformed
	}
	// A line feed or NUL alone is an attempt to smuggle a header past someone.
	head, _, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	if bytes.ContainsAny(bytes.ReplaceAll(head, []byte("\r\n"), nil), "\r\n\x00") {
		return nil, errMalformed
	}
	if text := m.fill(); text != "" {
		if m.request() && m.Method != "ACK" && m.get("Via") != "" && m.get("CSeq") != "" && m.get("Call-ID") != "" {
			return nil, &malformed{m, text}
		}
		return nil, fmt.Errorf("%w: %s", errMalformed, text)
	}
	return m, nil
}

// requestURI is the URI as it stands in the request line.
func requestURI(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	parts := strings.SplitN(string(line), " ", 3)
	if len(parts) != 3 {
		return ""
	}
	return parts[1]
}

// fill reads the headers that every message must have (RFC 3261 section
// 8.1.1) and returns what is wrong with them.
func (m *message) fill() string {
	via := m.get("Via")
	if via == "" {
		return "no Via"
	}
	m.Branch, _ = lookup(parseParams(strings.Join(splitOutside(splitList(via)[0], ';')[1:], ";")), "branch")
	if m.CallID = m.get("Call-ID"); m.CallID == "" {
		return "no Call-ID"
	}
	num, method, _ := strings.Cut(strings.TrimSpace(m.get("CSeq")), " ")
	seq, err := strconv.ParseUint(num, 10, 31)
	m.Seq, m.SeqMethod = uint32(seq), strings.TrimSpace(method)
	if err != nil || !isToken(m.SeqMethod) {
		return "CSeq"
	}
	if m.request() && m.SeqMethod != m.Method {
		return "CSeq is of another method"
	}
	if m.From, err = parseAddress(m.get("From")); err != nil {
		return "From"
	}
	if m.To, err = parseAddress(m.get("To")); err != nil {
		return "To"
	}
	m.FromTag, _ = m.From.param("tag")
	m.ToTag, _ = m.To.param("tag")
	return ""
}

// compact forms, RFC 3261 section 7.3.3 and the registry.
var compact = map[string]string{
	"c": "content-type", "e": "content-encoding", "f": "from", "i": "call-id",
	"k": "supported", "l": "content-length", "m": "contact", "o": "event",
	"r": "refer-to", "b": "referred-by", "s": "subject", "t": "to",
	"u": "allow-events", "v": "via", "x": "session-expires",
}

func sameHeader(have, want string) bool {
	if strings.EqualFold(have, want) {
		return true
	}
	return len(have) == 1 && strings.EqualFold(compact[strings.ToLower(have)], want)
}

// get is the first value of a header, "" without one.
func (m *message) get(name string) string {
	for _, h := range m.headers {
		if sameHeader(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// all are the values of a header's every line.
func (m *message) all(name string) []string {
	var vs []string
	for _, h := range m.headers {
		if sameHeader(h.Name, name) {
			vs = append(vs, h.Value)
		}
	}
	return vs
}

// list are the comma-separated values over every line.
func (m *message) list(name string) []string {
	var vs []string
	for _, v := range m.all(name) {
		vs = append(vs, splitList(v)...)
	}
	return vs
}

// lists tells whether a header of tokens holds one.
func (m *message) lists(name, token string) bool {
	for _, v := range m.list(name) {
		if strings.EqualFold(v, token) {
			return true
		}
	}
	return false
}

// contact is the URI of the Contact, "" without a usable one.
func (m *message) contact() string {
	for _, v := range m.list("Contact") {
		if a, err := parseAddress(v); err == nil && reachable(a.URI) {
			return a.URI
		}
	}
	return ""
}

// reachable: a request can be addressed to it.
func reachable(uri string) bool {
	for i := range len(uri) {
		if uri[i] <= ' ' || uri[i] >= 0x7f {
			return false
		}
	}
	var u sip.Uri
	return sip.ParseUri(uri, &u) == nil && (u.Scheme == "sip" || u.Scheme == "sips") && u.Host != ""
}

// sdp is the session description, nil without one.
func (m *message) sdp() []byte {
	typ, _ := cutKeep(m.get("Content-Type"), ';')
	if len(bytes.TrimSpace(m.Body)) == 0 || !strings.EqualFold(strings.TrimSpace(typ), "application/sdp") {
		return nil
	}
	return m.Body
}

func (m *message) seconds(name string) (uint32, bool) {
	v, _ := cutKeep(m.get(name), ';')
	v, _, _ = strings.Cut(strings.TrimSpace(v), " ")
	n, err := strconv.ParseUint(v, 10, 32)
	return uint32(n), err == nil
}

func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-.!%*_+`'~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// encode writes a message; Content-Length is added. Line breaks in values,
// which could only come from a mistake of ours, become spaces.
func encode(startLine string, hs []header, body []byte) []byte {
	var b bytes.Buffer
	b.WriteString(oneLine(startLine) + "\r\n")
	for _, h := range hs {
		b.WriteString(h.Name + ": " + oneLine(h.Value) + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(body))
	b.Write(body)
	return b.Bytes()
}

func oneLine(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		return strings.NewReplacer("\r", " ", "\n", " ").Replace(s)
	}
	return s
}
