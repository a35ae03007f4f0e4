package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"deskset/cmd/desksim/kills"
	"deskset/cmd/desksim/rig"

	"github.com/schollz/progressbar/v3"
)

// killsVerb is `desksim kills N`.
func killsVerb(ctx context.Context, args []string) (err error) {
	fs := flag.NewFlagSet("desksim kills", flag.ContinueOnError)
	o := kills.Options{}
	fs.IntVar(&o.Seats, "seats", 6, "`number` of seats killed in parallel")
	fs.Uint64Var(&o.Seed, "seed", rand.Uint64()>>12, "of the random moments")
	quiet := fs.Bool("json", false, "print the JSON line only")
	fs.StringVar(&o.Dir, "dir", "", "keep state and logs in this `directory`; empty: a new one, removed when all is well")
	verbose := fs.Bool("verbose", false, "log what PBX and phones do")
	rest, err := interspersed(fs, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return fmt.Errorf("%w: desksim kills N", errUsage)
	}
	if o.Kills, err = strconv.Atoi(rest[0]); err != nil || o.Kills < 1 || o.Seats < 1 {
		return fmt.Errorf("%w: %q is no number of kills", errUsage, rest[0])
	}
	o.Seats = min(o.Seats, o.Kills)
	if o.Bin, err = rig.Bin(); err != nil {
		return err
	}
	keep := o.Dir != ""
	if o.Dir, err = workDir(o.Dir, "desksim-kills-"); err != nil {
		return err
	}
	level := slog.LevelError + 1
	if *verbose {
		level = slog.LevelInfo
	}
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	if !*quiet {
		bar := progressbar.NewOptions(o.Kills, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription("kills"),
			progressbar.OptionSetPredictTime(true), progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("kills"),
			progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish())
		o.Done = func() { _ = bar.Add(1) }
	}
	rep, err := kills.Run(ctx, o)
	if err != nil {
		rep.OK = false
		rep.Faults = append(rep.Faults, err.Error())
	}
	if !*quiet {
		killsSummary(rep)
	}
	line, merr := json.Marshal(rep)
	if merr != nil {
		return merr
	}
	fmt.Println(string(line))
	if !rep.OK {
		fmt.Fprintln(os.Stderr, "state and logs are in", o.Dir)
		return errors.New(strings.Join(rep.Faults, "\n"))
	}
	if keep {
		return nil
	}
	return os.RemoveAll(o.Dir)
}

func killsSummary(r kills.Report) {
	fmt.Fprintf(os.Stderr, `%d kills of %d seats in %.1f s (%.2f s a kill), seed %d
  %d in a call, %d right after one; a seat answers again after %d ms (median; %d at most)
  %d recordings delivered, %d of them recovered; %d segments that were on the disk are all there
  lost of a call's end: %d ms (median; %d at most); %d recordings opened with the offline key
`, r.Kills, r.Seats, float64(r.Ms)/1000, float64(r.Ms)/1000/float64(max(1, r.Kills)), r.Seed, r.InCall, r.AfterCall, r.MedianBack, r.MaxBack,
		r.Recordings, r.Recovered, r.Segments, r.MedianLost, r.MaxLost, r.Exported)
	for _, f := range r.Faults {
		fmt.Fprintln(os.Stderr, "FAULT:", f)
	}
}
