package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// sick is a seat that is alive when told so.
type sick struct {
	well  atomic.Bool
	asked chan struct{}
}

func (s *sick) Alive(context.Context) error {
	select {
	case s.asked <- struct{}{}:
	default:
	}
	if s.well.Load() {
		return nil
	}
	return errors.New("the loop hangs")
}

// TestWatchdog: READY when the seat answers, WATCHDOG as long as it does,
// STOPPING at the end.
func TestWatchdog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "60000")
	t.Setenv("WATCHDOG_PID", "")
	next := func() string {
		t.Helper()
		buf := make([]byte, 256)
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	s := &sick{asked: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- watchdog(ctx, s, slog.New(slog.DiscardHandler)) }()
	<-s.asked // not ready: nothing may be told
	s.well.Store(true)
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := next(); got != want {
			t.Fatalf("told %q, want %q", got, want)
		}
	}
	s.well.Store(false)
	<-s.asked
	for range 3 { // it is asked on and on, and systemd hears nothing
		<-s.asked
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for got := next(); got != "STOPPING=1"; got = next() {
		if got != "WATCHDOG=1" { // one that was under way
			t.Fatalf("told %q at the end", got)
		}
	}
}
