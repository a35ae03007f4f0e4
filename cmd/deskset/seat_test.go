package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"deskset/firmware/centre/centretest"
	"deskset/firmware/control"
	"deskset/firmware/panel"
	"deskset/firmware/vault"
)

// output may be read while the program writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// deskset runs a verb to its end.
func deskset(args ...string) (code int, out, errs string) {
	var o, e output
	code = run(context.Background(), stdio{&o, &e}, args)
	return code, o.String(), e.String()
}

// seatFile writes a configuration for a seat of a centre.
func seatFile(t *testing.T, dir, name, run, centre, ca string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	text := fmt.Sprintf("board = \"virtual\"\nstate_dir = %q\nrun_dir = %q\nlanguage = \"en\"\n[centre]\nurl = %q\nca = %q\n[headset]\nbackend = \"virtual\"\n[console]\nlisten = \"\"\n",
		filepath.Join(dir, "state"), run, centre, ca)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestASeatFromEnrolmentToItsEnd is the program as a technician meets it.
func TestASeatFromEnrolmentToItsEnd(t *testing.T) {
	e := centretest.New(t)
	dir := t.TempDir()
	runDir, err := os.MkdirTemp("", "desk") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(runDir)
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, e.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	file := seatFile(t, dir, "seat.toml", runDir, e.URL, ca)

	want := func(code, want int, errs, words string) {
		t.Helper()
		if code != want || !strings.Contains(errs, words) {
			t.Fatalf("exit %d (want %d), says %q (want %q)", code, want, errs, words)
		}
	}
	code, _, errs := deskset("enrol", "--config", file, "--token", "wrong")
	want(code, exitRefused, errs, "refused by the centre")
	code, out, errs := deskset("enrol", "--config", file, "--token", e.Token(t, "S-0001"))
	want(code, exitOK, errs, "")
	if out != "enrolled as S-0001\n" {
		t.Errorf("says %q", out)
	}
	code, _, errs = deskset("enrol", "--config", file, "--token", "other")
	want(code, exitRefused, errs, "--again")
	// A failed new enrolment leaves the seat what it was.
	code, _, errs = deskset("enrol", "--config", file, "--token", "wrong", "--again")
	want(code, exitRefused, errs, "refused by the centre")

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log output
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, stdio{&log, &log}, []string{"run", "--config", file}) }()
	client := control.Dial(runDir)
	await := func(what string, ok func(panel.View) bool) panel.View {
		t.Helper()
		limit, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		for {
			v, err := client.Await(limit, ok)
			if err == nil {
				return v
			}
			select {
			case code := <-ended:
				t.Fatalf("ended with %d:\n%s", code, log.String())
			case <-limit.Done():
				t.Fatalf("%s never came: %v\n%s", what, err, log.String())
			case <-time.After(20 * time.Millisecond): // the socket is not there yet
			}
		}
	}
	await("the centre", func(v panel.View) bool { return v.Links.Centre })

	code, _, errs = deskset("ask", "--config", file, "sign-in", "agent=agent-7041")
	want(code, exitOK, errs, "")
	code, _, errs = deskset("ask", "--config", file, "dial", "target=13800138000")
	want(code, exitRefused, errs, "")
	code, _, errs = deskset("ask", "--config", file, "volume", "db=99")
	want(code, exitUsage, errs, "usage")
	code, out, errs = deskset("status", "--config", file, "--json")
	want(code, exitOK, errs, "")
	var v panel.View
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Seat != "S-0001" || v.Agent != "agent-7041" || v.State != panel.Offline {
		t.Errorf("%v %s", err, out)
	}
	code, out, errs = deskset("status", "--config", file)
	want(code, exitOK, errs, "")
	for _, w := range []string{"S-0001", "agent-7041", "PBX", "DOWN", "recording"} {
		if !strings.Contains(out, w) {
			t.Errorf("status does not say %q:\n%s", w, out)
		}
	}
	code, out, errs = deskset("events", "--config", file)
	want(code, exitOK, errs, "")
	if !strings.Contains(out, "started") || !strings.Contains(out, "signed in") {
		t.Errorf("events:\n%s", out)
	}
	code, out, errs = deskset("events", "--config", file, "--json", "--after", "1")
	want(code, exitOK, errs, "")
	if !strings.HasPrefix(out, `{"seq":2,`) {
		t.Errorf("events behind 1: %s", out)
	}
	bundle := filepath.Join(dir, "bundle.json")
	code, _, errs = deskset("support-bundle", "--config", file, "--out", bundle)
	want(code, exitOK, errs, "no number, name or key")
	b, err := os.ReadFile(bundle)
	if err != nil || !json.Valid(b) {
		t.Fatal(err)
	}
	for _, secret := range []string{"7041", "13800138000", "secret-of-the-pbx", "8001", "PRIVATE"} {
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("the bundle holds %q:\n%s", secret, b)
		}
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, log.String())
		}
	}
	if st, err := os.Stat(bundle); err != nil || st.Mode().Perm() != 0o600 {
		t.Error("the bundle is not its owner's alone", err)
	}

	garbage(t, filepath.Join(runDir, control.Socket))

	// One seat has one program.
	other := seatFile(t, dir, "other.toml", filepath.Join(runDir, "other"), e.URL, ca)
	code, _, errs = deskset("run", "--config", other)
	want(code, exitFailed, errs, "vault")
	code, _, errs = deskset("run", "--config", file)
	want(code, exitFailed, errs, "vault")

	code, _, errs = deskset("ask", "--config", file, "sign-out")
	want(code, exitOK, errs, "")
	stop()
	select {
	case code := <-ended:
		if code != exitOK {
			t.Errorf("ended with %d:\n%s", code, log.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("does not end:\n%s", log.String())
	}
	code, _, errs = deskset("status", "--config", file)
	want(code, exitAbsent, errs, "no deskset is running")

	// What it leaves can be opened by the next.
	id, err := loadIdentity(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := vault.Open(vault.Config{Dir: filepath.Join(dir, "state", "vault"), Seat: id.name, Signer: id.key, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// garbage is what a socket may be sent; the seat goes on.
func garbage(t *testing.T, path string) {
	t.Helper()
	huge := strings.Repeat("x", 64<<10)
	for _, msg := range []string{
		"\x00\xff\n", "GET / HTTP/1.1\r\nHost: seat\r\n\r\n", "GET /view HTTP/9.9\r\n\r\n", huge,
		"POST /do HTTP/1.1\r\nHost: seat\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{\"kind\":0",
		"POST /do HTTP/1.1\r\nHost: seat\r\nContent-Length: 65536\r\nConnection: close\r\n\r\n" + huge,
		"DELETE /view HTTP/1.1\r\nHost: seat\r\nConnection: close\r\n\r\n",
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(2 * time.Second))
		_, _ = c.Write([]byte(msg))
		if strings.HasPrefix(msg, "POST") || strings.HasPrefix(msg, "DELETE") {
			b := make([]byte, 64)
			n, _ := c.Read(b)
			if !strings.HasPrefix(string(b[:n]), "HTTP/1.1 4") {
				t.Errorf("%.20q was answered %q", msg, b[:n])
			}
		}
		c.Close()
	}
	if _, err := control.Dial(filepath.Dir(path)).View(t.Context()); err != nil {
		t.Error("after the garbage:", err)
	}
}

// TestACutInAnEnrolment: the certificate is there, its key not yet in place.
func TestACutInAnEnrolment(t *testing.T) {
	e := centretest.New(t)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, e.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	file := seatFile(t, dir, "seat.toml", dir, e.URL, ca)
	if code, _, errs := deskset("enrol", "--config", file, "--token", e.Token(t, "S-0001")); code != exitOK {
		t.Fatal(errs)
	}
	state := filepath.Join(dir, "state")
	if err := os.Rename(filepath.Join(state, keyFile), filepath.Join(state, newKeyFile)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if id, err := loadIdentity(state); err != nil || id.name != "S-0001" {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(state, keyFile), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := deskset("run", "--config", file); code != exitFailed || !strings.Contains(errs, "--again") {
		t.Errorf("a damaged key: exit %d, %s", code, errs)
	}
}
