package wsflow

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// peer is a WebSocket server down to the frame, so that tests say exactly what
// is on the wire.
type peer struct {
	t    *testing.T
	conn net.Conn
	br   *bufio.Reader
}

type frame struct {
	fin     bool
	op      byte
	payload []byte
}

const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// serve gives a URL whose first connection runs f after the handshake.
func serve(t *testing.T, cfg *tls.Config, f func(p *peer)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "ws://" + ln.Addr().String() + "/ws"
	if cfg != nil {
		ln = tls.NewListener(ln, cfg)
		url = "wss://" + ln.Addr().String() + "/ws"
	}
	done := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-done })
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		p := newPeer(t, conn)
		if p.handshake("sip") {
			f(p)
		}
	}()
	return url
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	return &peer{t: t, conn: conn, br: bufio.NewReader(conn)}
}

func (p *peer) handshake(protocol string) bool {
	r, err := http.ReadRequest(p.br)
	if err != nil {
		return false
	}
	if r.Header.Get("Sec-WebSocket-Protocol") != "sip" {
		p.t.Errorf("asked for %q", r.Header)
	}
	h := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	io.WriteString(p.conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(h[:])+"\r\nSec-WebSocket-Protocol: "+protocol+"\r\n\r\n")
	return true
}

func (p *peer) write(f frame) {
	b := []byte{f.op}
	if f.fin {
		b[0] |= 0x80
	}
	switch n := len(f.payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	p.conn.Write(append(b, f.payload...))
}

func (p *peer) read() (f frame) {
	var h [2]byte
	if _, err := io.ReadFull(p.br, h[:]); err != nil {
		return frame{op: opClose}
	}
	n := int(h[1] & 0x7f)
	if n == 126 {
		var l [2]byte
		io.ReadFull(p.br, l[:])
		n = int(binary.BigEndian.Uint16(l[:]))
	}
	var mask [4]byte
	io.ReadFull(p.br, mask[:])
	f = frame{fin: h[0]&0x80 != 0, op: h[0] & 15, payload: make([]byte, n)}
	io.ReadFull(p.br, f.payload)
	for i := range f.payload {
		f.payload[i] ^= mask[i%4]
	}
	return f
}

func dial(t *testing.T, url string, o Options) *Conn {
	t.Helper()
	o.Insecure = true
	if o.MaxMessage == 0 {
		o.MaxMessage = 64 << 10
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := Dial(ctx, url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.ws.CloseNow() })
	return c
}

func expect(t *testing.T, c *Conn, want string) {
	t.Helper()
	b, err := c.Read(t.Context())
	if err != nil || string(b) != want {
		t.Fatalf("read %q, %v, want %q", b, err, want)
	}
}

func TestFrames(t *testing.T) {
	url := serve(t, nil, func(p *peer) {
		p.write(frame{true, opText, []byte("text")})
		p.write(frame{true, opBinary, []byte("binary \xff")})
		p.write(frame{false, opText, []byte("one ")})
		p.write(frame{false, opContinuation, []byte("two ")})
		p.write(frame{true, opPing, []byte("within a message")})
		p.write(frame{true, opContinuation, []byte("three")})
		if f := p.read(); f.op != opPong || string(f.payload) != "within a message" {
			t.Errorf("pong %v", f)
		}
		// Cut anywhere by TCP: byte by byte.
		var b bytes.Buffer
		q := &peer{conn: pipeTo{&b}}
		q.write(frame{true, opText, []byte("slowly")})
		for _, c := range b.Bytes() {
			p.conn.Write([]byte{c})
		}
		if f := p.read(); f.op != opText || string(f.payload) != "answer" {
			t.Errorf("%v", f)
		}
		if f := p.read(); f.op != opBinary || string(f.payload) != "\xff" {
			t.Errorf("%v", f)
		}
	})
	c := dial(t, url, Options{})
	for _, want := range []string{"text", "binary \xff", "one two three", "slowly"} {
		expect(t, c, want)
	}
	if err := c.Write(t.Context(), []byte("answer")); err != nil {
		t.Error(err)
	}
	if err := c.Write(t.Context(), []byte("\xff")); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(t.Context()); err == nil {
		t.Error("read after the end")
	}
}

type pipeTo struct{ w io.Writer }

func (p pipeTo) Write(b []byte) (int, error)      { return p.w.Write(b) }
func (p pipeTo) Read(b []byte) (int, error)       { return 0, io.EOF }
func (p pipeTo) Close() error                     { return nil }
func (p pipeTo) LocalAddr() net.Addr              { return nil }
func (p pipeTo) RemoteAddr() net.Addr             { return nil }
func (p pipeTo) SetDeadline(time.Time) error      { return nil }
func (p pipeTo) SetReadDeadline(time.Time) error  { return nil }
func (p pipeTo) SetWriteDeadline(time.Time) error { return nil }

// A ping with payload killed the usual client library; here it is echoed.
func TestPingWithPayload(t *testing.T) {
	url := serve(t, nil, func(p *peer) {
		for _, payload := range []string{"", "kamailio", strings.Repeat("x", 125)} {
			p.write(frame{true, opPing, []byte(payload)})
			if f := p.read(); f.op != opPong || string(f.payload) != payload {
				t.Errorf("pong %v to %q", f, payload)
			}
		}
		p.write(frame{true, opPong, []byte("unasked")})
		p.write(frame{true, opText, []byte("alive")})
	})
	expect(t, dial(t, url, Options{}), "alive")
}

func TestPing(t *testing.T) {
	release := make(chan struct{})
	url := serve(t, nil, func(p *peer) {
		f := p.read()
		p.write(frame{true, opPong, f.payload})
		p.read() // and no pong
		<-release
	})
	defer close(release)
	c := dial(t, url, Options{})
	go c.Read(t.Context())
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("unanswered ping: %v", err)
	}
}

