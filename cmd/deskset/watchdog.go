package main

import (
	"context"
	"log/slog"
	"time"

	"deskset/firmware/seat"

	"github.com/coreos/go-systemd/v22/daemon"
)

// watchdog tells systemd that the seat is ready and, as long as it is healthy,
// that it is alive. It is fed by an answer of the seat, never by a clock alone:
// a seat that hangs is killed and comes back. Without systemd it does nothing.
func watchdog(ctx context.Context, s *seat.Seat, log *slog.Logger) error {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog", "err", err)
	}
	if err := s.Alive(ctx); err != nil {
		return nil
	}
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.Warn("readiness", "err", err)
	}
	if every == 0 {
		return nil
	}
	tick := time.NewTicker(every / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
			return nil
		case <-tick.C:
			if err := s.Alive(ctx); err != nil {
				log.Error("watchdog not fed", "why", err)
				continue
			}
			_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
		}
	}
}
