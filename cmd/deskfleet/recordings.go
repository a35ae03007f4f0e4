package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"deskset/firmware/centre/audit"
	"deskset/firmware/centre/store"
	"deskset/firmware/centre/vcon"
	"deskset/firmware/vault/sealed"

	"github.com/schollz/progressbar/v3"
)

func recordingCommands() []command {
	filter := func(c *call) {
		orAuditor(c)
		c.fs.StringVar(&c.v.seat, "seat", "", "of this seat only")
		c.fs.StringVar(&c.v.agent, "agent", "", "of this agent only")
		c.fs.StringVar(&c.v.number, "number", "", "with this number as either party")
		c.fs.StringVar(&c.v.from, "from", "", "received at or after this day or RFC 3339 time")
		c.fs.StringVar(&c.v.to, "to", "", "received before this day or time")
	}
	return []command{
		{name: "recordings list", what: "list recordings", long: `
Examples:
  deskfleet recordings list --dir /srv/centre --from 2026-11-01
  deskfleet recordings list --auditor li.json --number +8613900001234 --json`, run: runList, def: filter},
		{name: "recordings show", args: "ID", min: 1, max: 1, what: "show all that is known of a call", run: runShow, def: func(c *call) {
			orAuditor(c)
			c.fs.BoolVar(&c.v.vcon, "vcon", false, "print the verified vCon itself")
		}},
		{name: "recordings export", args: "ID...", min: 1, max: 1000, what: "fetch sealed recordings and open them here with an offline voice key", long: `
Example:
  deskfleet recordings export 0f8f... --auditor li.json --key primary.key --out .
writes ID.ogg, ID.wav (left: agent, right: customer) and ID.vcon.json. The key
never leaves this machine. Damaged segments are named and passed over (exit code 5).`,
			run: runExport, def: func(c *call) {
				orAuditor(c)
				c.fs.StringVar(&c.v.key, "key", "", "an offline voice key, e.g. primary.key")
				c.fs.StringVar(&c.v.out, "out", ".", "directory to write to")
			}},
		{name: "recordings verify", what: "check every signature, hash and number", run: runVerify, def: filter},
		{name: "recordings delete", args: "ID", min: 1, max: 1, what: "erase a recording whose retention is over", long: `
Refused before the date in the receipt, and under a legal hold. It is logged;
manifest and receipt, which name nobody, stay.`, run: runDelete, def: func(c *call) {
			needDir(c)
			c.fs.StringVar(&c.v.by, "by", "", "who does it")
			c.fs.StringVar(&c.v.reason, "reason", "retention is over", "why")
			c.fs.BoolVar(&c.v.sure, "clock-is-right", false, "this machine's clock was checked")
		}},
	}
}

func holdCommands() []command {
	who := func(c *call) {
		needDir(c)
		c.fs.StringVar(&c.v.name, "name", "", "of the matter, e.g. case-2026-117")
		c.fs.StringVar(&c.v.reason, "reason", "", "why")
		c.fs.StringVar(&c.v.by, "by", "", "who says so")
	}
	return []command{
		{name: "holds add", args: "ID", min: 1, max: 1, what: "keep a recording from deletion, here and on its seat", run: holdRun(true), def: who},
		{name: "holds release", args: "ID", min: 1, max: 1, what: "end a legal hold", run: holdRun(false), def: who},
		{name: "holds list", what: "list legal holds", run: runHoldsList, def: needDir},
	}
}

func (c *call) filter() (f audit.Filter, err error) {
	f = audit.Filter{Seat: c.v.seat, Agent: c.v.agent, Number: c.v.number}
	for _, x := range []struct {
		text string
		into *time.Time
	}{{c.v.from, &f.From}, {c.v.to, &f.To}} {
		if x.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, x.text)
		if err != nil {
			t, err = time.ParseInLocation(time.DateOnly, x.text, time.Local)
		}
		if err != nil {
			return f, usagef("time %q: want 2026-11-21 or 2026-11-21T09:00:00+08:00", x.text)
		}
		*x.into = t
	}
	return f, nil
}

