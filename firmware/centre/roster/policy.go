package roster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"deskset/firmware/centre/settings"
	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
	"deskset/firmware/signed"
)

// ErrNotReady says that a policy cannot be made yet; the words tell what is
// missing.
var ErrNotReady = errors.New("the centre is not ready")

// Policy is the seat's policy as it stands now, signed. Its version rises by
// one whenever its content has changed since it was last asked for.
func (r *Roster) Policy(ctx context.Context, seat string) (uint64, []byte, error) {
	f, err := r.c.Settings()
	if err != nil {
		return 0, nil, err
	}
	facts, voice, err := r.c.Keys.Recipients()
	if err != nil {
		return 0, nil, err
	}
	if f.Recording.Enabled && len(voice) == 0 {
		return 0, nil, fmt.Errorf("%w: it has no voice key: make them on another machine with \"deskfleet keys voice --out DIR\" and bring voice.pub here with \"deskfleet keys add\"", ErrNotReady)
	}
	s, err := r.c.Seats.Seat(ctx, seat)
	if err != nil {
		return 0, nil, err
	}
	// Read first, without the lock: nearly always nothing has changed.
	p := body(s, f, facts, voice)
	digest, err := digestOf(p)
	if err != nil {
		return 0, nil, err
	}
	if digest == s.PolicyDigest {
		return s.PolicyVersion, []byte(s.PolicyJWS), nil
	}
	s, err = r.c.Seats.Update(ctx, seat, func(s *store.Seat) error {
		p := body(*s, f, facts, voice)
		if digest, err = digestOf(p); err != nil || digest == s.PolicyDigest {
			return err
		}
		p.Version, p.Issued = s.PolicyVersion+1, r.c.Now().UTC()
		if err := p.Check(seat); err != nil {
			return fmt.Errorf("%w: %w", ErrNotReady, err)
		}
		doc, err := signed.Seal(r.c.Keys.Signer(), signed.Policy, p)
		if err != nil {
			return err
		}
		s.PolicyVersion, s.PolicyDigest, s.PolicyJWS = p.Version, digest, string(doc)
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	r.c.Log.Info("policy changed", "seat", seat, "version", s.PolicyVersion)
	return s.PolicyVersion, []byte(s.PolicyJWS), nil
}

func body(s store.Seat, f settings.File, facts, voice []fleet.Recipient) fleet.Policy {
	p := fleet.Policy{
		Seat: s.Name, Centre: f.Name, PBX: s.PBX, Agents: s.Agents,
		Dial:      fleet.Dial{Emergency: f.Dial.Emergency, Internal: f.Dial.Internal, BlindTransfer: f.Dial.BlindTransfer},
		Recording: fleet.Recording{Enabled: f.Recording.Enabled, Basis: f.Recording.Basis, Facts: facts, Voice: voice},
		Times:     fleet.Times(f.Times),
		Retention: fleet.Retention(f.Retention),
	}
	if len(p.Agents) == 0 {
		p.Agents = f.Agents
	}
	if s.Dial != nil {
		p.Dial = *s.Dial
	}
	return p
}

func digestOf(p fleet.Policy) (string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("policy: %w", err)
	}
	return fleet.Digest(b), nil
}

// Shown is a policy for people's eyes: secrets are left out.
func (r *Roster) Shown(ctx context.Context, seat string) (fleet.Policy, error) {
	var p fleet.Policy
	_, doc, err := r.Policy(ctx, seat)
	if err != nil {
		return p, err
	}
	payload, err := signed.Unverified(doc) // signed by this centre just now
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return p, err
	}
	for i := range p.PBX {
		if p.PBX[i].Password != "" {
			p.PBX[i].Password = "(set)"
		}
	}
	return p, nil
}

// Own are settings of one seat in place of the centre's; nil leaves as it is.
type Own struct {
	Agents *[]string
	Dial   *fleet.Dial
}

// Set changes one seat's own settings.
func (r *Roster) Set(ctx context.Context, seat string, o Own) error {
	if o.Agents != nil {
		if err := settings.CheckAgents(*o.Agents); err != nil {
			return err
		}
	}
	if o.Dial != nil {
		if err := errors.Join(settings.CheckNumbers("emergency", o.Dial.Emergency), settings.CheckNumbers("internal", o.Dial.Internal)); err != nil {
			return err
		}
	}
	_, err := r.c.Seats.Update(ctx, seat, func(s *store.Seat) error {
		if o.Agents != nil {
			s.Agents = *o.Agents
		}
		if o.Dial != nil {
			s.Dial = o.Dial
		}
		return nil
	})
	return err
}
