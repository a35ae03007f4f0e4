package main

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"deskset/firmware/centre"
	"deskset/firmware/centre/audit"
	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/roster"
	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
	"deskset/firmware/vault/sealed"
)

// Exit codes, one a kind of failure.
const (
	exitOK      = 0
	exitFailed  = 1 // something else
	exitUsage   = 2 // command line, settings or CSV are wrong
	exitMissing = 3 // no such seat, recording, file
	exitRefused = 4 // not allowed: retention, legal hold, wrong key or certificate
	exitDamaged = 5 // a signature, hash or segment does not hold
	exitNetwork = 6 // the centre cannot be reached
)

// usageError is a mistake of who typed the command.
type usageError struct{ error }

func usagef(format string, a ...any) error { return usageError{fmt.Errorf(format, a...)} }

// damagedError is exitDamaged, for an outcome that was already printed.
type damagedError struct{ error }

func exitCode(err error) int {
	var usage usageError
	var damaged damagedError
	var csv *roster.CSVError
	var status *fleet.StatusError
	var op *net.OpError
	var refused = []error{centre.ErrKept, centre.ErrPassphrase, sealed.ErrNotRecipient, store.ErrConflict}
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.As(err, &csv):
		return exitUsage
	case errors.As(err, &damaged):
		return exitDamaged
	case errors.Is(err, store.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return exitMissing
	case errors.As(err, &status) && (status.Status == 401 || status.Status == 403):
		return exitRefused
	case errors.Is(err, centre.ErrNotServing), errors.As(err, &op):
		return exitNetwork
	}
	for _, r := range refused {
		if errors.Is(err, r) {
			return exitRefused
		}
	}
	return exitFailed
}

// command is one verb.
type command struct {
	name string // "seats add"
	args string // of the positional ones, for the help
	what string // one line
	long string // more, with examples
	run  func(ctx context.Context, c *call) error
	def  func(c *call) // defines flags beside the common ones
	min  int           // positional arguments
	max  int
}

// call is one run of a command.
type call struct {
	*program
	fs   *flag.FlagSet
	args []string

	dir     string
	auditor string
	json    bool
	v       values
}

func (p *program) commands() []command {
	all := []command{}
	for _, group := range [][]command{setupCommands(), seatCommands(), policyCommands(), serveCommands(), recordingCommands(), holdCommands()} {
		all = append(all, group...)
	}
	return all
}

func (p *program) run(ctx context.Context, args []string) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		p.help(p.out)
		if len(args) == 0 {
			return exitUsage
		}
		return exitOK
	}
	for _, cmd := range p.commands() {
		words := strings.Fields(cmd.name)
		if len(args) < len(words) || strings.Join(args[:len(words)], " ") != cmd.name {
			continue
		}
		return p.one(ctx, cmd, args[len(words):])
	}
	fmt.Fprintf(p.err, "deskfleet: unknown command %q\nTry: deskfleet help\n", strings.Join(args[:min(2, len(args))], " "))
	return exitUsage
}

func (p *program) one(ctx context.Context, cmd command, args []string) int {
	c := &call{program: p, fs: flag.NewFlagSet(cmd.name, flag.ContinueOnError)}
	c.fs.SetOutput(io.Discard)
	c.fs.BoolVar(&c.json, "json", false, "print JSON")
	if cmd.def != nil {
		cmd.def(c)
	}
	err := c.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		p.helpOne(cmd, c.fs)
		return exitOK
	}
	if err == nil && (len(c.args) < cmd.min || len(c.args) > cmd.max) {
		err = usagef("want: deskfleet %s %s", cmd.name, cmd.args)
	}
	if err == nil {
		err = cmd.run(ctx, c)
	}
	if err != nil {
		fmt.Fprintf(p.err, "deskfleet %s: %v\n", cmd.name, err)
		var u usageError
		if errors.As(err, &u) {
			fmt.Fprintf(p.err, "Try: deskfleet %s --help\n", cmd.name)
		}
	}
	return exitCode(err)
}

// parse takes flags before, between and behind the other arguments.
func (c *call) parse(args []string) error {
	for {
		if err := c.fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return err
			}
			return usageError{err}
		}
		rest := c.fs.Args()
		if len(rest) == 0 {
			return nil
		}
		if n := len(args) - len(rest); n > 0 && args[n-1] == "--" {
			c.args = append(c.args, rest...)
			return nil
		}
		c.args = append(c.args, rest[0])
		args = rest[1:]
	}
}

