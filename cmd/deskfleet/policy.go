package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"deskset/firmware/centre"
	"deskset/firmware/centre/roster"
	"deskset/firmware/fleet"
)

func policyCommands() []command {
	return []command{
		{name: "policy show", args: "SEAT", min: 1, max: 1, what: "show a seat's policy as it stands, without its secrets", run: runPolicyShow, def: needDir},
		{name: "policy set", what: "change dial lists, agents and the like, for all seats or one", long: `
Examples:
  deskfleet policy set --emergency 110,119,120 --internal 8001,8002,*97
  deskfleet policy set --seat S-0001 --agents 7041,7042
  deskfleet policy set --blind-transfer yes --pbx-url wss://pbx.example:8089/ws
An empty list empties it. With --seat only agents and dial settings can be set; a
seat's own dial settings stand instead of the centre's. Everything is in
centre.toml too. A serving centre brings the new policy to the seats at once.`,
			run: runPolicySet, def: func(c *call) {
				needDir(c)
				c.fs.StringVar(&c.v.seat, "seat", "", "for this seat only")
				c.fs.StringVar(&c.v.agents, "agents", "", "agent numbers that may sign in, with commas; empty: any")
				c.fs.StringVar(&c.v.emergency, "emergency", "", "numbers that may always be dialled, with commas")
				c.fs.StringVar(&c.v.internal, "internal", "", "extensions and feature codes that may be dialled, with commas")
				c.fs.StringVar(&c.v.blind, "blind-transfer", "", "yes or no")
				c.fs.StringVar(&c.v.basis, "basis", "", "why recordings are kept: centre-policy or consent")
				c.fs.StringVar(&c.v.pbxURL, "pbx-url", "", "default PBX of seats added later")
				c.fs.StringVar(&c.v.pbxDomain, "pbx-domain", "", "its SIP domain")
			}},
	}
}

func runPolicyShow(ctx context.Context, c *call) error {
	x, err := c.centre()
	if err != nil {
		return err
	}
	p, err := x.Roster.Shown(ctx, c.args[0])
	if err != nil {
		return err
	}
	return c.print(p, func(w io.Writer) {
		fmt.Fprintf(w, "seat\t%s\nversion\t%d, of %s\n", p.Seat, p.Version, p.Issued.Local().Format("2006-01-02 15:04:05"))
		for _, b := range p.PBX {
			fmt.Fprintf(w, "PBX\t%s, user %s at %s\n", b.URL, b.User, b.Domain)
		}
		fmt.Fprintf(w, "agents\t%s\n", orAny(p.Agents))
		fmt.Fprintf(w, "emergency\t%s\ninternal\t%s\nblind transfer\t%s\n", strings.Join(p.Dial.Emergency, " "), strings.Join(p.Dial.Internal, " "), yesNo(p.Dial.BlindTransfer))
		fmt.Fprintf(w, "recording\t%s, basis %s\n", yesNo(p.Recording.Enabled), p.Recording.Basis)
		for _, r := range p.Recording.Facts {
			fmt.Fprintf(w, "facts sealed to\t%s\n", r.ID)
		}
		for _, r := range p.Recording.Voice {
			fmt.Fprintf(w, "voice sealed to\t%s\n", r.ID)
		}
		fmt.Fprintf(w, "seat's own copy\t%d days after the receipt, %d when its disk is short\n", p.Retention.GraceDays, p.Retention.ShortGraceDays)
	})
}

func orAny(l []string) string {
	if len(l) == 0 {
		return "any"
	}
	return strings.Join(l, " ")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func parseYesNo(s string) (bool, error) {
	switch s {
	case "yes":
		return true, nil
	case "no":
		return false, nil
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, usagef("%q: want yes or no", s)
	}
	return b, nil
}

func runPolicySet(ctx context.Context, c *call) error {
	x, err := c.centre()
	if err != nil {
		return err
	}
	given := map[string]bool{}
	c.fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	f, err := x.Settings()
	if err != nil {
		return usageError{err}
	}
	if c.v.seat != "" {
		if given["basis"] || given["pbx-url"] || given["pbx-domain"] {
			return usagef("--basis, --pbx-url and --pbx-domain are the whole centre's: leave --seat out")
		}
		s, err := x.Seats.Seat(ctx, c.v.seat)
		if err != nil {
			return err
		}
		var own roster.Own
		if given["agents"] {
			a := split(c.v.agents)
			own.Agents = &a
		}
		if given["emergency"] || given["internal"] || given["blind-transfer"] {
			d := fleet.Dial{Emergency: f.Dial.Emergency, Internal: f.Dial.Internal, BlindTransfer: f.Dial.BlindTransfer}
			if s.Dial != nil {
				d = *s.Dial
			}
			if err := c.dial(given, &d); err != nil {
				return err
			}
			own.Dial = &d
		}
		if err := x.Roster.Set(ctx, c.v.seat, own); err != nil {
			return usageError{err}
		}
		return c.done("policy of " + c.v.seat + " changed")
	}
	d := fleet.Dial{Emergency: f.Dial.Emergency, Internal: f.Dial.Internal, BlindTransfer: f.Dial.BlindTransfer}
	if err := c.dial(given, &d); err != nil {
		return err
	}
	f.Dial.Emergency, f.Dial.Internal, f.Dial.BlindTransfer = d.Emergency, d.Internal, d.BlindTransfer
	if given["agents"] {
		f.Agents = split(c.v.agents)
	}
	if given["basis"] {
		f.Recording.Basis = c.v.basis
	}
	if given["pbx-url"] {
		f.PBX.URL = c.v.pbxURL
	}
	if given["pbx-domain"] {
		f.PBX.Domain = c.v.pbxDomain
	}
	if err := centre.WriteSettings(c.dir, f); err != nil {
		return usageError{err}
	}
	return c.done("centre.toml changed")
}

func (c *call) dial(given map[string]bool, d *fleet.Dial) (err error) {
	if given["emergency"] {
		d.Emergency = split(c.v.emergency)
	}
	if given["internal"] {
		d.Internal = split(c.v.internal)
	}
	if given["blind-transfer"] {
		d.BlindTransfer, err = parseYesNo(c.v.blind)
	}
	return err
}

func (c *call) done(text string) error {
	return c.print(map[string]string{"done": text}, func(w io.Writer) { fmt.Fprintln(w, text) })
}