func TestOversized(t *testing.T) {
	url := serve(t, nil, func(p *peer) {
		p.write(frame{true, opText, bytes.Repeat([]byte("x"), 101)})
		p.write(frame{false, opText, bytes.Repeat([]byte("y"), 90)})
		p.write(frame{true, opContinuation, bytes.Repeat([]byte("y"), 70000)})
		p.write(frame{true, opText, bytes.Repeat([]byte("z"), 100)})
	})
	c := dial(t, url, Options{MaxMessage: 100})
	for range 2 {
		if _, err := c.Read(t.Context()); !errors.Is(err, ErrOversized) {
			t.Errorf("%v", err)
		}
	}
	expect(t, c, strings.Repeat("z", 100))
}

func TestCloseEvent(t *testing.T) {
	url := serve(t, nil, func(p *peer) {
		p.write(frame{true, opClose, append([]byte{3, 0xf4}, "restart\r\nnow"...)}) // 1012
		if f := p.read(); f.op != opClose {
			t.Errorf("%v", f)
		}
	})
	c := dial(t, url, Options{})
	_, err := c.Read(t.Context())
	if err == nil || !strings.Contains(err.Error(), "1012 restartnow") {
		t.Errorf("%v", err)
	}
}

func TestClose(t *testing.T) {
	got := make(chan frame, 1)
	url := serve(t, nil, func(p *peer) {
		f := p.read()
		got <- f
		p.write(f)
	})
	c := dial(t, url, Options{})
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if f := <-got; f.op != opClose || !bytes.Equal(f.payload, []byte{3, 0xe8}) {
		t.Errorf("%v", f)
	}

	// A peer that does not say goodbye is not waited for.
	release := make(chan struct{})
	url = serve(t, nil, func(p *peer) { <-release })
	defer close(release)
	c = dial(t, url, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	c.Close(ctx)
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("closing took %v", d)
	}
}

func TestInsecure(t *testing.T) {
	for url, insecure := range map[string]bool{"ws://h/ws": false, "http://h/": true, "wss:///ws": false, "%": true} {
		if _, err := Dial(t.Context(), url, Options{Insecure: insecure}); err == nil {
			t.Errorf("%s dialled", url)
		} else if url == "ws://h/ws" && !errors.Is(err, ErrInsecure) {
			t.Error(err)
		}
	}
}
