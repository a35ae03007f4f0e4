// Package config reads the seat's file: strict TOML that says which board and
// devices the seat has and which centre it belongs to. Everything else (PBX,
// identity, dial classes, recipient keys) comes from the centre in a signed
// policy.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// MaxSize of a file, in bytes.
const MaxSize = 64 << 10

// File is the whole file, with every default filled in.
type File struct {
	Board    string  `toml:"board" comment:"board model, or \"virtual\" for the panel of desksim"`
	StateDir string  `toml:"state_dir" comment:"recordings, keys and policy; must survive a power cut"`
	RunDir   string  `toml:"run_dir" comment:"control socket; may vanish at a restart"`
	Language string  `toml:"language" comment:"of cues and of the page at first: \"zh-CN\" or \"en\""`
	Centre   Centre  `toml:"centre"`
	PBX      PBX     `toml:"pbx"`
	Headset  Headset `toml:"headset"`
	Console  Console `toml:"console"`
	Media    Media   `toml:"media"`
	Log      Log     `toml:"log"`
}

// Centre is where the seat belongs.
type Centre struct {
	URL string `toml:"url" comment:"https address of the centre"`
	CA  string `toml:"ca" comment:"PEM file with the centre's CA"`
}

// PBX holds what the policy may not decide alone.
type PBX struct {
	Insecure bool `toml:"insecure" comment:"allow ws:// without TLS; for a lab only"`
}

// Headset names the one microphone and the one speaker that are ever used.
type Headset struct {
	Backend  string `toml:"backend" comment:"\"alsa\", \"pulse\" or \"virtual\""`
	Capture  string `toml:"capture" comment:"explicit id, see: deskset devices"`
	Playback string `toml:"playback" comment:"explicit id, see: deskset devices"`
	Server   string `toml:"server,omitempty" comment:"PulseAudio server address; empty: the user's own"`
	PeriodMs int    `toml:"period_ms" comment:"of the sound card, milliseconds"`
	MicFile  string `toml:"mic_file,omitempty" comment:"virtual only: WAV that the microphone hears"`
	EarFile  string `toml:"ear_file,omitempty" comment:"virtual only: WAV that the ear heard"`
}

// Console is the page on the agent's PC.
type Console struct {
	Listen string   `toml:"listen" comment:"address of the panel's page; empty: no page"`
	Hosts  []string `toml:"hosts" comment:"further host names under which the page may be opened"`
}

// Media is the network side of a call.
type Media struct {
	Interface string `toml:"interface,omitempty" comment:"address that media is sent from; empty: the one that reaches the PBX"`
}

// Log says how much is written to standard error.
type Log struct {
	Level string `toml:"level" comment:"\"debug\", \"info\", \"warn\" or \"error\""`
}

// Default is what an empty file means.
func Default() File {
	return File{
		Board: "virtual", StateDir: "/var/lib/deskset", RunDir: "/run/deskset", Language: "zh-CN",
		Headset: Headset{Backend: "alsa", PeriodMs: 10},
		Console: Console{Listen: "127.0.0.1:8443", Hosts: []string{}},
		Log:     Log{Level: "info"},
	}
}

// Error is a fault of the file, with the line where it is known.
type Error struct {
	File string
	Line int // 0: not known
	Msg  string
	Err  error // of the file system, when that is the fault
}

// Unwrap gives the file system's error.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
	}
	return fmt.Sprintf("%s: %s", e.File, e.Msg)
}

// Load reads and checks a file. Relative paths are taken from the file's own
// directory. A fault is an *Error.
func Load(path string) (File, error) {
	b, err := read(path)
	if err != nil {
		return File{}, &Error{File: path, Msg: "cannot be read: " + err.Error(), Err: err}
	}
	f, err := Parse(path, b)
	if err != nil {
		return File{}, err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return File{}, fmt.Errorf("find configuration: %w", err)
	}
	for _, p := range []*string{&f.StateDir, &f.RunDir, &f.Centre.CA, &f.Headset.MicFile, &f.Headset.EarFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	return f, nil
}

// Fault is an error of a setting that only the caller can judge, with its line.
func Fault(path, key, msg string) *Error {
	b, _ := read(path) // it was read before; without it the line is not known
	return &Error{File: path, Line: lineOf(b, key), Msg: key + ": " + msg}
}

// read no more than a configuration can have, and a byte.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

// Parse reads the text of a file; name is for errors.
func Parse(name string, b []byte) (File, error) {
	f := Default()
	if len(b) > MaxSize {
		return f, &Error{File: name, Msg: fmt.Sprintf("more than the %d bytes that a configuration can have", MaxSize)}
	}
	dec := toml.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return f, explain(name, err)
	}
	if key, msg := f.check(); msg != "" {
		return f, &Error{File: name, Line: lineOf(b, key), Msg: key + ": " + msg}
	}
	return f, nil
}

