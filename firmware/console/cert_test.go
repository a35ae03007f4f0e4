package console_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"deskset/firmware/console"
)

func TestSelfSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dir")
	now := time.Now()
	names := []string{"localhost", "127.0.0.1", "seat-1.lan"}
	cert, print, err := console.SelfSigned(dir, names, now)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^([0-9A-F]{2}:){31}[0-9A-F]{2}$`).MatchString(print) {
		t.Errorf("fingerprint %q", print)
	}
	for _, n := range names {
		if err := cert.Leaf.VerifyHostname(n); err != nil {
			t.Error(err)
		}
	}
	if cert.Leaf.IsCA {
		t.Error("it may sign others")
	}
	path := filepath.Join(dir, "console.pem")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	same := func(what string, want bool, at time.Time, names ...string) {
		t.Helper()
		again, _, err := console.SelfSigned(dir, names, at)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if bytes.Equal(again.Certificate[0], cert.Certificate[0]) != want {
			t.Errorf("%s: kept %v, want %v", what, !want, want)
		}
		cert = again
	}
	same("the next start", true, now.Add(time.Hour), names...)
	same("a clock that is months slow", true, now.AddDate(0, -6, 0), names...)
	same("fewer names", true, now, "localhost")
	same("another name", false, now, "other.lan")
	same("near its end", false, now.Add(370*24*time.Hour), "other.lan")
	same("a clock before it began", false, now.AddDate(-5, 0, 0), "other.lan")
	for _, damaged := range [][]byte{nil, []byte("x"), []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		same("a damaged file", false, now, names...)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".console-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, _, err := console.SelfSigned(path, names, now); err == nil {
		t.Error("a file was taken for a directory")
	}
}