func runList(ctx context.Context, c *call) error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	src, _, err := c.source()
	if err != nil {
		return err
	}
	all, err := src.List(ctx, f)
	if err != nil {
		return err
	}
	return c.print(all, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tRECEIVED\tSEAT\tDIR\tFROM\tTO\tAGENT\tSECONDS\tSTATE\tKEPT UNTIL")
		for _, s := range all {
			until, state := "-", s.State
			if !s.RetainUntil.IsZero() {
				until = s.RetainUntil.Local().Format(time.DateOnly)
			}
			if s.Held {
				state += ", held"
			}
			if len(s.Problems) > 0 {
				state += ", damaged"
			}
			received := "-"
			if !s.Received.IsZero() {
				received = s.Received.Local().Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f\t%s\t%s\n", s.ID, received, s.Seat, oneLine(s.Direction), oneLine(s.From), oneLine(s.To), oneLine(s.Agent), s.Seconds, state, until)
		}
	})
}

// shown is a call for people and programs.
type shown struct {
	audit.Summary
	Call *vcon.Call `json:"call,omitempty"`
}

func runShow(ctx context.Context, c *call) error {
	src, key, err := c.source()
	if err != nil {
		return err
	}
	id := c.args[0]
	s, err := audit.Summarize(ctx, src, key, id)
	if err != nil {
		return err
	}
	x := shown{Summary: s}
	if s.State == audit.Received {
		doc, err := src.Doc(ctx, id, store.VCon)
		if err == nil {
			_, call, raw, err := vcon.Open(key, doc)
			if err != nil {
				return damagedError{err}
			}
			x.Call = &call
			if c.v.vcon {
				_, err := fmt.Fprintf(c.out, "%s\n", raw)
				return err
			}
		} else if c.v.vcon {
			return err
		}
	}
	return c.print(x, func(w io.Writer) { x.text(w) })
}

func (x shown) text(w io.Writer) {
	line := func(k, format string, a ...any) { fmt.Fprintf(w, "%s\t%s\n", k, oneLine(fmt.Sprintf(format, a...))) }
	line("recording", "%s", x.ID)
	line("seat", "%s, number %d, %s", x.Seat, x.Seq, x.End)
	line("state", "%s, %d bytes sealed", x.State, x.Bytes)
	if !x.RetainUntil.IsZero() {
		line("received", "%s", x.Received.Local().Format(time.RFC3339))
		line("kept until", "%s at least", x.RetainUntil.Local().Format(time.RFC3339))
	}
	if call := x.Call; call != nil {
		line("direction", "%s", call.Direction)
		line("from", "%s", call.From)
		line("to", "%s", call.To)
		line("queue", "%s", call.Queue)
		line("agent", "%s", call.Agent)
		if call.DialTime != nil {
			line("dialled", "%s", call.DialTime.Local().Format(time.RFC3339))
		}
		if call.AnswerTime != nil {
			line("answered", "%s", call.AnswerTime.Local().Format(time.RFC3339))
		}
		if r := call.Released; r != nil {
			line("released", "%s by %s %s", r.At.Local().Format(time.RFC3339), r.By, r.Reason)
		}
		line("basis", "%s", call.Basis)
		line("codec", "%s", strings.Join(call.Codecs, " "))
		spans(w, "on hold", call.Holds)
		spans(w, "not recorded", call.Pauses)
		spans(w, "not received", call.Gaps)
		spans(w, "re-encoded", call.Transcoded)
		for _, t := range call.Transfers {
			line("transferred", "%s %s", t.How, t.To)
		}
		if q := call.Quality; q != nil {
			line("quality", "%d packets received, %d lost, %d late, %d frames concealed, jitter %.1f ms", q.Received, q.Lost, q.Late, q.Concealed, q.JitterMs)
		}
	}
	for _, p := range x.Problems {
		line("problem", "%s", p)
	}
}

func spans(w io.Writer, what string, all []vcon.Span) {
	for _, s := range all {
		text := strings.TrimSpace(strings.Join([]string{s.Leg, s.By, s.Reason}, " "))
		fmt.Fprintf(w, "%s\t%.3f s to %.3f s %s\n", what, float64(s.FromMs)/1000, float64(s.ToMs)/1000, oneLine(text))
	}
}

// progress is a bar with the time left, for people only.
func (c *call) progress(what string) (audit.Progress, func()) {
	if !c.tty {
		return nil, func() {}
	}
	var bar *progressbar.ProgressBar
	return func(done, total int64) {
			if bar == nil {
				bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(c.err), progressbar.OptionSetDescription(what),
					progressbar.OptionShowBytes(true), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
			}
			bar.Set64(done)
		}, func() {
			if bar != nil {
				bar.Finish()
			}
		}
}

