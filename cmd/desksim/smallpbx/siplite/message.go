package siplite

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// errNotSIP marks a keep-alive or an empty message: dropped without a word.
var errNotSIP = errors.New("not a SIP message")

// Parse reads one whole message. What lacks a header that every message must
// have (RFC 3261 section 8.1.1) is refused here, so that nothing behind it needs
// to ask again.
func Parse(data []byte) (msg sip.Message, err error) {
	if len(bytes.Trim(data, "\r\n\x00 ")) == 0 {
		return nil, errNotSIP // CRLF keep-alive, RFC 5626 section 4.4.1
	}
	if len(data) > MaxMessage {
		return nil, fmt.Errorf("message of %d bytes: more than %d", len(data), MaxMessage)
	}
	// The parser walks hand-written state machines over outside bytes.
	defer func() {
		if p := recover(); p != nil {
			msg, err = nil, fmt.Errorf("message defeats the parser: %v", p)
		}
	}()
	msg, err = sip.ParseMessage(data)
	if err != nil {
		return nil, fmt.Errorf("parse message: %w", err)
	}
	switch m := msg.(type) {
	case *sip.Request:
		if m.Method == "" || m.SipVersion != "SIP/2.0" {
			return nil, errors.New("no SIP/2.0 request line")
		}
		if c := m.CSeq(); c != nil && c.MethodName != m.Method {
			return nil, fmt.Errorf("method %s, CSeq says %s", m.Method, c.MethodName)
		}
	case *sip.Response:
		if m.StatusCode < 100 || m.StatusCode > 699 {
			return nil, fmt.Errorf("status %d", m.StatusCode)
		}
	}
	if msg.Via() == nil || msg.From() == nil || msg.To() == nil || msg.CallID() == nil || msg.CSeq() == nil {
		return nil, errors.New("a mandatory header is missing (Via, From, To, Call-ID, CSeq)")
	}
	return msg, nil
}

// NewTag makes a tag, a branch's random part or a Call-ID.
func NewTag() string { return strings.ToLower(rand.Text())[:16] }

// HeaderText is the value of the first header of that name, "" when there is none.
func HeaderText(msg sip.Message, name string) string {
	if hs := msg.GetHeaders(name); len(hs) > 0 {
		return hs[0].Value()
	}
	return ""
}

// UserURI makes sip:user@host:port from "host:port" or "host".
func UserURI(user, hostport string) sip.Uri {
	u := sip.Uri{Scheme: "sip", User: user, Host: hostport, UriParams: sip.NewParams()}
	if h, p, err := net.SplitHostPort(hostport); err == nil {
		u.Host = h
		u.Port, _ = strconv.Atoi(p)
	}
	return u
}

// tag of a From or To.
func tagOf(p sip.HeaderParams) string { return p.GetOr("tag", "") }

// branchOf is the transaction's branch in the top Via.
func branchOf(msg sip.Message) string { return msg.Via().Params.GetOr("branch", "") }

func render(msg sip.Message) []byte {
	var b strings.Builder
	msg.StringWrite(&b)
	return []byte(b.String())
}
