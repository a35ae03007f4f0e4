package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"deskset/firmware/centre"
	"deskset/firmware/centre/authority"
)

// values are what flags fill in.
type values struct {
	name, out, in, passFile, url, listen, level  string
	hosts                                        list
	pbxURL, pbxDomain, pbxUser, pbxAuth, pbxPass string
	pbxCA, agents, emergency, internal, blind    string
	basis, seat, agent, number, from, to, key    string
	reason, by                                   string
	life                                         time.Duration
	work                                         int
	sure, all, vcon                              bool
}

// list is a flag that may be given many times.
type list []string

func (l *list) String() string     { return "" }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func setupCommands() []command {
	return []command{
		{name: "init", what: "make a new centre: its CA, online keys and settings", long: `
Example:
  deskfleet init --dir /srv/centre --name centre-1 --host centre.example --host 10.0.0.5
Without --host the centre can be reached from this machine only.`,
			run: runInit, def: func(c *call) {
				needDir(c)
				c.fs.StringVar(&c.v.name, "name", "centre", "name of the centre, for certificates and receipts")
				c.fs.Var(&c.v.hosts, "host", "DNS name or IP address that seats reach it by; may be given again")
			}},
		{name: "backup", what: "write keys, settings, seats, holds and log to one file", long: `
Examples:
  deskfleet backup --dir /srv/centre --out centre.backup --passphrase-file pass.txt
  deskfleet backup --dir /srv/centre --out centre.backup --plain
With a passphrase the file is encrypted (age). Recordings are not in it: copy
DIR/data/rec with any tool; its files never change once they are finished.`,
			run: runBackup, def: func(c *call) {
				needDir(c)
				c.fs.StringVar(&c.v.out, "out", "", "file to write; must not exist")
				c.fs.StringVar(&c.v.passFile, "passphrase-file", "", "file with the passphrase, \"-\" for standard input")
				c.fs.IntVar(&c.v.work, "work-factor", 18, "how hard guessing the passphrase is made, 10 to 22: each step doubles it")
				c.fs.BoolVar(&c.v.all, "plain", false, "do not encrypt; the file is then as secret as the keys (mode 0600)")
			}},
		{name: "restore", what: "make the centre again from a backup", long: `
Example:
  deskfleet restore --dir /srv/centre --in centre.backup --passphrase-file pass.txt
Then copy the recordings back to DIR/data/rec. Seats that were enrolled after the
backup was made need a new token; all others connect by themselves.`,
			run: runRestore, def: func(c *call) {
				needDir(c)
				c.fs.StringVar(&c.v.in, "in", "", "the backup")
				c.fs.StringVar(&c.v.passFile, "passphrase-file", "", "file with the passphrase, \"-\" for standard input")
			}},
		{name: "keys voice", what: "make the offline voice keys, on a machine that is not the centre", long: `
Example:
  deskfleet keys voice --out /media/stick
writes primary.key and escrow.key (keep them in two places, offline: without them
nobody can ever listen to a recording) and voice.pub for the centre.`,
			run: runKeysVoice, def: func(c *call) { c.fs.StringVar(&c.v.out, "out", "", "directory for the keys") }},
		{name: "keys add", args: "VOICE.PUB", min: 1, max: 1, what: "bring the public halves of the voice keys to the centre", long: `
Example:
  deskfleet keys add /media/stick/voice.pub --dir /srv/centre
New recordings are sealed to exactly these keys. Older ones stay as they are.`,
			run: runKeysAdd, def: needDir},
		{name: "version", what: "print the version", run: runVersion},
	}
}

func runInit(_ context.Context, c *call) error {
	if c.dir == "" {
		return usagef("--dir is needed")
	}
	a, err := centre.Init(c.dir, c.v.name, c.v.hosts, c.now())
	if err != nil {
		return err
	}
	ca := filepath.Join(c.dir, "keys", "ca.pem")
	out := map[string]string{"dir": c.dir, "name": c.v.name, "ca": ca, "ca_sha256": a.Fingerprint(), "settings": filepath.Join(c.dir, "centre.toml")}
	return c.print(out, func(w io.Writer) {
		fmt.Fprintf(w, `Centre %q is made in %s.
The CA that seats trust: %s
  SHA-256 %s

Now:
  1. Make the voice keys on a machine that stays offline, and bring voice.pub here:
       deskfleet keys voice --out DIR
       deskfleet keys add DIR/voice.pub --dir %[2]s
  2. Look through %[2]s/centre.toml, then add seats and serve:
       deskfleet seats add S-0001 --dir %[2]s --pbx-url wss://PBX/ws --pbx-password-file FILE
       deskfleet serve --dir %[2]s --listen :8443

Backup, today and after each change of seats (the keys cannot be made again):
       deskfleet backup --dir %[2]s --out centre.backup --passphrase-file FILE
  Keep it off this machine, and the passphrase apart from it. Copy %[2]s/data/rec
  as well: those are the recordings. Try it once:
       deskfleet restore --dir /tmp/try --in centre.backup --passphrase-file FILE
`, c.v.name, c.dir, ca, a.Fingerprint())
	})
}