func (p *program) help(w io.Writer) {
	fmt.Fprint(w, "deskfleet is IT's side of deskset: a small centre for seats and their recordings.\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range p.commands() {
		fmt.Fprintf(t, "  deskfleet %s %s\t%s\n", c.name, c.args, c.what)
	}
	t.Flush()
	fmt.Fprint(w, `
A centre in five steps:
  deskfleet init --dir /srv/centre --name centre-1 --host centre.example
  deskfleet keys voice --out /media/stick          (on a machine that stays offline)
  deskfleet keys add /media/stick/voice.pub --dir /srv/centre
  deskfleet seats add S-0001 --dir /srv/centre --pbx-url wss://pbx.example:8089/ws --pbx-password-file pw
  deskfleet serve --dir /srv/centre --listen :8443

--dir may be left out where DESKFLEET_DIR is set. Every command knows --help and --json.
Exit codes: 0 done, 1 failed, 2 wrong command line or file, 3 not found, 4 not allowed,
5 damaged or not verified, 6 centre not reached.
`)
}

func (p *program) helpOne(cmd command, fs *flag.FlagSet) {
	fmt.Fprintf(p.out, "deskfleet %s %s\n\n%s.\n", cmd.name, cmd.args, strings.ToUpper(cmd.what[:1])+cmd.what[1:])
	if cmd.long != "" {
		fmt.Fprintf(p.out, "\n%s\n", strings.TrimSpace(cmd.long))
	}
	fmt.Fprintln(p.out, "\nFlags:")
	fs.VisitAll(func(f *flag.Flag) {
		def := ""
		if f.DefValue != "" && f.DefValue != "false" {
			def = " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(p.out, "  --%-22s %s%s\n", f.Name, f.Usage, def)
	})
}

// needDir defines --dir.
func needDir(c *call) {
	c.fs.StringVar(&c.dir, "dir", c.env("DESKFLEET_DIR"), "the centre's directory")
}

// orAuditor defines --dir and --auditor, of which one is needed.
func orAuditor(c *call) {
	needDir(c)
	c.fs.StringVar(&c.auditor, "auditor", "", "an auditor's file, to work over the network instead of --dir")
}

func (c *call) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// centre opens --dir.
func (c *call) centre() (*centre.Centre, error) {
	if c.dir == "" {
		return nil, usagef("--dir is needed (or DESKFLEET_DIR)")
	}
	return centre.Open(c.dir, c.now, c.logger())
}

// source is where an auditor's commands read.
func (c *call) source() (audit.Source, crypto.PublicKey, error) {
	if c.auditor == "" {
		x, err := c.centre()
		if err != nil {
			return nil, nil, err
		}
		return x.Audit(), x.Public(), nil
	}
	b, err := os.ReadFile(c.auditor)
	if err != nil {
		return nil, nil, err
	}
	a, err := authority.ParseBundle(b)
	if err != nil {
		return nil, nil, usageError{err}
	}
	key, err := fleet.ParseCentreKey([]byte(a.CentreKey))
	if err != nil {
		return nil, nil, err
	}
	cl, err := a.Client()
	if err != nil {
		return nil, nil, err
	}
	return audit.Remote{Client: cl}, key, nil
}

// print writes v as JSON with --json, else calls text.
func (c *call) print(v any, text func(w io.Writer)) error {
	if !c.json {
		t := tabwriter.NewWriter(plain{c.out}, 0, 0, 2, ' ', 0)
		text(t)
		return t.Flush()
	}
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// plain keeps control characters off a person's terminal: names and reasons
// come from callers and PBXs.
type plain struct{ w io.Writer }

func (p plain) Write(b []byte) (int, error) {
	safe := strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, string(b))
	_, err := io.WriteString(p.w, safe)
	return len(b), err
}

// oneLine is a value that may not look like two.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, s)
}

// secret reads a small file that holds one line, "-" for standard input.
func (c *call) secret(path string) (string, error) {
	var b []byte
	var err error
	if path == "-" {
		b, err = io.ReadAll(io.LimitReader(c.in, 4096))
	} else {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return "", err
	}
	s := strings.TrimRight(string(b), "\r\n")
	if s == "" || len(s) > 1024 || strings.ContainsAny(s, "\r\n") {
		return "", usagef("%s: want one line with the secret", path)
	}
	return s, nil
}
