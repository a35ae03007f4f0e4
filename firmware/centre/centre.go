// Package centre is the small centre: it names seats and gives them their
// policy, watches the floor, takes recordings in and signs receipts for them,
// and keeps them for as long as the law wants. It needs no other service. Cmd
// deskfleet is its front.
package centre

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"deskset/firmware/centre/audit"
	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/floor"
	"deskset/firmware/centre/intake"
	"deskset/firmware/centre/roster"
	"deskset/firmware/centre/settings"
	"deskset/firmware/centre/store"
	"deskset/firmware/centre/store/fsstore"
)

// Below a centre's directory.
const (
	fileSettings = "centre.toml"
	dirKeys      = "keys"
	dirData      = "data"
	fileRunning  = "serving.json"
)

// Init makes a new centre in dir: its CA and keys, its settings, empty stores.
func Init(dir, name string, hosts []string, now time.Time) (*authority.Authority, error) {
	if len(hosts) == 0 {
		hosts = []string{"127.0.0.1", "::1", "localhost"}
	}
	f := settings.Default(name, hosts)
	if err := f.Check(); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, fileSettings)); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is a centre already; a new one needs an empty directory", dir)
	}
	if err := os.MkdirAll(filepath.Join(dir, dirData), 0o700); err != nil {
		return nil, err
	}
	if _, err := fsstore.New(fsstore.OS(filepath.Join(dir, dirData))); err != nil {
		return nil, err
	}
	a, err := authority.Create(filepath.Join(dir, dirKeys), name, hosts, now)
	if err != nil {
		return nil, err
	}
	// The settings come last: with them the directory counts as a centre.
	return a, WriteSettings(dir, f)
}

// WriteSettings replaces centre.toml.
func WriteSettings(dir string, f settings.File) error {
	if err := f.Check(); err != nil {
		return err
	}
	b, err := f.Text()
	if err != nil {
		return err
	}
	return authority.WriteFile(filepath.Join(dir, fileSettings), b, 0o600)
}

// ReadSettings reads centre.toml.
func ReadSettings(dir string) (settings.File, error) {
	path := filepath.Join(dir, fileSettings)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return settings.File{}, fmt.Errorf("%s is not a centre: it has no %s; make one with \"deskfleet init\"", dir, fileSettings)
	}
	if err != nil {
		return settings.File{}, err
	}
	f, err := settings.Parse(b)
	if err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Centre is an open centre.
type Centre struct {
	dir string
	now func() time.Time
	log *slog.Logger

	Keys   *authority.Authority
	Roster *roster.Roster
	Floor  *floor.Floor
	Seats  store.Seats
	Recs   store.Recordings
	Holds  store.Holds
	Events store.Log

	mu       sync.Mutex
	file     settings.File
	fileInfo fs.FileInfo
}

// Open opens the centre in dir. Several processes may have it open; one may
// serve. It starts nothing.
func Open(dir string, now func() time.Time, log *slog.Logger) (*Centre, error) {
	c := &Centre{dir: dir, now: now, log: log}
	f, err := c.Settings()
	if err != nil {
		return nil, err
	}
	if c.Keys, err = authority.Load(filepath.Join(dir, dirKeys), f.Name); err != nil {
		return nil, err
	}
	s, err := fsstore.New(fsstore.OS(filepath.Join(dir, dirData)))
	if err != nil {
		return nil, err
	}
	c.Seats, c.Recs, c.Holds, c.Events = s.Seats(), s.Recordings(), s.Holds(), s.Log()
	c.Floor = floor.New(now)
	c.Roster = roster.NewRoster(roster.Config{
		Seats: c.Seats, Tokens: s.Tokens(), Events: c.Events, Keys: c.Keys,
		Settings: c.Settings, PBXCA: c.pbxCA, Now: now, Log: log,
	})
	return c, nil
}

// Settings are centre.toml as it stands now; it is parsed again only when it
// has changed.
func (c *Centre) Settings() (settings.File, error) {
	i, err := os.Stat(filepath.Join(c.dir, fileSettings))
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.fileInfo != nil && os.SameFile(i, c.fileInfo) && i.ModTime().Equal(c.fileInfo.ModTime()) && i.Size() == c.fileInfo.Size() {
		return c.file, nil
	}
	f, ferr := ReadSettings(c.dir)
	if ferr != nil {
		return f, ferr
	}
	c.file, c.fileInfo = f, i
	return f, nil
}

// pbxCA reads the CA file that the settings name.
func (c *Centre) pbxCA(f settings.File) (string, error) {
	if f.PBX.CAFile == "" {
		return "", nil
	}
	p := f.PBX.CAFile
	if !filepath.IsAbs(p) {
		p = filepath.Join(c.dir, p)
	}
	b, err := os.ReadFile(p)
	if err != nil {
		return "", fmt.Errorf("pbx.ca_file: %w", err)
	}
	return string(b), nil
}

// Audit is the centre's recordings as an auditor sees them.
func (c *Centre) Audit() audit.Local {
	return audit.Local{Recordings: c.Recs, Seats: c.Seats, Holds: c.Holds, Centre: c.Keys.Public()}
}

// Public is the key that verifies receipts and vCons.
func (c *Centre) Public() crypto.PublicKey { return c.Keys.Public() }

// intake wires the taking in of recordings.
func (c *Centre) intake(base string) (*intake.Intake, error) {
	f, err := c.Settings()
	if err != nil {
		return nil, err
	}
	return intake.New(intake.Config{
		Recordings: c.Recs, Seats: c.Seats, Holds: c.Holds, Centre: f.Name, BaseURL: base,
		Signer: c.Keys.Signer(), Chain: c.Keys.Chain(), Facts: c.Keys.Facts(),
		Retain: func() time.Duration {
			f, err := c.Settings()
			if err != nil { // a broken file must not shorten anything
				c.log.Error("settings", "err", err)
				return 30 * 24 * time.Hour
			}
			return f.Retain()
		},
		Now: c.now, Log: c.log,
	})
}

// Running is where a serving centre can be reached from this machine.
type Running struct {
	Address string    `json:"address"` // host:port
	Host    string    `json:"host"`    // to verify its certificate by
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
}

// URL to reach it by.
func (r Running) URL() string { return (&url.URL{Scheme: "https", Host: r.Address}).String() }

func (c *Centre) announce(l net.Listener, host string) error {
	host2, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host2); ip == nil || ip.IsUnspecified() {
		host2 = "127.0.0.1"
	}
	b, err := json.Marshal(Running{Address: net.JoinHostPort(host2, port), Host: host, PID: os.Getpid(), Started: c.now().UTC()})
	if err != nil {
		return err
	}
	return authority.WriteFile(filepath.Join(c.dir, fileRunning), append(b, '\n'), 0o600)
}

// ErrNotServing says that no centre serves from a directory.
var ErrNotServing = errors.New("the centre is not serving: start \"deskfleet serve\"")

// Serving says where the centre in dir is served now.
func Serving(dir string) (Running, error) {
	var r Running
	b, err := os.ReadFile(filepath.Join(dir, fileRunning))
	if errors.Is(err, fs.ErrNotExist) {
		return r, ErrNotServing
	}
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(b, &r)
}

// record writes the log of what was done.
func (c *Centre) record(ctx context.Context, e store.Entry) error {
	e.At = c.now().UTC()
	return c.Events.Append(ctx, e)
}
