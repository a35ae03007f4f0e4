package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// alive is a seat that can be asked whether it works.
type alive interface{ Alive(context.Context) error }

// watchdog tells systemd that the seat is ready and, as long as it is healthy,
// that it is alive. It is fed by an answer of the seat, never by a clock alone:
// a seat that hangs is killed and comes back. Without systemd it does nothing.
func watchdog(ctx context.Context, s alive, log *slog.Logger) error {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog", "err", err)
	}
	tell := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn("systemd does not listen", "err", err)
		}
	}
	for err := s.Alive(ctx); err != nil; err = s.Alive(ctx) {
		log.Warn("not ready yet", "why", err)
		if !rest(ctx, time.Second) {
			return nil
		}
	}
	tell(daemon.SdNotifyReady)
	defer tell(daemon.SdNotifyStopping)
	if every == 0 {
		<-ctx.Done()
		return nil
	}
	for rest(ctx, every/3) {
		if err := s.Alive(ctx); err == nil {
			tell(daemon.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			log.Error("watchdog not fed", "why", err)
		}
	}
	return nil
}

// rest waits, and is false when ctx ended first.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
