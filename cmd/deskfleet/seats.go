package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"deskset/firmware/centre/roster"
)

func seatCommands() []command {
	life := func(c *call) {
		needDir(c)
		c.fs.DurationVar(&c.v.life, "token-life", 24*time.Hour, "how long the enrolment token is good")
	}
	return []command{
		{name: "seats add", args: "NAME", min: 1, max: 1, what: "add a seat and make its one-time enrolment token", long: `
Example:
  deskfleet seats add S-0001 --pbx-url wss://pbx.example:8089/ws --pbx-user 8001 --pbx-password-file pw
The token is shown once; on the seat: deskset enrol --token TOKEN`,
			run: runSeatsAdd, def: func(c *call) {
				life(c)
				c.fs.StringVar(&c.v.pbxURL, "pbx-url", "", "wss://host:port/path; default: pbx.url of centre.toml")
				c.fs.StringVar(&c.v.pbxDomain, "pbx-domain", "", "SIP domain; default: the host of --pbx-url")
				c.fs.StringVar(&c.v.pbxUser, "pbx-user", "", "SIP user; default: the seat's name")
				c.fs.StringVar(&c.v.pbxAuth, "pbx-auth", "", "digest user name, if it is not the SIP user")
				c.fs.StringVar(&c.v.pbxPass, "pbx-password-file", "", "file with the SIP password, \"-\" for standard input")
				c.fs.StringVar(&c.v.pbxCA, "pbx-ca", "", "PEM file with the PBX's CA; default: the centre's CA")
				c.fs.StringVar(&c.v.agents, "agents", "", "agent numbers that may sign in there, with commas")
			}},
		{name: "seats import", args: "FILE.csv", min: 1, max: 1, what: "add many seats", long: `
The first line names the columns: ` + strings.Join(roster.Columns, ",") + `
(only seat must be there; agents are separated by blanks). Either every line is
good, or nothing is added and the first mistake is named.
Example:
  deskfleet seats import seats.csv --dir /srv/centre --json > tokens.json`,
			run: runSeatsImport, def: life},
		{name: "seats list", what: "list the seats", run: runSeatsList, def: needDir},
		{name: "seats token", args: "NAME", min: 1, max: 1, what: "make a new enrolment token; earlier ones end", run: runSeatsToken, def: life},
		{name: "seats revoke", args: "NAME", min: 1, max: 1, what: "end a seat's access for good; its recordings stay", run: runSeatsRevoke, def: needDir},
	}
}

func (c *call) added(all []roster.Added) error {
	return c.print(all, func(w io.Writer) {
		fmt.Fprintln(w, "SEAT\tTOKEN (shown once)\tGOOD UNTIL")
		for _, a := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\n", a.Seat, a.Token, a.Expires.Local().Format(time.RFC3339))
		}
	})
}

func runSeatsAdd(ctx context.Context, c *call) error {
	x, err := c.centre()
	if err != nil {
		return err
	}
	n := roster.New{
		Name: c.args[0], URL: c.v.pbxURL, Domain: c.v.pbxDomain, User: c.v.pbxUser, Auth: c.v.pbxAuth,
		Agents: split(c.v.agents),
	}
	if c.v.pbxPass != "" {
		if n.Password, err = c.secret(c.v.pbxPass); err != nil {
			return err
		}
	}
	if c.v.pbxCA != "" {
		b, err := os.ReadFile(c.v.pbxCA)
		if err != nil {
			return err
		}
		n.CA = string(b)
	}
	a, err := x.Roster.Add(ctx, n, c.v.life)
	if err != nil {
		return usageError{err}
	}
	if c.json {
		return c.print(a, nil)
	}
	return c.added([]roster.Added{a})
}

// split reads a list with commas; an empty text is no list.
func split(s string) []string {
	out := []string{}
	for _, x := range strings.Split(s, ",") {
		if x = strings.TrimSpace(x); x != "" {
			out = append(out, x)
		}
	}
	return out
}

func runSeatsImport(ctx context.Context, c *call) error {
	x, err := c.centre()
	if err != nil {
		return err
	}
	b, err := os.ReadFile(c.args[0])
	if err != nil {
		return err
	}
	seats, err := roster.ParseCSV(b)
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[0], err)
	}
	all, err := x.Roster.Import(ctx, seats, c.v.life)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", c.args[0], err)}
	}
	return c.added(all)
}

// seatLine is what a list shows; no secret is in it.
type seatLine struct {
	Seat     string    `json:"seat"`
	PBX      string    `json:"pbx"`
	User     string    `json:"user"`
	State    string    `json:"state"` // "new", "enrolled", "revoked"
	Enrolled time.Time `json:"enrolled,omitzero"`
	NotAfter time.Time `json:"certificate_until,omitzero"`
	Policy   uint64    `json:"policy_version"`
}

func runSeatsList(ctx context.Context, c *call) error {
	x, err := c.centre()
	if err != nil {
		return err
	}
	seats, err := x.Seats.Seats(ctx)
	if err != nil {
		return err
	}
	lines := []seatLine{}
	for _, s := range seats {
		l := seatLine{Seat: s.Name, State: "new", Policy: s.PolicyVersion}
		if len(s.PBX) > 0 {
			l.PBX, l.User = s.PBX[0].URL, s.PBX[0].User
		}
		if n := len(s.Certs); n > 0 {
			l.State, l.Enrolled, l.NotAfter = "enrolled", s.Certs[n-1].Issued, s.Certs[n-1].NotAfter
		}
		if s.Revoked {
			l.State = "revoked"
		}
		lines = append(lines, l)
	}
	return c.print(lines, func(w io.Writer) {
		fmt.Fprintln(w, "SEAT\tSTATE\tPBX\tUSER\tPOLICY\tCERTIFICATE UNTIL")
		for _, l := range lines {
			until := "-"
			if !l.NotAfter.IsZero() {
				until = l.NotAfter.Local().Format(time.DateOnly)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", l.Seat, l.State, l.PBX, l.User, l.Policy, until)
		}
	})
}

func runSeatsToken(ctx context.Context, c *call) error {
	x, err := c.centre()
	if err != nil {
		return err
	}
	a, err := x.Roster.Token(ctx, c.args[0], c.v.life)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(a, nil)
	}
	return c.added([]roster.Added{a})
}

func runSeatsRevoke(ctx context.Context, c *call) error {
	x, err := c.centre()
	if err != nil {
		return err
	}
	if err := x.Roster.Revoke(ctx, c.args[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"revoked": c.args[0]}, func(w io.Writer) {
		fmt.Fprintf(w, "Seat %s is revoked: its connection ends within seconds.\n", c.args[0])
	})
}
