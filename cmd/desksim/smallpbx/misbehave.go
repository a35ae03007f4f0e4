package smallpbx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/coder/websocket"
	"github.com/emiago/sipgo/sip"
)

// Misbehaviour is something that no PBX should do to a seat.
type Misbehaviour string

const (
	Garbage      Misbehaviour = "garbage"       // bytes that are no SIP
	HalfMessage  Misbehaviour = "half message"  // an INVITE that ends in a header
	ShortBody    Misbehaviour = "short body"    // a Content-Length that promises more
	Oversized    Misbehaviour = "oversized"     // one message of 4 MB
	NoHeaders    Misbehaviour = "no headers"    // an INVITE with its request line only
	UnknownCodec Misbehaviour = "unknown codec" // an offer that nobody can take
	NoSDP        Misbehaviour = "no sdp"        // an INVITE without an offer
	BadSDP       Misbehaviour = "bad sdp"       // an offer that is no SDP
	Binary       Misbehaviour = "binary"        // a good OPTIONS in a binary frame
	Fragmented   Misbehaviour = "fragmented"    // a good OPTIONS in frames of 7 bytes
	StrayReply   Misbehaviour = "stray reply"   // a 200 to nothing
	StrayBye     Misbehaviour = "stray bye"     // a BYE of no dialog
)

// Misbehaviours are all of them, for a test that goes through them.
var Misbehaviours = []Misbehaviour{Garbage, HalfMessage, ShortBody, Oversized, NoHeaders, UnknownCodec, NoSDP,
	BadSDP, Binary, Fragmented, StrayReply, StrayBye}

// Misbehave does it to a registered seat. For what is a request that deserves an
// answer, it waits for the answer and returns its code.
func (p *PBX) Misbehave(ctx context.Context, user string, how Misbehaviour) (code int, err error) {
	c, err := p.current()
	if err != nil {
		return 0, err
	}
	b := c.find(user, "")
	if b == nil {
		return 0, fmt.Errorf("misbehave: %s is not registered", user)
	}
	f, ok := b.flow.(*wsFlow)
	if !ok {
		return 0, errors.New("misbehave: not on a WebSocket")
	}
	send := func(text string) error { return f.push(wsMessage{websocket.MessageText, []byte(text), 0}) }
	invite := c.stray(sip.INVITE, b, f)
	switch how {
	case Garbage:
		return 0, errors.Join(send("\x00\x01\xfe\xff not SIP at all \r\n\r\n"), send("INVITE"), send("{}"))
	case HalfMessage:
		text := invite.String()
		return 0, send(text[:len(text)*2/3])
	case ShortBody:
		return 0, send(strings.Replace(invite.String(), "Content-Length: 0", "Content-Length: 4096", 1))
	case Oversized:
		invite.SetBody(bytes.Repeat([]byte("a=x\r\n"), 800_000))
		return 0, send(invite.String())
	case NoHeaders:
		return 0, send("INVITE sip:" + user + "@seat.invalid SIP/2.0\r\n\r\n")
	case StrayReply:
		return 0, send("SIP/2.0 200 OK\r\nVia: SIP/2.0/WSS stray.invalid;branch=z9hG4bKnobody\r\n" +
			"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: nobody\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n")
	}
	req := invite
	switch how {
	case UnknownCodec:
		req.SetBody([]byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
			"m=audio 4000 UDP/TLS/RTP/SAVPF 97\r\na=rtpmap:97 CELP/16000\r\na=mid:0\r\na=rtcp-mux\r\na=setup:actpass\r\n" +
			"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n" +
			"a=fingerprint:sha-256 " + strings.Repeat("00:", 31) + "00\r\n"))
	case BadSDP:
		req.SetBody([]byte("this is = not SDP\r\nm=\r\n"))
	case NoSDP:
	case Binary, Fragmented:
		req = c.stray(sip.OPTIONS, b, f)
	case StrayBye:
		req = c.stray(sip.BYE, b, f)
		req.To().Params.Add("tag", "nobody")
	default:
		return 0, fmt.Errorf("misbehave: what is %q?", how)
	}
	if len(req.Body()) > 0 {
		req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	}
	var flow siplite.Flow = f
	switch how {
	case Binary:
		flow = oddFlow{f, websocket.MessageBinary, 0}
	case Fragmented:
		flow = oddFlow{f, websocket.MessageText, 7}
	}
	res, err := c.ep.Do(ctx, flow, req, nil)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}

// oddFlow frames messages in an unusual way that is allowed.
type oddFlow struct {
	*wsFlow
	kind   websocket.MessageType
	pieces int
}

func (f oddFlow) Send(msg []byte) error { return f.push(wsMessage{f.kind, msg, f.pieces}) }

// stray makes a request outside any dialog.
func (c *core) stray(method sip.RequestMethod, b *binding, f *wsFlow) *sip.Request {
	req := sip.NewRequest(method, *b.contact.Clone())
	req.AppendHeader(&sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: f.transport,
		Host: "stray.invalid", Params: sip.HeaderParams{{K: "branch", V: "z9hG4bK" + siplite.NewTag()}}})
	from := &sip.FromHeader{Address: siplite.UserURI("999", f.local), Params: sip.NewParams()}
	from.Params.Add("tag", siplite.NewTag())
	req.AppendHeader(from)
	req.AppendHeader(&sip.ToHeader{Address: siplite.UserURI(b.user, f.local), Params: sip.NewParams()})
	id := sip.CallIDHeader(siplite.NewTag())
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: method})
	mf := sip.MaxForwardsHeader(70)
	req.AppendHeader(&mf)
	req.AppendHeader(&sip.ContactHeader{Address: c.contact(f)})
	req.SetBody(nil)
	return req
}
