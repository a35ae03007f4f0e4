package authority

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"deskset/firmware/fleet"
)

// BundleFormat is the format of Bundle.
const BundleFormat = "deskset-auditor/1"

// Bundle is the one small file an auditor works with. It holds a private key:
// mode 0600. It opens the centre's list of recordings, but no voice.
type Bundle struct {
	Format    string `json:"format"`
	Name      string `json:"name"`
	URL       string `json:"url"`
	CA        string `json:"ca"`         // PEM
	Cert      string `json:"cert"`       // PEM
	Key       string `json:"key"`        // PEM
	CentreKey string `json:"centre_key"` // PEM, verifies receipts and vCons
}

// ParseBundle reads an auditor's file.
func ParseBundle(b []byte) (Bundle, error) {
	var x Bundle
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&x); err != nil || x.Format != BundleFormat {
		return x, fmt.Errorf("auditor's file: it is not a %s file, as \"deskfleet auditors add\" writes it", BundleFormat)
	}
	_, _, err := parsePair([]byte(x.Cert), []byte(x.Key))
	if err != nil {
		return x, fmt.Errorf("auditor's file: %w", err)
	}
	return x, nil
}

// auditor is a line of the list of auditors.
type auditor struct {
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"not_after"`
	Revoked  bool      `json:"revoked,omitempty"`
}

func (a *Authority) auditors() (map[string]auditor, error) {
	m := map[string]auditor{}
	b, err := os.ReadFile(a.path(fileAuditors))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("auditors: %w", err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("auditors: %w", err)
	}
	return m, nil
}

func (a *Authority) setAuditor(name string, x auditor) error {
	m, err := a.auditors()
	if err != nil {
		return err
	}
	m[name] = x
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(a.path(fileAuditors), append(b, '\n'), 0o600)
}

// AddAuditor makes an auditor's file; an earlier one of the name is ended.
func (a *Authority) AddAuditor(name, url string, now time.Time, life time.Duration) (Bundle, error) {
	if err := fleet.SeatName(name); err != nil {
		return Bundle{}, fmt.Errorf("auditor: %w", err)
	}
	a.auditMu.Lock()
	defer a.auditMu.Unlock()
	leaf, key, err := a.clientPair(Auditor, name, now, life)
	if err != nil {
		return Bundle{}, err
	}
	kp, err := keyPEM(key)
	if err != nil {
		return Bundle{}, err
	}
	pub, err := a.PublicPEM()
	if err != nil {
		return Bundle{}, err
	}
	if err := a.setAuditor(name, auditor{Serial: SerialOf(leaf), NotAfter: leaf.NotAfter}); err != nil {
		return Bundle{}, err
	}
	return Bundle{
		Format: BundleFormat, Name: name, URL: url, CA: string(a.CA()),
		Cert: string(certPEM(leaf.Raw)), Key: string(kp), CentreKey: string(pub),
	}, nil
}

// RevokeAuditor ends an auditor's access.
func (a *Authority) RevokeAuditor(name string) error {
	a.auditMu.Lock()
	defer a.auditMu.Unlock()
	m, err := a.auditors()
	if err != nil {
		return err
	}
	x, ok := m[name]
	if !ok {
		return fmt.Errorf("auditor %q is not on the list", name)
	}
	x.Revoked = true
	return a.setAuditor(name, x)
}

// AdmitAuditor says whether the holder of an auditor's certificate may come in.
func (a *Authority) AdmitAuditor(h Holder) error {
	a.auditMu.Lock()
	defer a.auditMu.Unlock()
	m, err := a.auditors()
	if err != nil {
		return err
	}
	if x, ok := m[h.Name]; !ok || x.Revoked || x.Serial != h.Serial {
		return fmt.Errorf("auditor %s is not on the list, or was revoked", h.Name)
	}
	return nil
}

// Client is the auditor's HTTPS client.
func (x Bundle) Client() (*fleet.Client, error) {
	_, key, err := parsePair([]byte(x.Cert), []byte(x.Key))
	if err != nil {
		return nil, fmt.Errorf("auditor's file: %w", err)
	}
	return fleet.NewClient(fleet.ClientConfig{URL: x.URL, CA: []byte(x.CA), Chain: []byte(x.Cert), Key: key})
}
