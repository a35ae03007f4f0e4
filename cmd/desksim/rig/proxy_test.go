package rig

import (
	"io"
	"net"
	"testing"
)

// echo answers with its name and what it got.
func echo(t *testing.T, name string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.WriteString(c, name)
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

func greet(t *testing.T, addr string) (net.Conn, string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	b := make([]byte, 1)
	n, _ := c.Read(b)
	return c, string(b[:n])
}

func TestProxyCutsAndTurns(t *testing.T) {
	p, err := newProxy(echo(t, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c, who := greet(t, p.Addr())
	if who != "a" {
		t.Fatalf("reached %q", who)
	}
	p.Cut(false)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a cut connection goes on")
	}
	if _, who := greet(t, p.Addr()); who != "a" {
		t.Errorf("after a cut: %q", who)
	}
	p.Cut(true)
	if _, who := greet(t, p.Addr()); who != "" {
		t.Errorf("while it is down: %q", who)
	}
	p.Cut(false)
	before := p.To(echo(t, "b"))
	if _, who := greet(t, p.Addr()); who != "b" {
		t.Errorf("after turning: %q", who)
	}
	p.To(before)
	if _, who := greet(t, p.Addr()); who != "a" {
		t.Errorf("turned back: %q", who)
	}
}
