package vault

import (
	"context"
	"errors"
	"time"
)

// Run does what can wait: it keeps slabs ready between calls and gives
// recordings their manifest that a failing disk refused. It ends with ctx.
func (v *Vault) Run(ctx context.Context) error {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		if !v.busy() {
			v.settleLeft()
			v.fillPool(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-v.idle:
		case <-tick.C:
		}
	}
}

func (v *Vault) busy() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.making) > 0
}

func (v *Vault) fillPool(ctx context.Context) {
	for ctx.Err() == nil && !v.busy() {
		size, ok := v.pool.short()
		if !ok {
			return
		}
		if s, err := v.Space(); err != nil || s.Full() {
			return
		}
		if err := v.pool.prepare(ctx, size, v.busy); err != nil {
			if !errors.Is(err, errBusy) && ctx.Err() == nil {
				v.log.Warn("no slab could be prepared", "err", err)
			}
			return
		}
	}
}

// settleLeft tries again what finish could not.
func (v *Vault) settleLeft() {
	v.mu.Lock()
	var left []Entry
	for _, e := range v.entries {
		if e.State == Making && v.making[e.ID] == nil {
			left = append(left, e.Entry)
		}
	}
	v.mu.Unlock()
	if len(left) == 0 {
		return
	}
	files, err := v.partFiles()
	if err != nil {
		v.log.Warn("recordings without a manifest wait", "err", err)
		return
	}
	for _, e := range left {
		if err := v.settle(e.Seq, e.ID, files[e.Seq]); err != nil {
			v.log.Warn("recording waits for its manifest", "rec", e.ID, "err", err)
		}
	}
}

// ended says that a recording's writer is gone.
func (v *Vault) ended(id string) {
	v.mu.Lock()
	delete(v.making, id)
	v.mu.Unlock()
	select {
	case v.idle <- struct{}{}:
	default:
	}
}
