package console_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"deskset/firmware/console"
)

// lockedBuffer is a log that many write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A refusal reaches the page as its code, any other error as no more than
// "failed"; and no log holds a number, a digit, a PIN or a cookie.
func TestRefusalsAndLogs(t *testing.T) {
	f, log := signedIn(t), &lockedBuffer{}
	s := serve(t, f, func(c *console.Config) {
		c.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	c := newClient(t, s)
	c.pair(s)
	var next error
	f.Script = func(context.Context, console.Action) (bool, error) { return true, next }
	for _, x := range []struct {
		err  error
		want string
	}{
		{&console.Error{Code: console.CodeDialRefused}, console.CodeDialRefused},
		{errors.Join(errors.New("dial"), &console.Error{Code: console.CodeOffline}), console.CodeOffline},
		{errors.New("secret detail"), console.CodeFailed},
		{context.DeadlineExceeded, console.CodeTimeout},
		{nil, ""},
	} {
		next = x.err
		a := c.ask("POST", "/api/do", `{"kind":"dial","target":"0215550777"}`)
		if a.code != x.want || strings.Contains(string(a.body), "secret") {
			t.Errorf("%v: %s", x.err, a.body)
		}
	}
	c.ask("POST", "/api/do", `{"kind":"sign-in","agent":"1","pin":"424242"}`)
	c.ask("POST", "/api/do", `{"kind":"dtmf","digit":"8"}`)
	said := log.String()
	for _, word := range []string{"0215550777", "424242", `digit`, "1024"} {
		if strings.Contains(said, word) {
			t.Errorf("the log holds %q:\n%s", word, said)
		}
	}
	for _, k := range c.http.Jar.Cookies(mustURL(t, c.base)) {
		if strings.Contains(said, k.Value) {
			t.Error("the log holds a cookie")
		}
	}
	if !strings.Contains(said, "dial-refused") {
		t.Errorf("the log does not say what was refused:\n%s", said)
	}
}