func runExport(ctx context.Context, c *call) error {
	if c.v.key == "" {
		return usagef("--key is needed: an offline voice key")
	}
	b, err := os.ReadFile(c.v.key)
	if err != nil {
		return err
	}
	key, err := sealed.ParsePrivate(b)
	clear(b)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", c.v.key, err)}
	}
	src, pub, err := c.source()
	if err != nil {
		return err
	}
	all, clean := []audit.Exported{}, true
	for _, id := range c.args {
		tell, end := c.progress(filepath.Base(id))
		x, err := audit.Export(ctx, audit.ExportConfig{Source: src, Centre: pub, Key: key, Out: c.v.out, Progress: tell}, id)
		end()
		if err != nil {
			return err
		}
		all, clean = append(all, x), clean && len(x.Damage) == 0
	}
	if err := c.print(all, func(w io.Writer) {
		for _, x := range all {
			fmt.Fprintf(w, "%s\t%.1f s\t%s\t%s\n", x.ID, x.Seconds, x.Ogg, x.WAV)
			for _, d := range x.Damage {
				fmt.Fprintf(w, "\tdamage: %s\n", d)
			}
		}
	}); err != nil {
		return err
	}
	if !clean {
		return damagedError{fmt.Errorf("some of it could not be read; the rest was written")}
	}
	return nil
}

func runVerify(ctx context.Context, c *call) error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	src, pub, err := c.source()
	if err != nil {
		return err
	}
	tell, end := c.progress("verify")
	v, err := audit.Verify(ctx, src, pub, f, tell)
	end()
	if err != nil {
		return err
	}
	if err := c.print(v, func(w io.Writer) {
		for _, x := range v.Warnings {
			fmt.Fprintf(w, "note: %s\n", x)
		}
		for _, x := range v.Faults {
			fmt.Fprintf(w, "FAULT: %s\n", x)
		}
		fmt.Fprintf(w, "%d recordings, %d bytes read, %d faults\n", v.Recordings, v.Bytes, len(v.Faults))
	}); err != nil {
		return err
	}
	if len(v.Faults) > 0 {
		return damagedError{fmt.Errorf("%d faults", len(v.Faults))}
	}
	return nil
}

func runDelete(ctx context.Context, c *call) error {
	if c.v.by == "" {
		return usagef("--by is needed: who deletes")
	}
	x, err := c.centre()
	if err != nil {
		return err
	}
	if err := x.Delete(ctx, c.args[0], c.v.by, c.v.reason, c.v.sure); err != nil {
		return err
	}
	return c.done("recording " + c.args[0] + " is deleted; manifest and receipt stay")
}

func holdRun(on bool) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		if c.v.name == "" || c.v.by == "" || on && c.v.reason == "" {
			return usagef("--name and --by are needed, and --reason to place a hold")
		}
		x, err := c.centre()
		if err != nil {
			return err
		}
		if err := x.Hold(ctx, c.args[0], store.Hold{Name: c.v.name, Reason: c.v.reason, By: c.v.by}, on); err != nil {
			return err
		}
		if on {
			return c.done("hold " + c.v.name + " is on " + c.args[0])
		}
		return c.done("hold " + c.v.name + " is off " + c.args[0])
	}
}

type heldLine struct {
	ID    string       `json:"id"`
	Holds []store.Hold `json:"holds"`
}

func runHoldsList(ctx context.Context, c *call) error {
	x, err := c.centre()
	if err != nil {
		return err
	}
	ids, err := x.Holds.Held(ctx)
	if err != nil {
		return err
	}
	all := []heldLine{}
	for _, id := range ids {
		hs, err := x.Holds.Holds(ctx, id)
		if err != nil {
			return err
		}
		if len(hs) > 0 {
			all = append(all, heldLine{id, hs})
		}
	}
	return c.print(all, func(w io.Writer) {
		fmt.Fprintln(w, "RECORDING\tHOLD\tSINCE\tRELEASED\tBY\tREASON")
		for _, l := range all {
			for _, h := range l.Holds {
				released := "-"
				if h.Released != nil {
					released = h.Released.Local().Format(time.DateTime)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, h.Name, h.At.Local().Format(time.DateTime), released, h.By, h.Reason)
			}
		}
	})
}
