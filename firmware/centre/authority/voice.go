package authority

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"deskset/firmware/fleet"
	"deskset/firmware/vault/sealed"
)

// voiceFormat marks the small file that carries public halves from the
// offline machine to the centre.
const voiceFormat = "deskset-voice-keys/1"

// maxVoiceKeys leaves room in a part's header beside the facts key.
const maxVoiceKeys = 4

// VoiceKeys are the public halves of the offline keys.
type VoiceKeys struct {
	Format string     `json:"format"`
	Keys   []VoiceKey `json:"keys"`
}

// VoiceKey is one public half.
type VoiceKey struct {
	Name string `json:"name"` // "primary", "escrow"
	ID   string `json:"id"`
	Key  string `json:"key"` // base64
}

// MakeVoiceKeys makes the offline keys in dir: primary.key and escrow.key
// (0600, for two different places) and voice.pub for the centre. It runs on a
// machine that is not the centre, and refuses to overwrite.
func MakeVoiceKeys(dir string) (VoiceKeys, error) {
	out := VoiceKeys{Format: voiceFormat}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return out, fmt.Errorf("make voice keys: %w", err)
	}
	for _, name := range []string{"primary", "escrow"} {
		k, err := sealed.GenerateKey(sealed.Offline)
		if err != nil {
			return out, fmt.Errorf("make voice keys: %w", err)
		}
		b, err := sealed.MarshalPrivate(k)
		if err != nil {
			return out, err
		}
		if err := writeNew(filepath.Join(dir, name+".key"), b, 0o600); err != nil {
			return out, fmt.Errorf("make voice keys: %w", err)
		}
		r := k.Public().Recipient()
		out.Keys = append(out.Keys, VoiceKey{Name: name, ID: r.ID, Key: r.Key})
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return out, err
	}
	return out, writeNew(filepath.Join(dir, "voice.pub"), append(b, '\n'), 0o644)
}

// ParseVoiceKeys reads such a file. A private key in it is refused loudly.
func ParseVoiceKeys(b []byte) (VoiceKeys, error) {
	var v VoiceKeys
	if bytes.Contains(b, []byte("-----BEGIN "+string(sealed.Offline))) {
		return v, errors.New("this file holds a PRIVATE voice key: it must never reach the centre; bring voice.pub instead")
	}
	if len(b) > 64<<10 {
		return v, errors.New("voice keys: the file is too large")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return VoiceKeys{}, fmt.Errorf("voice keys: %w", err)
	}
	return v, v.check()
}

func (v VoiceKeys) check() error {
	if v.Format != voiceFormat {
		return fmt.Errorf("voice keys: format %q is not %q", v.Format, voiceFormat)
	}
	if len(v.Keys) == 0 || len(v.Keys) > maxVoiceKeys {
		return fmt.Errorf("voice keys: %d keys, want 1 to %d", len(v.Keys), maxVoiceKeys)
	}
	seen := map[string]bool{}
	for _, k := range v.Keys {
		if err := fleet.SeatName(k.Name); err != nil {
			return fmt.Errorf("voice keys: %w", err)
		}
		if _, err := sealed.ParsePublic(fleet.Recipient{ID: k.ID, Key: k.Key}); err != nil || k.ID == "" {
			return fmt.Errorf("voice key %q: it is damaged: %w", k.Name, err)
		}
		if seen[k.ID] {
			return fmt.Errorf("voice key %q: it is there twice", k.Name)
		}
		seen[k.ID] = true
	}
	return nil
}

// SetVoice replaces the voice keys that new recordings are sealed to.
func (a *Authority) SetVoice(v VoiceKeys) error {
	if err := v.check(); err != nil {
		return err
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(a.path(fileVoice), append(b, '\n'), 0o600)
}

// Voice reads the voice keys; none yet is an empty list. The file is parsed
// again only when it has changed.
func (a *Authority) Voice() (VoiceKeys, error) {
	i, err := os.Stat(a.path(fileVoice))
	if errors.Is(err, fs.ErrNotExist) {
		return VoiceKeys{}, nil
	}
	if err != nil {
		return VoiceKeys{}, fmt.Errorf("voice keys: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.voiceFile != nil && os.SameFile(i, a.voiceFile) && i.ModTime().Equal(a.voiceFile.ModTime()) {
		return a.voice, nil
	}
	b, err := os.ReadFile(a.path(fileVoice))
	if err != nil {
		return VoiceKeys{}, fmt.Errorf("voice keys: %w", err)
	}
	v, err := ParseVoiceKeys(b)
	if err != nil {
		return v, err
	}
	a.voice, a.voiceFile = v, i
	return v, nil
}

// Recipients are the keys of a policy: the online one for facts, the offline
// ones for voice.
func (a *Authority) Recipients() (facts, voice []fleet.Recipient, err error) {
	v, err := a.Voice()
	if err != nil {
		return nil, nil, err
	}
	for _, k := range v.Keys {
		voice = append(voice, fleet.Recipient{ID: k.ID, Key: k.Key})
	}
	return []fleet.Recipient{a.facts.Public().Recipient()}, voice, nil
}
