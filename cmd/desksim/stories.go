package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"deskset/cmd/desksim/rig"
	"deskset/cmd/desksim/story"
)

var errUsage = errors.New("usage")

// storyVerb is `desksim story list|run`.
func storyVerb(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: desksim story list, or desksim story run NAME|all", errUsage)
	}
	switch args[0] {
	case "list":
		return storyList(os.Stdout)
	case "run":
		return storyRun(ctx, args[1:])
	default:
		return fmt.Errorf("%w: what is %q? There is: story list, story run", errUsage, args[0])
	}
}

func storyList(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range story.All() {
		note := ""
		if s.Only != "" {
			note = " (PBX " + s.Only + " only)"
		}
		if s.Root {
			note += " (as root)"
		}
		fmt.Fprintf(w, "%s\t%s%s\n", s.Name, s.What, note)
	}
	return w.Flush()
}

// asteriskRoot is where scripts/asterisk makes the chroot.
func asteriskRoot() string {
	if dir := os.Getenv("DESKSET_ASTERISK"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "deskset", "asterisk")
}

// storyReport is the last line of `story run`.
type storyReport struct {
	OK      bool            `json:"ok"`
	Stories []story.Outcome `json:"stories"`
	Ms      int64           `json:"ms"`
}

func storyRun(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("desksim story run", flag.ContinueOnError)
	pbx := fs.String("pbx", "both", "`small`, asterisk or both")
	asterisk := fs.String("asterisk", asteriskRoot(), "`directory` of the Asterisk chroot")
	dir := fs.String("dir", "", "keep state and logs in this `directory`; empty: a new one, removed when all is well")
	quiet := fs.Bool("json", false, "print the JSON line only")
	verbose := fs.Bool("verbose", false, "log what PBX and phones do")
	names, err := interspersed(fs, args)
	if err != nil {
		return err
	}
	stories, err := chosen(names)
	if err != nil {
		return err
	}
	kinds := map[string][]string{"small": {"small"}, "asterisk": {"asterisk"}, "both": {"small", "asterisk"}}[*pbx]
	if kinds == nil {
		return fmt.Errorf("%w: --pbx %q: use small, asterisk or both", errUsage, *pbx)
	}
	bin, err := rig.Bin()
	if err != nil {
		return err
	}
	keep := *dir != ""
	if *dir, err = workDir(*dir, "desksim-story-"); err != nil {
		return err
	}
	level := slog.LevelError + 1
	if *verbose {
		level = slog.LevelInfo
	}
	say := func(f string, a ...any) {
		if !*quiet {
			fmt.Fprintf(os.Stderr, f+"\n", a...)
		}
	}
	report := storyReport{OK: true, Stories: []story.Outcome{}}
	began := time.Now()
	var errs []error
	for _, kind := range kinds {
		suite := story.Suite{Say: say, Keep: keep, Opt: rig.Options{
			Dir: *dir, Bin: bin, PBX: kind, Asterisk: *asterisk, Headset: "pulse",
			Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
		}}
		for _, s := range stories {
			if ctx.Err() != nil {
				errs = append(errs, ctx.Err())
				break
			}
			say("%s (%s): %s", s.Name, kind, s.What)
			o := suite.Tell(ctx, s)
			if o.Logs != "" {
				say("  logs are in %s", o.Logs)
			}
			report.Stories = append(report.Stories, o)
			report.OK = report.OK && o.OK
		}
		errs = append(errs, suite.Close())
	}
	report.Ms = time.Since(began).Milliseconds()
	err = errors.Join(errs...)
	report.OK = report.OK && err == nil
	if !*quiet {
		storyTable(os.Stderr, report)
	}
	line, merr := json.Marshal(report)
	if merr != nil {
		return merr
	}
	fmt.Println(string(line))
	if err != nil || !report.OK {
		return errors.Join(err, failed(report))
	}
	if keep {
		return nil
	}
	return os.RemoveAll(*dir)
}

// workDir is the directory that was asked for, made if need be, or a new one.
func workDir(dir, prefix string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", prefix)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// failed names the stories that did not hold.
func failed(r storyReport) error {
	var names []string
	for _, o := range r.Stories {
		if !o.OK {
			names = append(names, o.Name+" ("+o.PBX+")")
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("did not hold: %s", strings.Join(names, ", "))
}

func storyTable(out io.Writer, r storyReport) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STORY\tPBX\tSECONDS\tRESULT")
	for _, o := range r.Stories {
		result := "ok"
		switch {
		case o.Skipped != "":
			result = "skipped: " + o.Skipped
		case !o.OK:
			result = "FAILED: " + o.Error
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f\t%s\n", o.Name, o.PBX, float64(o.Ms)/1000, result)
	}
	_ = w.Flush()
}

// chosen are the named stories; "all" or nothing is all.
func chosen(names []string) (out []story.Story, err error) {
	if len(names) == 0 || len(names) == 1 && names[0] == "all" {
		return story.All(), nil
	}
	for _, n := range names {
		s, ok := story.Find(n)
		if !ok {
			return nil, fmt.Errorf("%w: there is no story %q; see desksim story list", errUsage, n)
		}
		out = append(out, s)
	}
	return out, nil
}

// interspersed parses flags that may stand behind arguments too.
func interspersed(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, fmt.Errorf("%w: %v", errUsage, err)
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}
