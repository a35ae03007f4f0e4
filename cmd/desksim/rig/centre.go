package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"deskset/firmware/centre/floor"
	"deskset/firmware/fleet"
)

// Centre is a deskfleet with its state, and the auditor's machine beside it,
// where the offline voice keys are.
type Centre struct {
	Dir     string // the centre's
	Auditor string // another machine's
	Addr    string // host:port
	bin     string
	logs    string
	proc    *Proc
}

// newCentre makes keys and CA; nothing runs yet.
func newCentre(ctx context.Context, dir, bin, logs string) (*Centre, error) {
	c := &Centre{Dir: filepath.Join(dir, "centre"), Auditor: filepath.Join(dir, "auditor"), bin: bin, logs: logs}
	var err error
	if c.Addr, err = freePort(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Auditor, 0o700); err != nil {
		return nil, err
	}
	if _, err := c.fleet(ctx, "init", "--dir", c.Dir, "--name", "lab"); err != nil {
		return nil, err
	}
	if _, err := c.fleet(ctx, "keys", "voice", "--out", c.Auditor); err != nil {
		return nil, err
	}
	if _, err := c.fleet(ctx, "keys", "add", filepath.Join(c.Auditor, "voice.pub"), "--dir", c.Dir); err != nil {
		return nil, err
	}
	_, err = c.fleet(ctx, "policy", "set", "--dir", c.Dir, "--emergency", "110,119,120",
		"--internal", strings.Join([]string{Echo, "601", "602", "603", "604", Colleague, "102"}, ","), "--blind-transfer", "yes")
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Start serves.
func (c *Centre) Start(ctx context.Context) error {
	var err error
	c.proc, err = start("deskfleet", c.logs, nil, c.bin, "serve", "--dir", c.Dir, "--listen", c.Addr)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	err = poll(ctx, "deskfleet", func() bool {
		conn, err := net.Dial("tcp", c.Addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, c.proc.Tail(5))
	}
	return nil
}

// URL for a seat's file.
func (c *Centre) URL() string { return "https://" + c.Addr }

// CA is the file that a seat must trust.
func (c *Centre) CA() string { return filepath.Join(c.Dir, "keys", "ca.pem") }

// AddSeat makes a seat with an account at the PBX and returns its token.
func (c *Centre) AddSeat(ctx context.Context, name string, pbx fleet.PBX) (token string, err error) {
	dir, err := os.MkdirTemp(c.logs, "seat-")
	if err != nil {
		return "", err
	}
	pw, ca := filepath.Join(dir, "password"), filepath.Join(dir, "pbx-ca.pem")
	if err := os.WriteFile(pw, []byte(pbx.Password), 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(ca, []byte(pbx.CA), 0o600); err != nil {
		return "", err
	}
	out, err := c.fleet(ctx, "seats", "add", name, "--dir", c.Dir, "--json",
		"--pbx-url", pbx.URL, "--pbx-domain", pbx.Domain, "--pbx-user", pbx.User, "--pbx-password-file", pw, "--pbx-ca", ca)
	if err != nil {
		return "", err
	}
	var r struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Token == "" {
		return "", fmt.Errorf("seats add printed no token: %s", out)
	}
	return r.Token, nil
}

// Export decrypts a recording with an offline key, on the auditor's machine.
func (c *Centre) Export(ctx context.Context, id, out string) error {
	_, err := c.fleet(ctx, "recordings", "export", id, "--dir", c.Dir, "--key", filepath.Join(c.Auditor, "primary.key"), "--out", out)
	return err
}

// ExportCut is Export of a recording that was cut off: that its end is missing
// is no fault, anything else is.
func (c *Centre) ExportCut(ctx context.Context, id, out string) error {
	err := c.Export(ctx, id, out)
	if err == nil {
		return fmt.Errorf("recording %s was cut, but its export names no missing end", id)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exportDamaged {
		return err
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if strings.Contains(line, "damage:") && !strings.Contains(line, "its end is missing") {
			return err
		}
	}
	return nil
}

// exportDamaged is deskfleet's exit code when not all could be read.
const exportDamaged = 5

// Recordings that the centre holds, as `recordings list --json` says.
func (c *Centre) Recordings(ctx context.Context) (string, error) {
	return c.fleet(ctx, "recordings", "list", "--dir", c.Dir, "--json")
}

// Show is the record of one call.
func (c *Centre) Show(ctx context.Context, id string) (string, error) {
	return c.fleet(ctx, "recordings", "show", id, "--dir", c.Dir, "--json")
}

// Stop ends the centre in order; Kill does not.
func (c *Centre) Stop() error { return c.proc.Stop() }
func (c *Centre) Kill()       { c.proc.Kill() }

func (c *Centre) fleet(ctx context.Context, args ...string) (string, error) {
	out, err := output(ctx, nil, c.bin, args...)
	return strings.TrimSpace(out), err
}

// Seats is how every seat stands, as `floor --json` says.
func (c *Centre) Seats(ctx context.Context) ([]floor.Line, error) {
	out, err := c.fleet(ctx, "floor", "--dir", c.Dir, "--json")
	if err != nil {
		return nil, err
	}
	var all []floor.Line
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	return all, nil
}

// Shows waits until the centre shows a seat as online, or not.
func (c *Centre) Shows(ctx context.Context, seat string, online bool, limit time.Duration) error {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	return poll(ctx, fmt.Sprintf("%s to be online at the centre: %v", seat, online), func() bool {
		all, err := c.Seats(ctx)
		return err == nil && slices.ContainsFunc(all, func(l floor.Line) bool { return l.Seat == seat && l.Online == online })
	})
}
