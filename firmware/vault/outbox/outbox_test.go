package outbox

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/signed"
	"deskset/firmware/vault"
	"deskset/firmware/vault/crashfs"
	"deskset/firmware/vault/sealed"
)

func TestOutbox(t *testing.T) {
	key, err := sealed.GenerateKey(sealed.Offline)
	if err != nil {
		t.Fatal(err)
	}
	to := []fleet.Recipient{key.Public().Recipient()}
	signer := ed25519.NewKeyFromSeed(make([]byte, 32))
	v, err := vault.Open(vault.Config{FS: crashfs.New(), Seat: "S-0001", Signer: signer, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	o := New(v)
	defer o.Close()
	r, err := v.Create(vault.Recipients{Facts: to, Voice: to})
	if err != nil {
		t.Fatal(err)
	}
	r.Facts([]byte("{}"))
	m, err := r.Close(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	<-o.Changed()
	l, err := o.List()
	if err != nil || len(l) != 1 || l[0].ID != m.ID || l[0].Seq != 1 {
		t.Fatalf("%+v: %v", l, err)
	}
	doc, err := o.Manifest(m.ID)
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.OpenPart(m.ID, 1, fleet.Facts)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := o.OpenPart(m.ID, 1, fleet.Voice); err == nil {
		t.Error("a part that is not there")
	}
	sum := sha256.Sum256(doc)
	receipt, err := signed.Seal(signer, signed.Receipt, fleet.Receipt{
		Format: fleet.ReceiptFormat, Seat: "S-0001", Seq: 1, ID: m.ID, Manifest: hex.EncodeToString(sum[:]), Received: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "x", "a.b.c", "a.e30.c"} {
		if err := o.Receipted(m.ID, []byte(bad)); err == nil {
			t.Errorf("receipt %q was taken", bad)
		}
	}
	if err := o.Receipted(m.ID, receipt); err != nil {
		t.Fatal(err)
	}
	if l, err := o.List(); err != nil || len(l) != 0 {
		t.Fatalf("%+v: %v", l, err)
	}
}
