// Package wsflow is the WebSocket under a SIP flow (RFC 6455, RFC 7118): it
// dials with the subprotocol "sip", joins fragments, takes text and binary
// frames alike, answers pings with their payload, and lives on when one
// message is too big. What goes wrong at dialling is told with its next step.
package wsflow

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// ErrOversized: a message was longer than the limit and was skipped.
var ErrOversized = errors.New("message too big")

// ErrInsecure: ws:// was asked for where only wss:// is allowed.
var ErrInsecure = errors.New("plain ws is refused: use a wss:// address, or allow it with insecure = true (laboratory only)")

// skipMost bounds what is read only to be thrown away, bytes. A peer that
// sends a longer message than this loses the connection.
const skipMost = 16 << 20

// Options for Dial.
type Options struct {
	TLS        *tls.Config // nil: the system's roots
	Insecure   bool        // ws:// is allowed
	MaxMessage int64       // bytes
}

// Check tells whether rawURL may be dialled, without dialling.
func Check(rawURL string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("address of the PBX %q: want wss://host:port/path", rawURL)
	}
	switch {
	case u.Scheme == "wss":
	case u.Scheme == "ws" && insecure:
	case u.Scheme == "ws":
		return nil, ErrInsecure
	default:
		return nil, fmt.Errorf("address of the PBX %q: scheme must be wss", rawURL)
	}
	return u, nil
}

// Conn is an open WebSocket.
type Conn struct {
	ws  *websocket.Conn
	tcp net.Conn
	max int64
}

// Dial opens rawURL. It goes through no proxy and follows no redirection: a
// seat speaks to the PBX of its policy and to nobody else.
func Dial(ctx context.Context, rawURL string, o Options) (*Conn, error) {
	u, err := Check(rawURL, o.Insecure)
	if err != nil {
		return nil, err
	}
	var tcp net.Conn
	tr := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (c net.Conn, err error) {
			c, err = (&net.Dialer{Control: markSignalling}).DialContext(ctx, network, addr)
			tcp = c
			return c, err
		},
		TLSClientConfig: o.TLS.Clone(),
		// HTTP/2 has no upgrade that PBXs speak.
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		TLSHandshakeTimeout: 10 * time.Second,
		DisableKeepAlives:   true,
		// An upgrade's answer is small; a hostile one must not fill the memory.
		MaxResponseHeaderBytes: 32 << 10,
	}
	ws, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport:     tr,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Subprotocols: []string{"sip"},
	})
	if err != nil {
		tr.CloseIdleConnections()
		return nil, explain(u, resp, err)
	}
	if ws.Subprotocol() != "sip" {
		ws.CloseNow()
		return nil, fmt.Errorf("%s speaks WebSocket but not SIP over it: check the path of the PBX's address", u.Redacted())
	}
	ws.SetReadLimit(-1) // ours skips the message instead of closing
	return &Conn{ws: ws, tcp: tcp, max: o.MaxMessage}, nil
}

// Read gives the next whole message. After an error that wraps ErrOversized
// the connection is still good; after any other it is not.
func (c *Conn) Read(ctx context.Context) ([]byte, error) {
	_, r, err := c.ws.Reader(ctx)
	if err != nil {
		return nil, closed(err)
	}
	b, err := io.ReadAll(io.LimitReader(r, c.max+1))
	if err != nil {
		return nil, closed(err)
	}
	if int64(len(b)) <= c.max {
		return b, nil
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, skipMost))
	if err != nil {
		return nil, closed(err)
	}
	if n == skipMost {
		return nil, fmt.Errorf("a message above %d MiB: connection given up", skipMost>>20)
	}
	return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrOversized, int64(len(b))+n, c.max)
}

// Write sends one message: as text when it is UTF-8 (RFC 7118 section 5), else
// as binary.
func (c *Conn) Write(ctx context.Context, msg []byte) error {
	typ := websocket.MessageText
	if !utf8.Valid(msg) {
		typ = websocket.MessageBinary
	}
	return c.ws.Write(ctx, typ, msg)
}

// Ping sends a ping and waits for its pong.
func (c *Conn) Ping(ctx context.Context) error { return c.ws.Ping(ctx) }

// Close says goodbye (1000) while ctx allows, then cuts.
func (c *Conn) Close(ctx context.Context) error {
	if ctx.Err() != nil {
		return c.ws.CloseNow()
	}
	// The library would wait for the goodbye for seconds, whatever ctx says.
	stop := context.AfterFunc(ctx, func() { c.tcp.Close() })
	defer stop()
	return c.ws.Close(websocket.StatusNormalClosure, "")
}

// closed puts the close event into words.
func closed(err error) error {
	var ce websocket.CloseError
	if errors.As(err, &ce) {
		return fmt.Errorf("the PBX closed the connection (%d %s)", int(ce.Code), printable(ce.Reason))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &explained{"the PBX closed the connection without a word", err}
	}
	return &explained{fmt.Sprintf("the connection to the PBX broke (%v)", root(err)), err}
}

func printable(s string) string {
	b := []rune{}
	for _, r := range s {
		if r >= ' ' && r != 0x7f && len(b) < 80 {
			b = append(b, r)
		}
	}
	return string(b)
}
