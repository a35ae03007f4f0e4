package console_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// browser is a headless Chromium, driven by the DevTools protocol.
type browser struct {
	t    *testing.T
	conn *websocket.Conn
	ctx  context.Context

	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
	console map[string][]string // errors that pages have written, by session
}

type reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
	Session string          `json:"sessionId"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

// startBrowser skips the test where there is no Chromium, unless the whole
// suite was asked for.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser is not short")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		if os.Getenv("DESKSET_FULL") == "1" {
			t.Fatal("chromium is not installed, and DESKSET_FULL=1 wants every test")
		}
		t.Skip("chromium is not installed (Debian: apt-get install chromium fonts-noto-cjk)")
	}
	dir, err := os.MkdirTemp("", "deskset-chromium")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb", "--ignore-certificate-errors",
		"--disable-features=Translate,OptimizationHints,MediaRouter", "--lang=en-US",
		"--remote-debugging-port=0", "--user-data-dir="+dir, "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, ctx: ctx, waiting: map[int]chan reply{}, console: map[string][]string{}}
	var reading sync.WaitGroup
	t.Cleanup(func() {
		if b.conn != nil {
			b.command("", "Browser.close", nil)
			b.conn.CloseNow()
		} else {
			cancel()
		}
		reading.Wait()
		cmd.Wait()
		cancel()
		os.RemoveAll(dir)
	})
	url := make(chan string, 1)
	reading.Go(func() {
		defer close(url)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			if _, at, ok := strings.Cut(s.Text(), "DevTools listening on "); ok {
				url <- strings.TrimSpace(at)
			}
		}
	})
	at, ok := <-url
	if !ok {
		t.Fatal("chromium ended without a DevTools address")
	}
	if b.conn, _, err = websocket.Dial(ctx, at, nil); err != nil {
		t.Fatal(err)
	}
	b.conn.SetReadLimit(64 << 20)
	reading.Go(b.read)
	return b
}

func (b *browser) read() {
	for {
		_, m, err := b.conn.Read(b.ctx)
		if err != nil {
			b.mu.Lock()
			for id, c := range b.waiting {
				close(c)
				delete(b.waiting, id)
			}
			b.waiting = nil
			b.mu.Unlock()
			return
		}
		var r reply
		if json.Unmarshal(m, &r) != nil {
			continue
		}
		b.mu.Lock()
		if c := b.waiting[r.ID]; r.ID != 0 && c != nil {
			c <- r
			delete(b.waiting, r.ID)
		}
		if r.Method == "Runtime.exceptionThrown" || r.Method == "Log.entryAdded" && strings.Contains(string(r.Params), `"level":"error"`) ||
			r.Method == "Runtime.consoleAPICalled" && strings.Contains(string(r.Params), `"type":"error"`) {
			b.console[r.Session] = append(b.console[r.Session], string(r.Params))
		}
		b.mu.Unlock()
	}
}

func (b *browser) command(session, method string, params any) (json.RawMessage, error) {
	b.mu.Lock()
	if b.waiting == nil {
		b.mu.Unlock()
		return nil, errors.New("chromium has gone")
	}
	b.next++
	id, c := b.next, make(chan reply, 1)
	b.waiting[id] = c
	b.mu.Unlock()
	m := map[string]any{"id": id, "method": method}
	if session != "" {
		m["sessionId"] = session
	}
	if params != nil {
		m["params"] = params
	}
	out, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if err := b.conn.Write(b.ctx, websocket.MessageText, out); err != nil {
		return nil, err
	}
	select {
	case r, ok := <-c:
		if !ok {
			return nil, errors.New("chromium has gone")
		}
		if r.Error != nil {
			return nil, errors.New(r.Error.Message)
		}
		return r.Result, nil
	case <-b.ctx.Done():
		return nil, b.ctx.Err()
	}
}

// tab is one page in a context of its own: no cookie is shared.
type tab struct {
	b       *browser
	t       *testing.T
	session string
	shot    bool // a picture was taken
}

func (b *browser) open(t *testing.T, url string, width, height int) *tab {
	t.Helper()
	get := func(session, method string, params any, into any) {
		t.Helper()
		r, err := b.command(session, method, params)
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		if into != nil {
			if err := json.Unmarshal(r, into); err != nil {
				t.Fatal(err)
			}
		}
	}
	var c struct{ BrowserContextID string }
	get("", "Target.createBrowserContext", map[string]any{}, &c)
	var target struct{ TargetID string }
	get("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": c.BrowserContextID}, &target)
	var s struct{ SessionID string }
	get("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &s)
	t.Cleanup(func() {
		b.command("", "Target.disposeBrowserContext", map[string]any{"browserContextId": c.BrowserContextID})
	})
	p := &tab{b: b, t: t, session: s.SessionID}
	for _, m := range []string{"Page.enable", "Runtime.enable", "Log.enable"} {
		get(p.session, m, nil, nil)
	}
	get(p.session, "Security.setIgnoreCertificateErrors", map[string]any{"ignore": true}, nil)
	p.size(width, height)
	p.do("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true})
	p.do("Page.navigate", map[string]any{"url": url})
	return p
}

func (p *tab) do(method string, params any) json.RawMessage {
	p.t.Helper()
	r, err := p.b.command(p.session, method, params)
	if err != nil {
		p.t.Fatalf("%s: %v", method, err)
	}
	return r
}

func (p *tab) size(width, height int) {
	p.t.Helper()
	p.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
}

// media emulates what the system asks for, e.g. "prefers-color-scheme", "dark".
func (p *tab) media(features ...string) {
	p.t.Helper()
	fs := []map[string]string{}
	for i := 0; i+1 < len(features); i += 2 {
		fs = append(fs, map[string]string{"name": features[i], "value": features[i+1]})
	}
	p.do("Emulation.setEmulatedMedia", map[string]any{"features": fs})
}

// eval runs an expression (a promise is awaited) and decodes what it gives.
func (p *tab) eval(expression string, into any) error {
	r, err := p.b.command(p.session, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true})
	if err != nil {
		return err
	}
	var v struct {
		Result struct {
			Value json.RawMessage
		}
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := json.Unmarshal(r, &v); err != nil {
		return err
	}
	if v.ExceptionDetails != nil {
		return fmt.Errorf("%s %s", v.ExceptionDetails.Text, v.ExceptionDetails.Exception.Description)
	}
	if into == nil || v.Result.Value == nil {
		return nil
	}
	return json.Unmarshal(v.Result.Value, into)
}

// get is an expression's value as text.
func (p *tab) get(expression string) string {
	p.t.Helper()
	var v any
	if err := p.eval(expression, &v); err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return fmt.Sprint(v)
}

// until waits in the page, frame by frame, for an expression to be true.
func (p *tab) until(condition string) {
	p.t.Helper()
	wait := `new Promise((done) => { const end = Date.now() + 10000; (function look() {
		let ok = false; try { ok = (` + condition + `) } catch {}
		if (ok) done(true); else if (Date.now() > end) done(false); else setTimeout(look, 15) })() })`
	var ok bool
	var err error
	// A navigation takes the page away from under the question: ask again.
	for range 5 {
		if err = p.eval(wait, &ok); err == nil {
			break
		}
	}
	if err != nil || !ok {
		p.t.Fatalf("never true: %s (%v)\n%s", condition, err, p.get("document.body.innerText"))
	}
}

// shown is true in the page when a selector's first match is visible.
func shown(selector string) string {
	return fmt.Sprintf("document.querySelector(%q)?.checkVisibility() === true", selector)
}

func (p *tab) point(selector string) (x, y float64) {
	p.t.Helper()
	p.until(shown(selector))
	var at []float64
	if err := p.eval(fmt.Sprintf("(() => { const e = document.querySelector(%q); e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()", selector), &at); err != nil || len(at) != 2 {
		p.t.Fatalf("%s: %v", selector, err)
	}
	return at[0], at[1]
}

func (p *tab) mouse(kind string, x, y float64) {
	p.t.Helper()
	p.do("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1})
}

func (p *tab) click(selector string) {
	p.t.Helper()
	x, y := p.point(selector)
	p.mouse("mousePressed", x, y)
	p.mouse("mouseReleased", x, y)
}

func (p *tab) key(kind, key string) {
	p.t.Helper()
	m := map[string]any{"type": kind, "key": key}
	if len(key) == 1 && kind == "keyDown" {
		m["text"] = key
	}
	if key == "Enter" {
		m["text"], m["windowsVirtualKeyCode"] = "\r", 13
	}
	p.do("Input.dispatchKeyEvent", m)
}

func (p *tab) press(key string) {
	p.t.Helper()
	p.key("keyDown", key)
	p.key("keyUp", key)
}

func (p *tab) write(text string) {
	p.t.Helper()
	p.do("Input.insertText", map[string]any{"text": text})
}

// shoot writes what is on the screen to DESKSET_SHOTS. Without it one picture
// a tab is taken, to see that it can be: they are slow.
func (p *tab) shoot(name string) {
	p.t.Helper()
	dir := os.Getenv("DESKSET_SHOTS")
	if dir == "" {
		if p.shot {
			return
		}
		dir = p.t.TempDir()
	}
	p.shot = true
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	p.get("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
	var shot struct{ Data string }
	if err := json.Unmarshal(p.do("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true, "clip": p.clip()}), &shot); err != nil {
		p.t.Fatal(err)
	}
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil || len(png) < 1000 {
		p.t.Fatalf("screenshot of %d bytes: %v", len(png), err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) clip() map[string]any {
	var size []float64
	if err := p.eval("[innerWidth, Math.max(innerHeight, document.documentElement.scrollHeight)]", &size); err != nil || len(size) != 2 {
		p.t.Fatal(err)
	}
	return map[string]any{"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
}

// complaints are errors that the page has reported so far.
func (p *tab) complaints() []string {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	return slices.Clone(p.b.console[p.session])
}
