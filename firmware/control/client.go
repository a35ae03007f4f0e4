package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"

	"deskset/firmware/console"
	"deskset/firmware/panel"
	"deskset/firmware/seat"
)

// ErrNotRunning says that nobody answers at the socket.
var ErrNotRunning = errors.New("no deskset is running here")

// Client speaks to a running seat.
type Client struct{ http *http.Client }

// Dial prepares a client of the seat whose run directory is dir. It opens
// nothing yet.
func Dial(dir string) *Client {
	path := filepath.Join(dir, Socket)
	return &Client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, "unix", path)
			if errors.Is(err, fs.ErrPermission) {
				return nil, fmt.Errorf("%s belongs to another user: ask as that one, or as root", path)
			}
			if err != nil {
				return nil, fmt.Errorf("%w (%s): start it with `deskset run`", ErrNotRunning, path)
			}
			return c, nil
		},
	}}}
}

// View asks what the seat is doing.
func (c *Client) View(ctx context.Context) (panel.View, error) {
	var v panel.View
	b, err := c.get(ctx, "/view")
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	return v, err
}

// Await follows the view until ok says true of it, and returns that one.
func (c *Client) Await(ctx context.Context, ok func(panel.View) bool) (panel.View, error) {
	var v panel.View
	err := c.lines(ctx, "/views", func(line []byte) (bool, error) {
		v = panel.View{}
		if err := json.Unmarshal(line, &v); err != nil {
			return false, fmt.Errorf("read view: %w", err)
		}
		return ok(v), nil
	})
	if err == nil && !ok(v) {
		err = ErrNotRunning
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return v, err
}

// Bundle asks for the support bundle, JSON.
func (c *Client) Bundle(ctx context.Context) ([]byte, error) { return c.get(ctx, "/bundle") }

// Do asks the seat for one thing; a refusal is a *console.Error.
func (c *Client) Do(ctx context.Context, a console.Action) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://seat/do", bytes.NewReader(console.MarshalAction(a)))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return unwrap(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	e := &console.Error{Code: console.CodeFailed}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(e); err != nil {
		e.Text = resp.Status
	}
	return e
}

// Events calls f with every event behind after; with follow it goes on until
// ctx ends or the seat does.
func (c *Client) Events(ctx context.Context, after uint64, follow bool, f func(seat.Event) error) error {
	q := fmt.Sprintf("/events?after=%d", after)
	if follow {
		q += "&follow=1"
	}
	err := c.lines(ctx, q, func(line []byte) (bool, error) {
		var e seat.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return false, fmt.Errorf("read events: %w", err)
		}
		return false, f(e)
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// lines calls f with every line of an answer until it is done or fails.
func (c *Client) lines(ctx context.Context, path string, f func([]byte) (done bool, err error)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://seat"+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return unwrap(err)
	}
	defer resp.Body.Close()
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		if done, err := f(sc.Bytes()); done || err != nil {
			return err
		}
	}
	return sc.Err()
}

func (c *Client) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://seat"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unwrap(err)
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, 8<<20))
}

// unwrap drops the URL that means nothing to a person.
func unwrap(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
