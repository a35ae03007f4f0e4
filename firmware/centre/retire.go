package centre

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/intake"
	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
)

// ErrKept says that a recording may not be deleted now; the words say why.
var ErrKept = errors.New("the recording is kept")

// maxSilence is how long a centre may have logged nothing before its clock is
// doubted: a clock that jumped ahead would let go of everything.
const maxSilence = 45 * 24 * time.Hour

// Delete erases a recording whose retention is over and that no legal hold
// keeps: its sealed parts and its vCon. Manifest and receipt, which name
// nobody, stay as proof. sure skips the doubt of the clock, nothing else.
func (c *Centre) Delete(ctx context.Context, id, by, why string, sure bool) error {
	if err := fleet.RecordingID(id); err != nil {
		return err
	}
	b, err := c.Recs.Doc(ctx, id, store.Intake)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: %s has no receipt yet", ErrKept, id)
	}
	if err != nil {
		return err
	}
	var rec intake.Record
	if err := json.Unmarshal(b, &rec); err != nil {
		return fmt.Errorf("note on %s: %w", id, err)
	}
	now := c.now().UTC()
	if now.Before(rec.RetainUntil) {
		return fmt.Errorf("%w: %s until %s, by its receipt", ErrKept, id, rec.RetainUntil.Format(time.RFC3339))
	}
	if !sure {
		if err := c.clock(ctx, now); err != nil {
			return err
		}
	}
	if err := c.bury(ctx, id, by, why, now); err != nil {
		return err
	}
	// The log comes before the deed: no erasing without its line.
	if err := c.record(ctx, store.Entry{What: "deleted", Rec: id, By: by, Text: why}); err != nil {
		return err
	}
	if err := c.Recs.Erase(ctx, id); err != nil {
		return err
	}
	c.log.Info("recording deleted", "rec", id, "by", by)
	return nil
}

// bury puts the tombstone, after which no hold can be placed any more.
func (c *Centre) bury(ctx context.Context, id, by, why string, now time.Time) error {
	// Inside the register's lock no hold can be placed between look and deed.
	return c.Holds.Update(ctx, id, func(hs []store.Hold) ([]store.Hold, error) {
		for _, h := range hs {
			if h.Released == nil {
				return nil, fmt.Errorf("%w: %s by legal hold %q", ErrKept, id, h.Name)
			}
		}
		grave, err := json.Marshal(struct {
			At  time.Time `json:"at"`
			By  string    `json:"by"`
			Why string    `json:"why"`
		}{now, by, why})
		if err != nil {
			return nil, err
		}
		if err := c.Recs.PutDoc(ctx, id, store.Tombstone, grave); err != nil && !errors.Is(err, store.ErrConflict) {
			return nil, err // a conflict is the tombstone of a deletion that was cut short
		}
		return hs, nil
	})
}

// clock doubts a clock that stands before, or far after, the newest thing
// that was logged.
func (c *Centre) clock(ctx context.Context, now time.Time) error {
	log, err := c.Events.Entries(ctx)
	if err != nil {
		return err
	}
	if len(log) == 0 {
		return fmt.Errorf("%w: nothing tells whether this machine's clock is right", ErrKept)
	}
	last := log[len(log)-1].At
	if now.Before(last.Add(-time.Minute)) || now.Sub(last) > maxSilence {
		return fmt.Errorf("%w: this machine's clock says %s, the last entry of the log %s; check the clock, then say --clock-is-right",
			ErrKept, now.Format(time.RFC3339), last.Format(time.RFC3339))
	}
	return nil
}

// Hold places a legal hold, or releases it.
func (c *Centre) Hold(ctx context.Context, id string, h store.Hold, on bool) error {
	if err := fleet.SeatName(h.Name); err != nil {
		return fmt.Errorf("name of the hold: %w", err)
	}
	if _, err := c.Recs.Doc(ctx, id, store.Manifest); err != nil {
		return err
	}
	now := c.now().UTC()
	err := c.Holds.Update(ctx, id, func(hs []store.Hold) ([]store.Hold, error) {
		for i := range hs {
			if hs[i].Name != h.Name || hs[i].Released != nil {
				continue
			}
			if on {
				return nil, fmt.Errorf("hold %q is on %s already", h.Name, id)
			}
			hs[i].Released = &now
			return hs, nil
		}
		if !on {
			return nil, fmt.Errorf("no hold %q is on %s", h.Name, id)
		}
		if _, err := c.Recs.Doc(ctx, id, store.Tombstone); !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("recording %s was deleted already", id)
		}
		h.At = now
		return append(hs, h), nil
	})
	if err != nil {
		return err
	}
	what := "hold placed"
	if !on {
		what = "hold released"
	}
	return c.record(ctx, store.Entry{What: what, Rec: id, By: h.By, Text: h.Name})
}

// AddVoice brings the public halves of the offline keys in.
func (c *Centre) AddVoice(ctx context.Context, file []byte) (authority.VoiceKeys, error) {
	v, err := authority.ParseVoiceKeys(file)
	if err != nil {
		return v, err
	}
	if err := c.Keys.SetVoice(v); err != nil {
		return v, err
	}
	text := ""
	for _, k := range v.Keys {
		text += k.Name + " " + k.ID + " "
	}
	return v, c.record(ctx, store.Entry{What: "voice keys set", Text: text})
}

// AddAuditor makes an auditor's file.
func (c *Centre) AddAuditor(ctx context.Context, name, url string, life time.Duration) (authority.Bundle, error) {
	if _, err := fleet.NewClient(fleet.ClientConfig{URL: url, CA: c.Keys.CA()}); err != nil {
		return authority.Bundle{}, err
	}
	b, err := c.Keys.AddAuditor(name, url, c.now(), life)
	if err != nil {
		return b, err
	}
	return b, c.record(ctx, store.Entry{What: "auditor added", By: name})
}

// RevokeAuditor ends an auditor's access.
func (c *Centre) RevokeAuditor(ctx context.Context, name string) error {
	if err := c.Keys.RevokeAuditor(name); err != nil {
		return err
	}
	return c.record(ctx, store.Entry{What: "auditor revoked", By: name})
}
