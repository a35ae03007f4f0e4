// Command deskset is the firmware of a call-centre seat: it runs the seat, and
// its other verbs look at and speak to the one that runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"deskset/board"
	"deskset/firmware/config"
	"deskset/firmware/console"
	"deskset/firmware/control"
)

// version is set by the linker.
var version = "dev"

// Exit codes, one a kind.
const (
	exitOK      = 0
	exitFailed  = 1 // it was tried and did not work
	exitUsage   = 2 // wrong flags or a wrong configuration
	exitAbsent  = 3 // no deskset is running
	exitRefused = 4 // the seat or the centre said no
)

const defaultConfig = "/etc/deskset/deskset.toml"

// verb is one thing the program can do.
type verb struct {
	name, args, does, example string
	run                       func(ctx context.Context, io stdio, args []string) error
}

type stdio struct{ out, err io.Writer }

func verbs() []verb {
	return []verb{
		{"run", "--config FILE", "run the seat until SIGTERM", "deskset run --config /etc/deskset/deskset.toml", runVerb},
		{"check", "FILE", "check a configuration and print the effective file", "deskset check deskset.toml", checkVerb},
		{"status", "[--json]", "what the running seat is doing", "deskset status --json | jq .state", statusVerb},
		{"events", "[--follow] [--json]", "what has happened at the seat", "deskset events --follow", eventsVerb},
		{"ask", "ACTION [NAME=VALUE ...]", "ask the running seat for one thing, as the page can", "deskset ask sign-in agent=7041", askVerb},
		{"devices", "[--json]", "sound cards, serial ports, GPIO chips and headsets, with the ids for the file", "deskset devices", devicesVerb},
		{"enrol", "--token T", "make the seat's key and get its certificate and policy from the centre", "deskset enrol --config deskset.toml --token 7F3K-...", enrolVerb},
		{"support-bundle", "[--out FILE]", "collect what a technician needs; holds no personal data", "deskset support-bundle --out seat.json", bundleVerb},
		{"version", "", "print the version", "deskset version", versionVerb},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, stdio{os.Stdout, os.Stderr}, os.Args[1:]))
}

// run is main without the process; it returns the exit code.
func run(ctx context.Context, std stdio, args []string) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(std.out)
		if len(args) == 0 {
			return exitUsage
		}
		return exitOK
	}
	for _, v := range verbs() {
		if v.name != args[0] {
			continue
		}
		err := v.run(ctx, std, args[1:])
		return exitCode(std, v, err)
	}
	fmt.Fprintf(std.err, "deskset: unknown verb %q\n\n", args[0])
	usage(std.err)
	return exitUsage
}

// errUsage marks a mistake in the command line.
var errUsage = errors.New("usage")

func exitCode(std stdio, v verb, err error) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	fmt.Fprintf(std.err, "deskset %s: %v\n", v.name, err)
	var bad *config.Error
	var refused *console.Error
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintf(std.err, "usage: deskset %s %s\n", v.name, v.args)
		return exitUsage
	case errors.As(err, &bad):
		return exitUsage
	case errors.Is(err, control.ErrNotRunning):
		return exitAbsent
	case errors.As(err, &refused), errors.Is(err, errRefused):
		return exitRefused
	default:
		return exitFailed
	}
}

func usage(w io.Writer) {
	fmt.Fprintf(w, "deskset %s: a call-centre seat\n\n", version)
	for _, v := range verbs() {
		fmt.Fprintf(w, "  deskset %-15s %-24s %s\n", v.name, v.args, v.does)
	}
	fmt.Fprintln(w, "\n  deskset VERB --help tells more.")
	fmt.Fprintln(w, "\nexit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no seat is running, 4 refused")
}

// flags makes a flag set whose help shows an example.
func flags(std stdio, name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(std.err)
	fs.Usage = func() {
		for _, v := range verbs() {
			if v.name == name {
				fmt.Fprintf(std.err, "deskset %s %s\n\n%s\n\nexample: %s\n\n", v.name, v.args, v.does, v.example)
			}
		}
		fs.PrintDefaults()
	}
	return fs
}

func parse(fs *flag.FlagSet, args []string, n int) error {
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %v", errUsage, err)
	}
	if n >= 0 && fs.NArg() != n {
		return fmt.Errorf("%w: %d arguments, want %d", errUsage, fs.NArg(), n)
	}
	return nil
}

func versionVerb(_ context.Context, std stdio, args []string) error {
	fs := flags(std, "version")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	fmt.Fprintln(std.out, "deskset", version)
	return nil
}

// loadConfig reads a file and checks what config cannot: that the board is one
// of this firmware's.
func loadConfig(path string) (config.File, error) {
	f, err := config.Load(path)
	if err != nil || f.Board == "virtual" {
		return f, err
	}
	if _, err := board.Find(f.Board); err != nil {
		return f, config.Fault(path, "board", err.Error())
	}
	return f, nil
}

func checkVerb(_ context.Context, std stdio, args []string) error {
	fs := flags(std, "check")
	brief := fs.Usage
	fs.Usage = func() {
		brief()
		if text, err := config.Default().Text(); err == nil {
			fmt.Fprintf(std.err, "What a file may hold, with the defaults:\n\n%s", text)
		}
	}
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	f, err := loadConfig(fs.Arg(0))
	if err != nil {
		return err
	}
	text, err := f.Text()
	if err != nil {
		return err
	}
	_, err = std.out.Write(text)
	return err
}
