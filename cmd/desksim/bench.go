package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"

	"deskset/cmd/desksim/bench"
	"deskset/cmd/desksim/rig"
)

// benchVerb is `desksim bench NAME`; scripts/bench calls it.
func benchVerb(ctx context.Context, args []string) (err error) {
	fs := flag.NewFlagSet("desksim bench", flag.ContinueOnError)
	o := bench.Options{Say: func(f string, a ...any) { fmt.Fprintf(os.Stderr, f+"\n", a...) }}
	asJSON := fs.Bool("json", false, "the last line is the report as JSON")
	list := fs.Bool("list", false, "name the benchmarks")
	keep := fs.Bool("keep", false, "keep state and logs")
	fs.StringVar(&o.Asterisk, "asterisk", os.Getenv("DESKSET_ASTERISK"), "`directory` of the Asterisk chroot")
	fs.IntVar(&o.Runs, "runs", 0, "of each side; 0: 2")
	fs.DurationVar(&o.Length, "length", 0, "of what is measured in a run; 0: 20 s")
	names, err := interspersed(fs, args)
	if err != nil {
		return err
	}
	if *list {
		for _, b := range bench.All() {
			fmt.Printf("%-8s %s\n", b.Name, b.What)
		}
		return nil
	}
	if len(names) != 1 {
		return fmt.Errorf("%w: desksim bench NAME; desksim bench --list names them", errUsage)
	}
	if o.Bin, err = rig.Bin(); err != nil {
		return err
	}
	if o.Dir, err = os.MkdirTemp("", "desksim-bench-"); err != nil {
		return err
	}
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	r, err := bench.Run(ctx, names[0], o)
	if err != nil {
		return fmt.Errorf("%w (logs are in %s)", err, o.Dir)
	}
	if !*keep {
		defer os.RemoveAll(o.Dir)
	}
	out := os.Stdout
	if *asJSON {
		out = os.Stderr
	}
	if err := r.Print(out); err != nil || !*asJSON {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
