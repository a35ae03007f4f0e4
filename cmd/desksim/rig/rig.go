// Package rig puts a whole floor on one machine: a PBX, a centre, a seat with
// its headset and its panel, a customer. The demo, the stories, the random
// kills and the benchmarks all stand on it.
package rig

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"deskset/cmd/desksim/phone"
	"deskset/firmware/config"
	"deskset/firmware/fleet"
)

// Options of a rig.
type Options struct {
	Dir      string // for all state and logs; must exist
	Bin      string // where deskset and deskfleet are
	PBX      string // "small" or "asterisk"
	Asterisk string // chroot, for PBX asterisk
	Headset  string // "pulse": a private sound server; "virtual": none at all; else an id of the user's own headset
	Backend  string // of an own headset
	Console  string // address of the panel's page; empty: a free port
	MicFile  string // virtual only: what the agent says all day
	Log      *slog.Logger

	// StateSize gives the seat a disk of its own of so many bytes, in memory;
	// needs root. 0: it shares the machine's.
	StateSize int64
}

// Rig is everything, running.
type Rig struct {
	Opt      Options
	PBX      PBX
	Wire     *Proxy // between seat and PBX
	Net      *Proxy // between seat and centre
	Centre   *Centre
	Headset  *Pulse // nil unless Options.Headset is "pulse"
	Seat     *Seat
	Customer *phone.Phone
	// Good is the PBX's certificate; Expired is one that the seat would trust,
	// were it not too old.
	Good, Expired tls.Certificate

	stop  context.CancelFunc
	parts sync.WaitGroup
}

// Open builds a rig: everything runs when it returns, nobody is signed in.
func Open(ctx context.Context, o Options) (r *Rig, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r = &Rig{Opt: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop

	good, ca, err := Cert(time.Now().Add(-time.Hour), 48*time.Hour)
	if err != nil {
		return r, err
	}
	expired, oldCA, err := Cert(time.Now().Add(-48*time.Hour), 24*time.Hour)
	if err != nil {
		return r, err
	}
	r.Good, r.Expired = good, expired
	if r.PBX, err = openPBX(ctx, o.PBX, o.Asterisk, o.Dir, good, o.Log); err != nil {
		return r, err
	}
	if r.Wire, err = newProxy(r.PBX.WSS()); err != nil {
		return r, err
	}
	if r.Customer, err = r.Phone(run, CustomerNumber, false); err != nil {
		return r, err
	}
	if r.Centre, err = newCentre(ctx, o.Dir, filepath.Join(o.Bin, "deskfleet"), o.Dir); err != nil {
		return r, err
	}
	token, err := r.Centre.AddSeat(ctx, "S-0001", fleet.PBX{
		URL: "wss://" + r.Wire.Addr() + "/ws", Domain: "127.0.0.1", User: SeatUser, Password: Password(SeatUser), CA: string(ca) + string(oldCA),
	})
	if err != nil {
		return r, err
	}
	if err = r.Centre.Start(ctx); err != nil {
		return r, err
	}
	if r.Net, err = newProxy(r.Centre.Addr); err != nil {
		return r, err
	}
	f, env, err := r.file(ctx)
	if err != nil {
		return r, err
	}
	if r.Seat, err = newSeat("S-0001", filepath.Join(o.Dir, "seat"), filepath.Join(o.Bin, "deskset"), env, f); err != nil {
		return r, err
	}
	if o.StateSize > 0 {
		if err = r.Seat.mount(o.StateSize); err != nil {
			return r, err
		}
	}
	if err = r.Seat.Enrol(ctx, token); err != nil {
		return r, err
	}
	if err = r.Seat.Start(ctx); err != nil {
		return r, fmt.Errorf("%w: %s", err, r.Seat.Log(5))
	}
	return r, nil
}

// file is the seat's configuration.
func (r *Rig) file(ctx context.Context) (f config.File, env []string, err error) {
	f = config.Default()
	f.Language = "en"
	f.Centre = config.Centre{URL: "https://" + r.Net.Addr(), CA: r.Centre.CA()}
	f.Console.Listen = r.Opt.Console
	if f.Console.Listen == "" {
		if f.Console.Listen, err = freePort(); err != nil {
			return f, nil, err
		}
	}
	switch r.Opt.Headset {
	case "virtual":
		f.Headset.Backend = "virtual"
		f.Headset.MicFile = r.Opt.MicFile
		f.Headset.EarFile = filepath.Join(r.Opt.Dir, "ear.wav")
	case "pulse":
		if r.Headset, err = NewPulse(ctx, r.Opt.Dir); err != nil {
			return f, nil, err
		}
		f.Headset.Backend, f.Headset.Capture, f.Headset.Playback = "pulse", PulseMic, PulseSpeaker
		f.Headset.Server = r.Headset.Server()
		env = r.Headset.Env()
	default:
		f.Headset.Backend = r.Opt.Backend
		capture, playback, ok := strings.Cut(r.Opt.Headset, ",")
		if !ok {
			playback = capture
		}
		f.Headset.Capture, f.Headset.Playback = capture, playback
	}
	return f, env, nil
}

// freePort is a loopback address that was free a moment ago.
func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// Phone makes a desk phone at the PBX that runs until the rig is closed.
func (r *Rig) Phone(ctx context.Context, user string, register bool) (*phone.Phone, error) {
	p, err := phone.New(phone.Config{
		Listen: "127.0.0.1:0", PBX: r.PBX.SIP(), User: user, Password: Password(user), Display: "Wang Fang",
		Register: register, Log: r.Opt.Log,
	})
	if err != nil {
		return nil, err
	}
	r.parts.Go(func() { _ = p.Run(ctx) })
	return p, nil
}

// Close ends everything, last first, and leaves no process behind.
func (r *Rig) Close() error {
	var errs []error
	if r.Seat != nil {
		errs = append(errs, r.Seat.Stop(), r.Seat.unmount())
	}
	if r.stop != nil {
		r.stop()
	}
	r.parts.Wait()
	for _, p := range []*Proxy{r.Net, r.Wire} {
		if p != nil {
			p.Close()
		}
	}
	if r.Centre != nil && r.Centre.proc != nil {
		errs = append(errs, r.Centre.Stop())
	}
	if r.Headset != nil {
		r.Headset.Close()
	}
	if r.PBX != nil {
		errs = append(errs, r.PBX.Close())
	}
	return errors.Join(errs...)
}

// Bin finds the directory of this program's brothers.
func Bin() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(self)
	for _, p := range []string{"deskset", "deskfleet"} {
		if _, err := os.Stat(filepath.Join(dir, p)); err != nil {
			return "", fmt.Errorf("%s is not beside this program in %s; build it with scripts/demo", p, dir)
		}
	}
	return dir, nil
}
