// Package outbox shows the vault to the uploader: what waits for the centre,
// and where its receipt goes.
package outbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"deskset/firmware/fleet"
	"deskset/firmware/upload"
	"deskset/firmware/vault"
)

// Outbox is an upload.Store over a vault.
type Outbox struct {
	v       *vault.Vault
	changed <-chan struct{}
	stop    func()
}

var _ upload.Store = (*Outbox)(nil)

// New opens the outbox; Close ends its subscription.
func New(v *vault.Vault) *Outbox {
	o := &Outbox{v: v}
	o.changed, o.stop = v.Changed()
	return o
}

// Close ends the subscription.
func (o *Outbox) Close() { o.stop() }

// Changed receives when List may have grown.
func (o *Outbox) Changed() <-chan struct{} { return o.changed }

// List names the sealed recordings without a receipt.
func (o *Outbox) List() ([]upload.Recording, error) {
	var out []upload.Recording
	for _, e := range o.v.List() {
		if e.State == vault.Sealed {
			out = append(out, upload.Recording{ID: e.ID, Seq: e.Seq})
		}
	}
	return out, nil
}

// Manifest is the signed manifest.
func (o *Outbox) Manifest(id string) ([]byte, error) { return o.v.Manifest(id) }

// OpenPart opens one sealed file.
func (o *Outbox) OpenPart(id string, n int, kind fleet.Kind) (upload.Part, error) {
	p, err := o.v.OpenPart(id, n, kind)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Receipted keeps a receipt whose signature the uploader has verified.
func (o *Outbox) Receipted(id string, receipt []byte) error {
	_, rest, _ := strings.Cut(string(receipt), ".")
	payload, _, _ := strings.Cut(rest, ".")
	b, err := base64.RawURLEncoding.DecodeString(payload)
	var r fleet.Receipt
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return fmt.Errorf("receipt for %s: %w", id, err)
	}
	return o.v.Receipted(id, receipt, r)
}
