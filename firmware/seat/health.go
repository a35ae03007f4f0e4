package seat

import (
	"crypto/tls"
	"errors"
	"time"

	"deskset/firmware/panel"
	"deskset/firmware/sipua"
)

// spaceEvery is how often the disk is asked for its free space.
const spaceEvery = 10 * time.Second

// healthView says how each part of the seat is, in words with the next step.
func (s *Seat) healthView() []panel.Health {
	h := []panel.Health{
		s.pbxHealth(),
		{Part: "centre", OK: s.centreUp, Code: unless(s.centreUp, "centre-unreachable"), Text: s.centreErr},
		{Part: "headset", OK: s.cfg.Headset.Present(), Code: unless(s.cfg.Headset.Present(), "headset-missing")},
		{Part: "panel", OK: s.state.Stuck == "", Code: unless(s.state.Stuck == "", "key-stuck"), Text: string(s.state.Stuck)},
		{Part: "recording", OK: !s.state.Rec.Failed, Code: unless(!s.state.Rec.Failed, "recording-failed"), Text: s.recFault()},
	}
	for _, l := range s.inHand() {
		if l.silent {
			h = append(h, panel.Health{Part: "sound", Code: "sound-stalled", Text: "nothing comes from the far end"})
			break
		}
	}
	return append(h, s.diskHealth())
}

func (s *Seat) pbxHealth() panel.Health {
	switch {
	case s.state.Online:
		return panel.Health{Part: "pbx", OK: true}
	case s.pbxErr == "": // the first registration is under way
		return panel.Health{Part: "pbx", Code: "starting"}
	default:
		return panel.Health{Part: "pbx", Code: s.pbxCode, Text: s.pbxErr}
	}
}

// pbxCode sorts what a user agent has lost its registration for.
func pbxCode(err error) string {
	var wrong *tls.CertificateVerificationError
	switch {
	case errors.Is(err, sipua.ErrCredentials):
		return "pbx-refused"
	case errors.As(err, &wrong):
		return "pbx-certificate"
	default:
		return "pbx-unreachable"
	}
}

func (s *Seat) diskHealth() panel.Health {
	if now := s.now(); s.spaceAt == 0 || now >= s.spaceAt+spaceEvery {
		s.spaceAt = now
		s.space, s.spaceErr = s.cfg.Vault.Space()
	}
	switch {
	case s.spaceErr != nil:
		return panel.Health{Part: "disk", Code: "vault-damaged", Text: s.spaceErr.Error()}
	case s.space.Full():
		return panel.Health{Part: "disk", Code: "disk-full", Text: "no recorded call may begin; let recordings upload, or tell IT"}
	case s.space.Alarm():
		return panel.Health{Part: "disk", Code: "disk-low", Text: "less than 40 % is free; let recordings upload, or tell IT"}
	default:
		return panel.Health{Part: "disk", OK: true}
	}
}

func unless(ok bool, code string) string {
	if ok {
		return ""
	}
	return code
}
