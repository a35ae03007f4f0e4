package rig

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"deskset/cmd/desksim/phone"
	"deskset/cmd/desksim/smallpbx"
	"deskset/firmware/config"
	"deskset/firmware/fleet"
)

// Floor is many seats with virtual headsets at one small PBX and one centre,
// with a customer for each.
type Floor struct {
	Centre *Centre
	Desks  []Desk

	pbx   *smallpbx.PBX
	stop  context.CancelFunc
	parts sync.WaitGroup
}

// Desk is a seat and who calls it.
type Desk struct {
	Seat      *Seat
	Extension string
	Customer  *phone.Phone
	Number    string // of the customer
}

// OpenFloor builds a floor; mic is the WAV file that every agent says all day.
func OpenFloor(ctx context.Context, dir, bin, mic string, seats int, log *slog.Logger) (f *Floor, err error) {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	f = &Floor{stop: stop}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	cert, ca, err := Cert(time.Now().Add(-time.Hour), 48*time.Hour)
	if err != nil {
		return f, err
	}
	accounts := map[string]string{}
	for i := range seats {
		accounts[extension(i)] = Password(extension(i))
	}
	f.pbx, err = smallpbx.New(smallpbx.Config{
		WSS: "127.0.0.1:0", UDP: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Accounts: accounts, Log: log,
	})
	if err != nil {
		return f, err
	}
	f.parts.Go(func() { _ = f.pbx.Run(run) })
	if f.Centre, err = newCentre(ctx, dir, filepath.Join(bin, "deskfleet"), dir); err != nil {
		return f, err
	}
	if err = f.Centre.Start(ctx); err != nil {
		return f, err
	}
	for i := range seats {
		d, err := f.desk(ctx, run, dir, bin, mic, i, string(ca), log)
		if err != nil {
			return f, err
		}
		f.Desks = append(f.Desks, d)
	}
	return f, nil
}

func extension(i int) string { return fmt.Sprintf("%d", 3001+i) }

// desk enrols a seat; it does not run yet.
func (f *Floor) desk(ctx, run context.Context, dir, bin, mic string, i int, ca string, log *slog.Logger) (d Desk, err error) {
	name := fmt.Sprintf("S-%04d", i+1)
	d = Desk{Extension: extension(i), Number: fmt.Sprintf("1380013%04d", 8000+i)}
	token, err := f.Centre.AddSeat(ctx, name, fleet.PBX{
		URL: f.pbx.WSSURL(), Domain: "127.0.0.1", User: d.Extension, Password: Password(d.Extension), CA: ca,
	})
	if err != nil {
		return d, err
	}
	c := config.Default()
	c.Language = "en"
	c.Centre = config.Centre{URL: f.Centre.URL(), CA: f.Centre.CA()}
	c.Console.Listen = "" // no page
	c.Headset.Backend, c.Headset.MicFile = "virtual", mic
	c.Log.Level = "warn"
	if d.Seat, err = newSeat(name, filepath.Join(dir, name), filepath.Join(bin, "deskset"), nil, c); err != nil {
		return d, err
	}
	if err := d.Seat.Enrol(ctx, token); err != nil {
		return d, err
	}
	d.Customer, err = phone.New(phone.Config{Listen: "127.0.0.1:0", PBX: f.pbx.UDPAddr(), User: d.Number, Log: log})
	if err != nil {
		return d, err
	}
	f.parts.Go(func() { _ = d.Customer.Run(run) })
	return d, nil
}

// StopSeats ends every seat in order.
func (f *Floor) StopSeats() error {
	errs := make([]error, len(f.Desks))
	var wg sync.WaitGroup
	for i, d := range f.Desks {
		wg.Go(func() { errs[i] = d.Seat.Stop() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close ends everything.
func (f *Floor) Close() error {
	err := f.StopSeats()
	if f.Centre != nil && f.Centre.proc != nil {
		err = errors.Join(err, f.Centre.Stop())
	}
	f.stop()
	f.parts.Wait()
	return err
}

// Vault is where a seat keeps its recordings, and Key its signing key's file.
func (s *Seat) Vault() string { return filepath.Join(s.File.StateDir, "vault") }
func (s *Seat) Key() string   { return filepath.Join(s.File.StateDir, "seat.key") }

// Size of all files below a directory, bytes; for a person to see.
func Size(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if i, err := e.Info(); err == nil {
				n += i.Size()
			}
		}
		return nil
	})
	return n
}