// Text is the effective file with its comments.
func (f File) Text() ([]byte, error) { return toml.Marshal(f) }

// check says the first key that is wrong and why.
func (f File) check() (key, msg string) {
	oneOf := func(v string, all ...string) bool {
		for _, a := range all {
			if v == a {
				return true
			}
		}
		return false
	}
	u, err := url.Parse(f.Centre.URL)
	switch {
	case f.Board == "":
		return "board", "is empty; name the board model, or \"virtual\""
	case f.StateDir == "":
		return "state_dir", "is empty; name a directory on the data partition"
	case f.RunDir == "":
		return "run_dir", "is empty; use /run/deskset"
	case !oneOf(f.Language, "zh-CN", "en"):
		return "language", fmt.Sprintf("%q is not known; use \"zh-CN\" or \"en\"", f.Language)
	case f.Centre.URL == "":
		return "centre.url", "is missing; the address that `deskfleet serve` printed"
	case err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "":
		return "centre.url", fmt.Sprintf("%q is not of the form https://host:port", f.Centre.URL)
	case f.Centre.CA == "":
		return "centre.ca", "is missing; the PEM file that `deskfleet init` wrote"
	case !oneOf(f.Headset.Backend, "alsa", "pulse", "virtual"):
		return "headset.backend", fmt.Sprintf("%q is not known; use \"alsa\", \"pulse\" or \"virtual\"", f.Headset.Backend)
	case f.Headset.Backend != "virtual" && f.Headset.Capture == "":
		return "headset.capture", "is missing; `deskset devices` lists the ids (a default microphone is never used)"
	case f.Headset.Backend != "virtual" && f.Headset.Playback == "":
		return "headset.playback", "is missing; `deskset devices` lists the ids"
	case f.Headset.PeriodMs < 5 || f.Headset.PeriodMs > 40:
		return "headset.period_ms", "must be 5 to 40"
	case !oneOf(f.Log.Level, "debug", "info", "warn", "error"):
		return "log.level", fmt.Sprintf("%q is not known; use \"debug\", \"info\", \"warn\" or \"error\"", f.Log.Level)
	}
	if f.Console.Listen != "" {
		_, port, err := net.SplitHostPort(f.Console.Listen)
		if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
			return "console.listen", fmt.Sprintf("%q is not of the form address:port", f.Console.Listen)
		}
	}
	if f.Media.Interface != "" {
		if a, err := netip.ParseAddr(f.Media.Interface); err != nil || a.IsUnspecified() {
			return "media.interface", fmt.Sprintf("%q is not an address of this machine", f.Media.Interface)
		}
	}
	return "", ""
}

func explain(name string, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		first := strict.Errors[0]
		line, _ := first.Position()
		return &Error{File: name, Line: line, Msg: fmt.Sprintf("unknown setting %q; `deskset check --help` shows all there are", strings.Join(first.Key(), "."))}
	}
	var dec *toml.DecodeError
	if errors.As(err, &dec) {
		line, _ := dec.Position()
		return &Error{File: name, Line: line, Msg: strings.TrimPrefix(dec.Error(), "toml: ")}
	}
	return &Error{File: name, Msg: err.Error()}
}

// lineOf finds the line that sets a dotted key, or 0.
func lineOf(b []byte, key string) int {
	table, name := "", key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		table, name = key[:i], key[i+1:]
	}
	now := ""
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			name, _, _ := strings.Cut(line[1:], "]")
			now = strings.TrimSpace(name)
			continue
		}
		k, _, ok := strings.Cut(line, "=")
		if ok && now == table && strings.TrimSpace(k) == name {
			return i + 1
		}
	}
	return 0
}
