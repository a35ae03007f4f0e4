package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"deskset/firmware/config"
	"deskset/firmware/console"
	"deskset/firmware/control"
	"deskset/firmware/panel"
	"deskset/firmware/seat"
)

// reach adds --config to a verb and gives the client of the seat it names.
func reach(fl *flag.FlagSet) func() (*control.Client, error) {
	path := fl.String("config", defaultConfig, "the running seat's configuration `file`")
	return func() (*control.Client, error) {
		f, err := config.Load(*path)
		if errors.Is(err, fs.ErrNotExist) && *path == defaultConfig {
			f, err = config.Default(), nil
		}
		if err != nil {
			return nil, err
		}
		return control.Dial(f.RunDir), nil
	}
}

func statusVerb(ctx context.Context, std stdio, args []string) error {
	fl := flags(std, "status")
	client := reach(fl)
	asJSON := fl.Bool("json", false, "print JSON")
	if err := parse(fl, args, 0); err != nil {
		return err
	}
	c, err := client()
	if err != nil {
		return err
	}
	v, err := c.View(ctx)
	if err != nil {
		return err
	}
	if *asJSON {
		enc := json.NewEncoder(std.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	printStatus(std, v)
	return nil
}

func printStatus(std stdio, v panel.View) {
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	yes := func(ok bool) string {
		if ok {
			return "up"
		}
		return "DOWN"
	}
	fmt.Fprintf(w, "seat\t%s\t%s\n", v.Seat, v.Firmware)
	fmt.Fprintf(w, "state\t%s\tfor %s\n", v.State, time.Since(v.Since).Round(time.Second))
	if v.Pending != "" {
		fmt.Fprintf(w, "asked\t%s\tnot confirmed yet\n", v.Pending)
	}
	if v.Agent == "" {
		fmt.Fprintf(w, "agent\tnobody\t\n")
	} else {
		fmt.Fprintf(w, "agent\t%s\t\n", v.Agent)
	}
	fmt.Fprintf(w, "PBX\t%s\t%s\n", yes(v.Links.PBX), v.Links.PBXErr)
	fmt.Fprintf(w, "centre\t%s\t\n", yes(v.Links.Centre))
	fmt.Fprintf(w, "headset\t%s\tvolume %+d dB\n", yes(v.Headset.Present), v.Headset.Volume)
	for _, c := range v.Calls {
		fmt.Fprintf(w, "call\t%s\t%s, %s\n", c.Direction, c.Phase, time.Since(c.Began).Round(time.Second))
	}
	rec := "off"
	switch {
	case v.Rec.Failed != "":
		rec = "FAILED: " + v.Rec.Failed
	case v.Rec.Paused:
		rec = "paused"
	case v.Rec.On:
		rec = "on"
	}
	fmt.Fprintf(w, "recording\t%s\t\n", rec)
	for _, h := range v.Health {
		if !h.OK {
			fmt.Fprintf(w, "TROUBLE\t%s\t%s\n", h.Part, h.Text)
		}
	}
}

func eventsVerb(ctx context.Context, std stdio, args []string) error {
	fl := flags(std, "events")
	client := reach(fl)
	follow := fl.Bool("follow", false, "go on until interrupted")
	asJSON := fl.Bool("json", false, "print a JSON object a line")
	after := fl.Uint64("after", 0, "only events behind this `number`")
	if err := parse(fl, args, 0); err != nil {
		return err
	}
	c, err := client()
	if err != nil {
		return err
	}
	enc := json.NewEncoder(std.out)
	return c.Events(ctx, *after, *follow, func(e seat.Event) error {
		if *asJSON {
			return enc.Encode(e)
		}
		_, err := fmt.Fprintf(std.out, "%6d  %s  %-8s %s\n", e.Seq, e.At.Format("15:04:05.000"), e.Part, e.Text)
		return err
	})
}

func bundleVerb(ctx context.Context, std stdio, args []string) error {
	fl := flags(std, "support-bundle")
	client := reach(fl)
	out := fl.String("out", "", "write to this `file`, 0600; empty: standard output")
	if err := parse(fl, args, 0); err != nil {
		return err
	}
	c, err := client()
	if err != nil {
		return err
	}
	b, err := c.Bundle(ctx)
	if err != nil {
		return err
	}
	if *out == "" {
		_, err = std.out.Write(b)
		return err
	}
	if err := os.WriteFile(*out, b, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(std.err, "wrote %s (%d bytes): no number, name or key is in it\n", *out, len(b))
	return nil
}

// askVerb sends one action, for scripts and for a technician without a page.
func askVerb(ctx context.Context, std stdio, args []string) error {
	fl := flags(std, "ask")
	client := reach(fl)
	if err := parse(fl, args, -1); err != nil {
		return err
	}
	if fl.NArg() == 0 {
		return fmt.Errorf("%w: name an action, one of %v", errUsage, console.Kinds)
	}
	m := map[string]any{"kind": fl.Arg(0)}
	for _, a := range fl.Args()[1:] {
		k, v, ok := strings.Cut(a, "=")
		if !ok {
			return fmt.Errorf("%w: %q is not of the form NAME=VALUE", errUsage, a)
		}
		switch k {
		case "held":
			m[k] = v == "true"
		case "db":
			var n int
			if _, err := fmt.Sscan(v, &n); err != nil {
				return fmt.Errorf("%w: db wants a whole number", errUsage)
			}
			m[k] = n
		default:
			m[k] = v
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	a, err := console.ParseAction(b)
	if err != nil {
		return fmt.Errorf("%w: %v", errUsage, err)
	}
	c, err := client()
	if err != nil {
		return err
	}
	return c.Do(ctx, a)
}