func runBackup(ctx context.Context, c *call) (err error) {
	if c.v.out == "" || (c.v.passFile == "") == !c.v.all {
		return usagef("--out and one of --passphrase-file and --plain are needed")
	}
	x, err := c.centre()
	if err != nil {
		return err
	}
	var o centre.BackupOptions
	if c.v.work < 10 || c.v.work > 22 {
		return usagef("--work-factor: use 10 to 22")
	}
	o.WorkFactor = c.v.work
	if c.v.passFile != "" {
		if o.Passphrase, err = c.secret(c.v.passFile); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(c.v.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(x.Backup(ctx, f, o), f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(c.v.out))
	}
	return c.print(map[string]any{"out": c.v.out, "encrypted": o.Passphrase != ""}, func(w io.Writer) {
		fmt.Fprintf(w, "Backup written to %s", c.v.out)
		if o.Passphrase == "" {
			fmt.Fprint(w, ", NOT encrypted: it holds every key of the centre")
		}
		fmt.Fprintf(w, ".\nThe recordings are not in it: copy %s too.\n", filepath.Join(c.dir, "data", "rec"))
	})
}

func runRestore(ctx context.Context, c *call) error {
	if c.v.in == "" || c.dir == "" {
		return usagef("--dir and --in are needed")
	}
	pass := ""
	if c.v.passFile != "" {
		var err error
		if pass, err = c.secret(c.v.passFile); err != nil {
			return err
		}
	}
	f, err := os.Open(c.v.in)
	if err != nil {
		return err
	}
	defer f.Close()
	x, err := centre.Restore(ctx, c.dir, f, pass, c.now, c.logger())
	if err != nil {
		return err
	}
	seats, err := x.Seats.Seats(ctx)
	if err != nil {
		return err
	}
	return c.print(map[string]any{"dir": c.dir, "seats": len(seats), "ca_sha256": x.Keys.Fingerprint()}, func(w io.Writer) {
		fmt.Fprintf(w, "Centre restored in %s with %d seats.\nCopy the recordings back to %s, then serve.\nSeats enrolled after the backup need a new token: deskfleet seats token SEAT\n",
			c.dir, len(seats), filepath.Join(c.dir, "data", "rec"))
	})
}

func runKeysVoice(_ context.Context, c *call) error {
	if c.v.out == "" {
		return usagef("--out is needed")
	}
	k, err := authority.MakeVoiceKeys(c.v.out)
	if err != nil {
		return err
	}
	return c.print(k, func(w io.Writer) {
		fmt.Fprintf(w, "Voice keys are made in %s:\n", c.v.out)
		for _, x := range k.Keys {
			fmt.Fprintf(w, "  %s.key\t%s\n", x.Name, x.ID)
		}
		fmt.Fprint(w, `Either of them opens every recording that is sealed to both. Keep them apart,
offline, each with a copy: nobody can make them again. Only voice.pub goes to
the centre:
  deskfleet keys add voice.pub --dir DIR
`)
	})
}

func runKeysAdd(ctx context.Context, c *call) error {
	x, err := c.centre()
	if err != nil {
		return err
	}
	b, err := os.ReadFile(c.args[0])
	if err != nil {
		return err
	}
	k, err := x.AddVoice(ctx, b)
	if err != nil {
		return usageError{err}
	}
	return c.print(k, func(w io.Writer) {
		fmt.Fprintln(w, "New recordings are sealed to:")
		for _, x := range k.Keys {
			fmt.Fprintf(w, "  %s\t%s\n", x.Name, x.ID)
		}
	})
}

func runVersion(_ context.Context, c *call) error {
	v := "unknown"
	if i, ok := debug.ReadBuildInfo(); ok {
		v = i.Main.Version
	}
	return c.print(map[string]string{"version": v}, func(w io.Writer) { fmt.Fprintln(w, "deskfleet", v) })
}
