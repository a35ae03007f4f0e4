package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"deskset/audio/soundcard"
	"deskset/firmware/config"
	"deskset/firmware/console"
	"deskset/firmware/control"
	"deskset/firmware/fleet"
	"deskset/firmware/seat"
	"deskset/firmware/upload"
	"deskset/firmware/vault"
	"deskset/firmware/vault/outbox"
	"deskset/firmware/walltime"
)

func runVerb(ctx context.Context, std stdio, args []string) error {
	fs := flags(std, "run")
	path := fs.String("config", defaultConfig, "configuration `file`")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	thrift()
	f, err := loadConfig(*path)
	if err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.Log.Level)); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: level}))
	id, err := loadIdentity(f.StateDir)
	if err != nil {
		return err
	}
	return runSeat(ctx, f, id, log.With("seat", id.name))
}

// runSeat builds the seat from its file and identity and runs it: config ->
// board -> drivers -> seat. What is started last is stopped first.
func runSeat(ctx context.Context, f config.File, id *identity, log *slog.Logger) (err error) {
	board, err := openBoard(f, log)
	if err != nil {
		return err
	}
	card, err := soundcard.New(soundcard.Config{
		Backend: f.Headset.Backend, Capture: f.Headset.Capture, Playback: f.Headset.Playback,
		PeriodMs: f.Headset.PeriodMs, Server: f.Headset.Server,
		MicFile: f.Headset.MicFile, EarFile: f.Headset.EarFile,
	}, log)
	if err != nil {
		return err
	}
	store, err := vault.Open(vault.Config{
		Dir: filepath.Join(f.StateDir, "vault"), Seat: id.name, Firmware: version,
		Signer: id.key, Now: time.Now, Log: log,
	})
	if err != nil {
		return err
	}
	defer func() {
		end, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		err = errors.Join(err, store.Close(end))
	}()
	roots, err := pbxRoots(id)
	if err != nil {
		return err
	}
	var addr netip.Addr
	if f.Media.Interface != "" {
		if addr, err = netip.ParseAddr(f.Media.Interface); err != nil {
			return fmt.Errorf("media.interface: %w", err)
		}
	}
	client, err := fleet.NewClient(fleet.ClientConfig{URL: f.Centre.URL, CA: id.ca, Chain: id.chain, Key: id.key})
	if err != nil {
		return err
	}
	defer client.Close()

	clock := walltime.New(time.Now)
	retire := &retirer{vault: store, clock: clock, log: log}
	retire.setPolicy(id.policy.Retention)
	headsets := make(chan seat.HeadsetEvent, 4)
	s, err := seat.New(seat.Config{
		Name: id.name, Firmware: version, Lang: f.Language, Policy: id.policy,
		Keys: board, Lamps: board, Headset: card, Headsets: headsets, Vault: store,
		Instance: id.instance, Insecure: f.PBX.Insecure, TLS: roots, MediaAddr: addr,
		Log: log, Now: time.Now, Wall: clock.Now,
	})
	if err != nil {
		return err
	}
	out := outbox.New(store)
	defer out.Close()
	up, err := upload.New(upload.Config{
		Client: client, Centre: id.centre, Store: learningStore{out, store, clock}, InCall: s.InCall, Now: time.Now, Log: log,
	})
	if err != nil {
		return err
	}
	stream, err := fleet.NewStream(fleet.StreamConfig{
		Client: client, Centre: id.centre, Held: id.policy.Version, State: s.State,
		Policy: func(p *fleet.Policy, doc []byte) error {
			if err := fleet.SavePolicy(filepath.Join(f.StateDir, policyFile), doc); err != nil {
				return err
			}
			s.SetPolicy(p)
			retire.setPolicy(p.Retention)
			return nil
		},
		Hold: func(h fleet.LegalHold) {
			if err := store.SetHold(h.ID, h.On); err != nil {
				log.Error("legal hold", "rec", h.ID, "err", err)
			}
		},
		Link: func(isUp bool, why error) {
			s.CentreLink(isUp, why)
			if isUp {
				up.Kick()
			}
		},
		Log: log,
	})
	if err != nil {
		return err
	}

	services := []service{
		{"vault", store.Run},
		{"retention", retire.Run},
		{"headset", card.Run},
		{"headset events", func(ctx context.Context) error { return headsetEvents(ctx, card, headsets) }},
		{"upload", up.Run},
		{"centre", stream.Run},
		{"control", control.New(f.RunDir, s, log, func() map[string]any {
			st, err := up.Status()
			more := map[string]any{"upload": st, "sound": card.Stats()}
			if err != nil {
				more["upload_err"] = err.Error()
			}
			return more
		}).Run},
		{"watchdog", func(ctx context.Context) error { return watchdog(ctx, s, log) }},
	}
	if f.Console.Listen != "" {
		page, err := consoleServer(f, s, log)
		if err != nil {
			return err
		}
		services = append(services, service{"page", page.Run})
	}
	return runAll(ctx, log, s, services)
}

// service is a part that runs beside the seat.
type service struct {
	name string
	run  func(context.Context) error
}

// runAll runs the services until the seat ends. The first that fails ends all.
func runAll(ctx context.Context, log *slog.Logger, s *seat.Seat, services []service) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	for _, v := range services {
		wg.Go(func() {
			if err := v.run(inner); err != nil && inner.Err() == nil {
				log.Error("part failed", "part", v.name, "err", err)
				cancel(fmt.Errorf("%s: %w", v.name, err))
			}
		})
	}
	err := s.Run(ctx)
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	stop()
	wg.Wait()
	return err
}

func headsetEvents(ctx context.Context, card *soundcard.Card, out chan<- seat.HeadsetEvent) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-card.Events():
			select {
			case out <- seat.HeadsetEvent{Present: e.Kind == soundcard.Back, Reason: e.Reason}:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func consoleServer(f config.File, s *seat.Seat, log *slog.Logger) (*console.Server, error) {
	host, _, err := net.SplitHostPort(f.Console.Listen)
	if err != nil {
		return nil, err
	}
	names := append([]string{"localhost"}, f.Console.Hosts...)
	if host != "" && host != "0.0.0.0" && host != "::" {
		names = append(names, host)
	}
	cert, fingerprint, err := console.SelfSigned(f.StateDir, names, time.Now())
	if err != nil {
		return nil, err
	}
	page, err := console.New(console.Config{
		Addr: f.Console.Listen, TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
		Names: f.Console.Hosts, Seat: s, Log: log, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	if err := page.Listen(); err != nil {
		return nil, err
	}
	log.Info("panel page", "url", page.URL(), "certificate_sha256", fingerprint)
	s.OnKey(page.KeyPressed)
	return page, nil
}

// pbxRoots trusts the centre's CA; the seat adds the PBX's own where the policy
// names one.
func pbxRoots(id *identity) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(id.ca) {
		return nil, errors.New("the pinned CA is damaged: enrol the seat again")
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
