package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"deskset/firmware/centre"
	"deskset/firmware/centre/audit"
	"deskset/firmware/centre/floor"
)

func serveCommands() []command {
	return []command{
		{name: "serve", what: "serve the seats", long: `
Example:
  deskfleet serve --dir /srv/centre --listen :8443
It runs until interrupted. Settings, seats and holds may be changed meanwhile.
The line "serving https://..." on standard output says that it is ready.`,
			run: runServe, def: func(c *call) {
				needDir(c)
				c.fs.StringVar(&c.v.listen, "listen", "127.0.0.1:8443", "address to listen on")
				c.fs.StringVar(&c.v.level, "log", "info", "debug, info, warn or error; the log goes to standard error")
			}},
		{name: "floor", what: "show how every seat stands now", long: `
Examples:
  deskfleet floor --dir /srv/centre
  deskfleet floor --auditor li.json --json`,
			run: runFloor, def: orAuditor},
		{name: "log", what: "show what was done at the centre, and check that nothing was removed", run: runLog, def: needDir},
		{name: "auditors add", args: "NAME", min: 1, max: 1, what: "make an auditor's file, for work over the network", long: `
Example:
  deskfleet auditors add li --url https://centre.example:8443 --out li.json
Give the file to the auditor by hand: it holds a private key. It opens the list
and the sealed recordings; their sound needs a voice key as well.`,
			run: runAuditorsAdd, def: func(c *call) {
				needDir(c)
				c.fs.StringVar(&c.v.url, "url", "", "address of the centre as the auditor reaches it")
				c.fs.StringVar(&c.v.out, "out", "", "file to write; must not exist")
				c.fs.DurationVar(&c.v.life, "life", 365*24*time.Hour, "how long it is good")
			}},
		{name: "auditors revoke", args: "NAME", min: 1, max: 1, what: "end an auditor's access", run: runAuditorsRevoke, def: needDir},
	}
}

func runServe(ctx context.Context, c *call) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.v.level)); err != nil {
		return usagef("--log %q: use debug, info, warn or error", c.v.level)
	}
	if c.dir == "" {
		return usagef("--dir is needed (or DESKFLEET_DIR)")
	}
	log := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level}))
	x, err := centre.Open(c.dir, c.now, log)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.v.listen)
	if err != nil {
		return err
	}
	if err := c.print(map[string]string{"serving": "https://" + l.Addr().String()}, func(w io.Writer) {
		fmt.Fprintf(w, "serving https://%s\n", l.Addr())
	}); err != nil {
		return err
	}
	return x.Serve(ctx, l)
}

func runFloor(ctx context.Context, c *call) error {
	var lines []floor.Line
	var err error
	if c.auditor != "" {
		lines, err = c.remoteFloor(ctx)
	} else {
		lines, err = c.localFloor(ctx)
	}
	if err != nil {
		return err
	}
	now := c.now()
	return c.print(lines, func(w io.Writer) {
		fmt.Fprintln(w, "SEAT\tLINK\tSINCE\tSTATE\tFOR\tAGENT\tWAITING\tALARMS")
		for _, l := range lines {
			link, since, state, dur, agent, pending := "offline", "never seen", "-", "-", "-", "-"
			if l.Online {
				link = "online"
			}
			if !l.Since.IsZero() {
				since = l.Since.Local().Format(time.DateTime)
			}
			if l.State != nil {
				state, agent, pending = l.State.State, l.State.Agent, fmt.Sprint(l.State.Pending)
				dur = (time.Duration(l.State.Since) * time.Millisecond).Round(time.Second).String()
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Seat, link, since, state, dur, agent, pending, strings.Join(l.Alarms, "; "))
		}
		fmt.Fprintf(w, "at %s\n", now.Local().Format(time.DateTime))
	})
}

// localFloor asks the centre that serves from --dir, with a certificate that
// only someone who can read its CA key can make.
func (c *call) localFloor(ctx context.Context) ([]floor.Line, error) {
	x, err := c.centre()
	if err != nil {
		return nil, err
	}
	at, err := centre.Serving(c.dir)
	if err != nil {
		return nil, err
	}
	cert, err := x.Keys.OperatorCert(c.now())
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(x.Keys.CA())
	cl := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: at.Host, Certificates: []tls.Certificate{cert},
	}}}
	defer cl.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.URL()+audit.PathFloor, nil)
	if err != nil {
		return nil, err
	}
	res, err := cl.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", centre.ErrNotServing, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the centre answered %s", res.Status)
	}
	var lines []floor.Line
	return lines, json.NewDecoder(res.Body).Decode(&lines)
}

func (c *call) remoteFloor(ctx context.Context) ([]floor.Line, error) {
	src, _, err := c.source()
	if err != nil {
		return nil, err
	}
	body, _, err := src.(audit.Remote).Client.Stream(ctx, audit.PathFloor, nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var lines []floor.Line
	return lines, json.NewDecoder(body).Decode(&lines)
}

func runLog(ctx context.Context, c *call) error {
	x, err := c.centre()
	if err != nil {
		return err
	}
	all, bad := x.Events.Entries(ctx)
	if err := c.print(all, func(w io.Writer) {
		fmt.Fprintln(w, "AT\tWHAT\tSEAT\tRECORDING\tBY\tTEXT")
		for _, e := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", e.At.Local().Format(time.RFC3339), e.What, e.Seat, e.Rec, e.By, e.Text)
		}
	}); err != nil {
		return err
	}
	if bad != nil {
		return damagedError{bad}
	}
	return nil
}

func runAuditorsAdd(ctx context.Context, c *call) error {
	if c.v.url == "" || c.v.out == "" {
		return usagef("--url and --out are needed")
	}
	x, err := c.centre()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.v.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := x.AddAuditor(ctx, c.args[0], c.v.url, c.v.life)
	if err != nil {
		os.Remove(c.v.out)
		return usageError{err}
	}
	e := json.NewEncoder(f)
	e.SetIndent("", "  ")
	if err := e.Encode(b); err != nil {
		return err
	}
	return c.done("auditor " + c.args[0] + " may work with " + c.v.out)
}

func runAuditorsRevoke(ctx context.Context, c *call) error {
	x, err := c.centre()
	if err != nil {
		return err
	}
	if err := x.RevokeAuditor(ctx, c.args[0]); err != nil {
		return err
	}
	return c.done("auditor " + c.args[0] + " is revoked")
}
