// Package settings is the centre's file, centre.toml: what holds for all of
// its seats. Unknown members are refused, with the line shown.
package settings

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"deskset/firmware/centre/authority"
	"deskset/firmware/fleet"

	"github.com/pelletier/go-toml/v2"
)

// File is centre.toml.
type File struct {
	Name      string    `toml:"name" comment:"of this centre; stands in receipts and certificates"`
	Hosts     []string  `toml:"hosts" comment:"DNS names and IP addresses that seats reach it by"`
	Agents    []string  `toml:"agents" comment:"agent numbers that may sign in; empty: any"`
	Dial      Dial      `toml:"dial"`
	Recording Recording `toml:"recording"`
	Times     Times     `toml:"times"`
	Retention Retention `toml:"retention" comment:"of the seats' own copies, after the receipt"`
	PBX       PBX       `toml:"pbx" comment:"defaults for seats that are added without their own"`
}

// Dial is fleet.Dial.
type Dial struct {
	Emergency     []string `toml:"emergency" comment:"exact numbers, always allowed"`
	Internal      []string `toml:"internal" comment:"exact extensions and feature codes; nothing else can be dialled"`
	BlindTransfer bool     `toml:"blind_transfer"`
}

// Recording of calls.
type Recording struct {
	Enabled    bool   `toml:"enabled"`
	Basis      string `toml:"basis" comment:"why recordings are kept: \"centre-policy\" or \"consent\""`
	RetainDays int    `toml:"retain_days" comment:"kept here at least so long after they were received"`
}

// Times is fleet.Times.
type Times struct {
	RONARings      int `toml:"rona_rings"`
	WrapUpSeconds  int `toml:"wrap_up_seconds"`
	HoldCueSeconds int `toml:"hold_cue_seconds"`
	HoldMaxSeconds int `toml:"hold_max_seconds"`
	RingBacks      int `toml:"ring_backs"`
	MuteCueSeconds int `toml:"mute_cue_seconds"`
}

// Retention is fleet.Retention.
type Retention struct {
	GraceDays      int `toml:"grace_days"`
	ShortGraceDays int `toml:"short_grace_days"`
}

// PBX is what seats have in common.
type PBX struct {
	URL     string `toml:"url"`
	Domain  string `toml:"domain" comment:"of the address of record; empty: the host in url"`
	CAFile  string `toml:"ca_file" comment:"PEM, beside this file or absolute; empty: the centre's CA"`
	Expires int    `toml:"expires" comment:"seconds asked for in REGISTER"`
}

// Default is a new centre's file.
func Default(name string, hosts []string) File {
	t := fleet.DefaultTimes()
	return File{
		Name: name, Hosts: hosts, Agents: []string{},
		Dial:      Dial{Emergency: []string{"110", "119", "120", "122"}, Internal: []string{}},
		Recording: Recording{Enabled: true, Basis: "centre-policy", RetainDays: 30},
		Times:     Times(t),
		Retention: Retention{GraceDays: 30, ShortGraceDays: 7},
		PBX:       PBX{Expires: 120},
	}
}

// MaxFile bounds what Parse reads, in bytes.
const MaxFile = 1 << 20

// Parse reads and checks the file's text.
func Parse(b []byte) (File, error) {
	var f File
	if len(b) > MaxFile {
		return f, errors.New("the file is too large")
	}
	d := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return File{}, explain(err)
	}
	return f, f.Check()
}

func explain(err error) error {
	var strict *toml.StrictMissingError
	var dec *toml.DecodeError
	switch {
	case errors.As(err, &strict) && len(strict.Errors) > 0:
		row, _ := strict.Errors[0].Position()
		return fmt.Errorf("line %d: unknown setting %q", row, strings.Join(strict.Errors[0].Key(), "."))
	case errors.As(err, &dec):
		row, col := dec.Position()
		return fmt.Errorf("line %d, column %d: %s", row, col, strings.TrimPrefix(dec.Error(), "toml: "))
	}
	return err
}

