package rig

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/panel"
)

// Page is what a browser on the agent's PC does, without the browser: it
// speaks the panel's documented API over TLS.
type Page struct {
	url  string
	http *http.Client
}

// NewPage opens the seat's page, not yet paired.
func NewPage(s *Seat) (*Page, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &Page{
		url: "https://" + s.File.Console.Listen,
		// The seat's certificate is its own; the code on the page and the key on
		// the desk say who is who.
		http: &http.Client{Jar: jar, Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
	}, nil
}

// URL of the page.
func (p *Page) URL() string { return p.url + "/" }

// Pair asks to be let in; the HELP key on the desk confirms it.
func (p *Page) Pair(ctx context.Context, s *Seat) error {
	if _, err := p.call(ctx, http.MethodPost, "/api/pair", nil); err != nil {
		return err
	}
	if err := s.Press(panel.Help); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	return poll(ctx, "pairing", func() bool {
		_, err := p.call(ctx, http.MethodPost, "/api/pair/claim", nil)
		return err == nil
	})
}

// Do asks the seat for one thing, as a click does.
func (p *Page) Do(ctx context.Context, a console.Action) error {
	_, err := p.call(ctx, http.MethodPost, "/api/do", console.MarshalAction(a))
	return err
}

// View is what the page shows.
func (p *Page) View(ctx context.Context) (panel.View, error) {
	var m struct {
		View panel.View `json:"view"`
	}
	b, err := p.call(ctx, http.MethodGet, "/api/view", nil)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	return m.View, err
}

func (p *Page) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", p.url)
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode/100 != 2 {
		err = refusal(path, resp.Status, b)
	}
	return b, err
}

// refusal is the seat's own *console.Error where the page has one.
func refusal(path, status string, body []byte) error {
	var m struct {
		Error *console.Error `json:"error"`
	}
	if json.Unmarshal(body, &m) == nil && m.Error != nil {
		return fmt.Errorf("page %s: %w", path, m.Error)
	}
	return fmt.Errorf("page %s: %s: %s", path, status, bytes.TrimSpace(body))
}
