package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/retention"
	"deskset/firmware/vault"
	"deskset/firmware/vault/outbox"
	"deskset/firmware/walltime"
)

// retireEvery is how often the seat looks for recordings that may go.
const retireEvery = time.Hour

// retirer deletes the seat's copies whose time has come. What may go is
// retention's to decide; nothing goes before the centre has signed a time.
type retirer struct {
	vault  *vault.Vault
	clock  *walltime.Clock
	policy atomic.Pointer[retention.Policy]
	log    *slog.Logger
}

// setPolicy takes the grace of a new policy.
func (r *retirer) setPolicy(p fleet.Retention) {
	keep := retention.Default()
	if p.GraceDays > 0 {
		keep.Grace = time.Duration(p.GraceDays) * retention.Day
	}
	if p.ShortGraceDays > 0 {
		keep.ShortGrace = time.Duration(p.ShortGraceDays) * retention.Day
	}
	r.policy.Store(&keep)
}

func (r *retirer) Run(ctx context.Context) error {
	tick := time.NewTicker(retireEvery)
	defer tick.Stop()
	for {
		r.sweep()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (r *retirer) sweep() {
	space, err := r.vault.Space()
	if err != nil {
		r.log.Error("retention", "err", err)
		return
	}
	t, trusted := r.clock.Now()
	now := retention.Now{Time: t, Trusted: trusted, LastSigned: r.vault.LastSigned(), FreeFraction: space.Fraction()}
	for _, e := range r.vault.List() {
		if e.State != vault.Receipted {
			continue
		}
		v := retention.Decide(e.Copy(), now, *r.policy.Load())
		if !v.Permits() {
			continue
		}
		if err := r.vault.Delete(v); err != nil {
			r.log.Error("retention", "rec", e.ID, "err", err)
			continue
		}
		r.log.Info("seat's copy deleted", "rec", e.ID, "why", v.Why())
	}
}

// learningStore tells the clock of every receipt: the centre signed it just
// now, for a recording that nobody could have named before.
type learningStore struct {
	*outbox.Outbox
	vault *vault.Vault
	clock *walltime.Clock
}

func (l learningStore) Receipted(id string, receipt []byte) error {
	if err := l.Outbox.Receipted(id, receipt); err != nil {
		return err
	}
	if e, err := l.vault.Get(id); err == nil {
		l.clock.Learn(e.Received)
	}
	return nil
}