// Text is the file as it is written.
func (f File) Text() ([]byte, error) {
	b, err := toml.Marshal(f)
	if err != nil {
		return nil, err
	}
	head := "# The centre's settings. `deskfleet policy set` rewrites this file; so may you.\n" +
		"# A change reaches the seats within seconds while `deskfleet serve` runs.\n\n"
	return append([]byte(head), b...), nil
}

var dialled = regexp.MustCompile(`^[0-9*#+][0-9*#]{0,31}$`)

// CheckNumbers says which of the numbers cannot be dialled exactly.
func CheckNumbers(what string, ns []string) error {
	if len(ns) > 10_000 {
		return fmt.Errorf("%s: %d numbers, at most 10000", what, len(ns))
	}
	for _, n := range ns {
		if !dialled.MatchString(n) {
			return fmt.Errorf("%s: %q is not a number: use digits, *, # and a leading +", what, n)
		}
	}
	return nil
}

var agentNumber = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)

// CheckAgents says which agent number is not one.
func CheckAgents(ns []string) error {
	for _, n := range ns {
		if !agentNumber.MatchString(n) {
			return fmt.Errorf("agents: %q is not an agent number: use 1 to 32 letters and digits", n)
		}
	}
	return nil
}

// Check says what is wrong with the file.
func (f File) Check() error {
	if err := authority.CheckName(f.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if len(f.Hosts) == 0 {
		return errors.New("hosts: at least one is needed")
	}
	for _, h := range f.Hosts {
		if err := authority.CheckHost(h); err != nil {
			return fmt.Errorf("hosts: %w", err)
		}
	}
	if err := errors.Join(CheckNumbers("dial.emergency", f.Dial.Emergency), CheckNumbers("dial.internal", f.Dial.Internal), CheckAgents(f.Agents)); err != nil {
		return err
	}
	if f.Recording.Enabled && f.Recording.Basis != "centre-policy" && f.Recording.Basis != "consent" {
		return fmt.Errorf("recording.basis: %q; use \"centre-policy\" or \"consent\"", f.Recording.Basis)
	}
	for _, r := range []struct {
		name     string
		n        int
		min, max int
	}{
		{"recording.retain_days", f.Recording.RetainDays, 30, 3650}, // notice 2020-81: not less than 30 days
		{"times.rona_rings", f.Times.RONARings, 1, 60},
		{"times.wrap_up_seconds", f.Times.WrapUpSeconds, 0, 3600},
		{"times.hold_cue_seconds", f.Times.HoldCueSeconds, 1, 3600},
		{"times.hold_max_seconds", f.Times.HoldMaxSeconds, 1, 3600},
		{"times.ring_backs", f.Times.RingBacks, 1, 60},
		{"times.mute_cue_seconds", f.Times.MuteCueSeconds, 1, 3600},
		{"retention.grace_days", f.Retention.GraceDays, 1, 3650},
		{"retention.short_grace_days", f.Retention.ShortGraceDays, 1, 3650},
		{"pbx.expires", f.PBX.Expires, 30, 86400},
	} {
		if r.n < r.min || r.n > r.max {
			return fmt.Errorf("%s: %d is not within %d to %d", r.name, r.n, r.min, r.max)
		}
	}
	if f.PBX.URL != "" {
		if err := CheckPBXURL(f.PBX.URL); err != nil {
			return fmt.Errorf("pbx.url: %w", err)
		}
	}
	return nil
}

// CheckPBXURL says what is wrong with a PBX's address.
func CheckPBXURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "wss" && u.Scheme != "ws" || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q: want wss://host:port/path", s)
	}
	return nil
}

// Retain is how long a recording received now is kept.
func (f File) Retain() time.Duration { return time.Duration(f.Recording.RetainDays) * 24 * time.Hour }
