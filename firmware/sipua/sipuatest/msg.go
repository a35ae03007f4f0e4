package sipuatest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Msg is a SIP message of the user agent, read strictly: it must be what RFC
// 3261 asks a sender for.
type Msg struct {
	Start   string
	Headers [][2]string
	Body    string
}

// Parse reads one.
func Parse(b []byte) (*Msg, error) {
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		return nil, errors.New("no empty line")
	}
	lines := strings.Split(string(head), "\r\n")
	m := &Msg{Start: lines[0], Body: string(body)}
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ": ")
		if !ok || strings.ContainsAny(l, "\r\n") {
			return nil, fmt.Errorf("header %q", l)
		}
		m.Headers = append(m.Headers, [2]string{name, value})
	}
	if n, err := strconv.Atoi(m.Get("Content-Length")); err != nil || n != len(body) {
		return nil, fmt.Errorf("Content-Length %q of %d", m.Get("Content-Length"), len(body))
	}
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		if m.Get(name) == "" {
			return nil, fmt.Errorf("no %s", name)
		}
	}
	if m.Method() != "" && m.Get("Max-Forwards") == "" {
		return nil, errors.New("no Max-Forwards")
	}
	return m, nil
}

func (m *Msg) String() string {
	var b strings.Builder
	b.WriteString(m.Start + "\n")
	for _, h := range m.Headers {
		b.WriteString(h[0] + ": " + h[1] + "\n")
	}
	return b.String() + "\n" + m.Body
}

// Method of a request, "" of a response.
func (m *Msg) Method() string {
	if strings.HasPrefix(m.Start, "SIP/2.0 ") {
		return ""
	}
	method, _, _ := strings.Cut(m.Start, " ")
	return method
}

// URI of a request.
func (m *Msg) URI() string { return strings.Split(m.Start, " ")[1] }

// Code of a response, 0 of a request.
func (m *Msg) Code() int {
	if m.Method() != "" {
		return 0
	}
	n, _ := strconv.Atoi(strings.Split(m.Start, " ")[1])
	return n
}

// Get is a header's first value.
func (m *Msg) Get(name string) string {
	for _, h := range m.Headers {
		if strings.EqualFold(h[0], name) {
			return h[1]
		}
	}
	return ""
}

// CSeq is number and method.
func (m *Msg) CSeq() (int, string) {
	n, method, _ := strings.Cut(m.Get("CSeq"), " ")
	i, _ := strconv.Atoi(n)
	return i, method
}

// Tag of From or To.
func (m *Msg) Tag(name string) string {
	_, tag, _ := strings.Cut(m.Get(name), ";tag=")
	tag, _, _ = strings.Cut(tag, ";")
	return tag
}

// Branch of the top Via.
func (m *Msg) Branch() string {
	_, b, _ := strings.Cut(m.Get("Via"), ";branch=")
	b, _, _ = strings.Cut(b, ";")
	return b
}

// ContactURI with its brackets.
func (m *Msg) ContactURI() string {
	c := m.Get("Contact")
	if i := strings.IndexByte(c, '>'); i >= 0 {
		return c[strings.IndexByte(c, '<') : i+1]
	}
	return c
}

// Response is the bytes of an answer to m, as Link.Respond sends it.
func (m *Msg) Response(code int, toTag, body string, headers ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d Because\r\n", code)
	for _, h := range m.Headers {
		switch h[0] {
		case "Via", "From", "Call-ID", "CSeq":
			fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
		case "To":
			v := h[1]
			if !strings.Contains(v, ";tag=") && code > 100 {
				if toTag == "" {
					toTag = "pbx-" + m.Branch()
				}
				v += ";tag=" + toTag
			}
			fmt.Fprintf(&b, "To: %s\r\n", v)
		}
	}
	return finish(&b, body, headers)
}

func finish(b *strings.Builder, body string, headers []string) []byte {
	typed := false
	for _, h := range headers {
		b.WriteString(h + "\r\n")
		typed = typed || strings.HasPrefix(h, "Content-Type:")
	}
	if body != "" && !typed {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return []byte(b.String())
}

// Dialog is the PBX's side of a dialog.
type Dialog struct {
	link            *Link
	CallID          string
	From, To        string // the PBX's and the user agent's side, tags included
	Target          string // the user agent's Contact
	Contact         string // the PBX's, with brackets
	Seq             int
	branch, pending string
}

// Offer starts an inbound call: an INVITE to the user agent.
func (l *Link) Offer(callID, from, body string, headers ...string) *Dialog {
	d := &Dialog{
		link: l, CallID: callID, From: from + ";tag=pbx", To: "<sip:101@pbx.test>",
		Target: "sip:101@seat.invalid;transport=ws", Contact: "<sip:asterisk@192.0.2.1:8089;transport=ws>",
	}
	d.Request("INVITE", body, headers...)
	return d
}

// On is the dialog that answering req opens.
func (l *Link) On(req *Msg, toTag string) *Dialog {
	return &Dialog{
		link: l, CallID: req.Get("Call-ID"), From: req.Get("To") + ";tag=" + toTag, To: req.Get("From"),
		Target: strings.Trim(req.ContactURI(), "<>"), Contact: "<sip:asterisk@192.0.2.1:8089;transport=ws>", Seq: 100,
	}
}

// Move puts the dialog on another connection.
func (d *Dialog) Move(l *Link) { d.link = l }

// Settle takes the user agent's tag and Contact from its answer.
func (d *Dialog) Settle(res *Msg) {
	d.To = res.Get("To")
	if c := res.ContactURI(); c != "" {
		d.Target = strings.Trim(c, "<>")
	}
}

// Request sends the next request; its CSeq is left in Seq.
func (d *Dialog) Request(method, body string, headers ...string) {
	d.Seq++
	d.branch = fmt.Sprintf("z9hG4bKpbx%s%s%d", d.CallID, method, d.Seq)
	if method == "INVITE" {
		d.pending = d.branch
	}
	d.send(method, d.branch, d.Seq, body, headers)
}

// Ack acknowledges the user agent's 2xx.
func (d *Dialog) Ack() { d.send("ACK", d.branch+"ack", d.Seq, "", nil) }

// AckRefusal acknowledges a refusal of the last INVITE.
func (d *Dialog) AckRefusal() { d.send("ACK", d.pending, d.Seq, "", nil) }

// Cancel takes the last INVITE back.
func (d *Dialog) Cancel(headers ...string) { d.send("CANCEL", d.pending, d.Seq, "", headers) }

// Repeat sends the last INVITE again, as after a lost answer.
func (d *Dialog) Repeat(body string, headers ...string) {
	d.send("INVITE", d.pending, d.Seq, body, headers)
}

// Elsewhere sends the last INVITE by another way (another branch).
func (d *Dialog) Elsewhere(body string) {
	d.send("INVITE", d.pending+"x", d.Seq, body, nil)
}

func (d *Dialog) send(method, branch string, seq int, body string, headers []string) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s SIP/2.0\r\n", method, d.Target)
	fmt.Fprintf(&b, "Via: SIP/2.0/WSS 192.0.2.1:8089;rport;branch=%s;alias\r\n", branch)
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nMax-Forwards: 70\r\n", d.From, d.To, d.CallID, seq, method)
	if method != "CANCEL" && method != "ACK" && method != "BYE" {
		fmt.Fprintf(&b, "Contact: %s\r\n", d.Contact)
	}
	d.link.Send(finish(&b, body, headers))
}
