package kills

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"deskset/cmd/desksim/rig"
	"deskset/firmware/centre"
	"deskset/firmware/centre/audit"
	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
	"deskset/firmware/vault"
)

// lossLimit is one second and one sync, which may take a second on a machine
// that does this much beside it.
const lossLimit = 2 * time.Second

// samples are how many recordings are opened with the offline key.
const samples = 10

// settle waits until every seat has delivered all that it has.
func (r *run) settle(ctx context.Context) error {
	began := time.Now()
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	tick := time.NewTicker(200 * time.Millisecond) // the centre tells nobody here
	defer tick.Stop()
	for {
		waiting, err := r.waiting(ctx, began)
		if err != nil || waiting == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not all was delivered: %s", waiting)
		case <-tick.C:
		}
	}
}

// waiting says who has not delivered yet; a report is believed when it came
// from a seat as it runs now.
func (r *run) waiting(ctx context.Context, since time.Time) (string, error) {
	lines, err := r.floor.Centre.Seats(ctx)
	if err != nil {
		return "", err
	}
	done := 0
	for _, l := range lines {
		switch {
		case !l.Online || l.State == nil:
			return l.Seat + " is offline", nil
		case l.State.Pending > 0:
			return fmt.Sprintf("%s has %d recordings left", l.Seat, l.State.Pending), nil
		case time.Since(since) < 3*time.Second: // each seat reports every 2 s
			return "no report yet", nil
		}
		done++
	}
	if done < len(r.floor.Desks) {
		return "seats are missing", nil
	}
	return "", nil
}

// check looks at every vault and at the centre, with the seats stopped.
func (r *run) check(ctx context.Context, rep *Report) error {
	fault := func(format string, a ...any) { rep.Faults = append(rep.Faults, fmt.Sprintf(format, a...)) }
	x, err := centre.Open(r.floor.Centre.Dir, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	src := x.Audit()
	all, err := src.List(ctx, audit.Filter{})
	if err != nil {
		return err
	}
	held := map[string]audit.Summary{}
	for _, s := range all {
		held[s.ID] = s
	}
	entries := map[string]vault.Entry{}
	for i := range r.floor.Desks {
		d := &r.floor.Desks[i]
		list, err := r.vault(ctx, d, src, held, fault)
		if err != nil {
			fault("%s: %v", d.Seat.Name, err)
		}
		for _, e := range list {
			entries[e.ID] = e
		}
	}
	rep.Recordings = len(entries)
	if len(all) != len(entries) {
		fault("the centre has %d recordings, the seats made %d", len(all), len(entries))
	}
	for _, e := range entries {
		if e.End == fleet.EndRecovered {
			rep.Recovered++
		}
	}
	r.losses(entries, rep, fault)
	v, err := audit.Verify(ctx, src, x.Public(), audit.Filter{}, nil)
	if err != nil {
		return err
	}
	for _, f := range slices.Concat(v.Faults, v.Warnings) {
		fault("centre: %s", f)
	}
	return r.export(ctx, rep, fault)
}

// vault opens a seat's vault as the seat would and holds it against the centre.
func (r *run) vault(ctx context.Context, d *rig.Desk, src audit.Source, held map[string]audit.Summary, fault func(string, ...any)) ([]vault.Entry, error) {
	b, err := os.ReadFile(d.Seat.Key())
	if err != nil {
		return nil, err
	}
	blk, _ := pem.Decode(b)
	if blk == nil {
		return nil, fmt.Errorf("%s is no PEM file", d.Seat.Key())
	}
	key, err := x509.ParseECPrivateKey(blk.Bytes)
	if err != nil {
		return nil, err
	}
	v, err := vault.Open(vault.Config{Dir: d.Seat.Vault(), Seat: d.Seat.Name, Firmware: "check", Signer: key, Now: time.Now})
	if err != nil {
		return nil, err
	}
	defer v.Close(ctx)
	for _, l := range v.Check(ctx, true).Lines {
		fault("%s: %s", d.Seat.Name, l)
	}
	list := v.List()
	for i, e := range list {
		name := fmt.Sprintf("%s: recording %d (%s)", d.Seat.Name, e.Seq, e.ID)
		if e.Seq != uint64(i+1) {
			fault("%s: number %d was expected", name, i+1)
		}
		if e.State != vault.Receipted {
			fault("%s: is %s", name, e.State)
			continue
		}
		s, ok := held[e.ID]
		switch {
		case !ok:
			fault("%s: the centre does not have it", name)
			continue
		case s.State != audit.Received || s.Seq != e.Seq || s.End != e.End:
			fault("%s: the centre has number %d, %s, %s; the seat %s", name, s.Seq, s.State, s.End, e.End)
		case e.End != fleet.EndVoid && (s.From != d.Number || s.To != d.Extension):
			fault("%s: from %q to %q at the centre", name, s.From, s.To)
		}
		ours, err := v.Receipt(e.ID)
		if err != nil {
			fault("%s: %v", name, err)
			continue
		}
		theirs, err := src.Doc(ctx, e.ID, store.Receipt)
		if err != nil || !bytes.Equal(ours, theirs) {
			fault("%s: the centre's receipt is another one (%v)", name, err)
		}
	}
	return list, nil
}

// losses holds what was on the disk before each kill against what there is.
func (r *run) losses(entries map[string]vault.Entry, rep *Report, fault func(string, ...any)) {
	var lost []int64
	for _, c := range r.cuts {
		name := fmt.Sprintf("%s: recording %d (%s)", c.desk.Seat.Name, c.seq, c.id)
		e, ok := entries[c.id]
		if !ok {
			fault("%s: was on the disk before the kill and is gone", name)
			continue
		}
		voice := 0
		for _, p := range e.Parts {
			if p.Kind == fleet.Voice {
				voice += p.Segments
			}
			had := c.segments[p.Name()]
			rep.Segments += had
			if p.Segments < had {
				fault("%s: part %s had %d segments before the kill, now %d", name, p.Name(), had, p.Segments)
			}
			delete(c.segments, p.Name())
		}
		for part, had := range c.segments {
			if had > 0 {
				fault("%s: part %s had %d segments before the kill and is gone", name, part, had)
			}
		}
		if !c.inCall {
			continue
		}
		gone := c.spoken - time.Duration(voice)*time.Second
		lost = append(lost, gone.Milliseconds())
		if gone > lossLimit {
			fault("%s: %v of the call's end are lost", name, gone)
		}
	}
	if len(lost) > 0 {
		slices.Sort(lost)
		rep.MedianLost, rep.MaxLost = lost[len(lost)/2], lost[len(lost)-1]
	}
}

// export opens a few recordings with the offline key, on the auditor's side.
func (r *run) export(ctx context.Context, rep *Report, fault func(string, ...any)) error {
	out, err := r.floor.Centre.Recordings(ctx)
	if err != nil {
		return err
	}
	var all []audit.Summary
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return err
	}
	step := max(1, len(all)/samples)
	for i := 0; i < len(all); i += step {
		s := all[i]
		export := r.floor.Centre.Export
		if s.End == fleet.EndRecovered {
			export = r.floor.Centre.ExportCut
		}
		if s.Seconds == 0 {
			continue // no voice: it was cut within its first second
		}
		if err := export(ctx, s.ID, filepath.Join(r.o.Dir, "export")); err != nil {
			fault("%v", err)
			continue
		}
		rep.Exported++
	}
	return nil
}
