// Package uploadtest is the conformance suite of upload.Store: the fake and
// the vault run the same tests.
package uploadtest

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"testing"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/signed"
	"deskset/firmware/upload"
)

// Factory makes an empty store. record puts one more closed recording with at
// least one part into it, as a seat does.
type Factory func(t *testing.T) (s upload.Store, record func(t *testing.T))

// Run runs the suite.
func Run(t *testing.T, f Factory) {
	t.Run("list, read, receipt", func(t *testing.T) {
		s, record := f(t)
		if l, err := s.List(); err != nil || len(l) != 0 {
			t.Fatalf("an empty store lists %v, %v", l, err)
		}
		changed := s.Changed()
		record(t)
		waitFor(t, changed)
		record(t)
		l, err := s.List()
		if err != nil || len(l) != 2 || l[0].Seq == l[1].Seq || l[0].ID == l[1].ID {
			t.Fatalf("listed %v, %v", l, err)
		}
		for _, r := range l {
			read(t, s, r)
		}
		rc := Receipt(t, Key(t), s, l[0].ID)
		if err := s.Receipted(l[0].ID, rc); err != nil {
			t.Fatal(err)
		}
		if err := s.Receipted(l[0].ID, rc); err != nil {
			t.Fatal("the same receipt again:", err)
		}
		left, err := s.List()
		if err != nil || len(left) != 1 || left[0].ID != l[1].ID {
			t.Fatalf("after a receipt: %v, %v", left, err)
		}
		read(t, s, l[0]) // it stays readable until the verdict
	})
	t.Run("unknown", func(t *testing.T) {
		s, _ := f(t)
		const id = "0f8fad5b-d9cb-469f-a165-70867728950e"
		if _, err := s.Manifest(id); err == nil {
			t.Error("a manifest of nothing")
		}
		if _, err := s.OpenPart(id, 1, fleet.Voice); err == nil {
			t.Error("a part of nothing")
		}
		if err := s.Receipted(id, []byte("x.x.x")); err == nil {
			t.Error("a receipt for nothing")
		}
	})
}

func waitFor(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("Changed said nothing of a new recording")
	}
}

func read(t *testing.T, s upload.Store, r upload.Recording) {
	t.Helper()
	doc, err := s.Manifest(r.ID)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Manifest(r.ID)
	if err != nil || string(again) != string(doc) {
		t.Fatal("the manifest is another one the second time", err)
	}
	m := manifest(t, doc)
	if err := m.Check(m.Seat); err != nil {
		t.Fatal(err)
	}
	if m.ID != r.ID || m.Seq != r.Seq || len(m.Parts) == 0 {
		t.Fatalf("manifest %+v of %+v", m, r)
	}
	for _, p := range m.Parts {
		f, err := s.OpenPart(r.ID, p.N, p.Kind)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		n, err := io.Copy(h, io.NewSectionReader(f, 0, p.Size+1))
		if err != nil || n != p.Size || hex.EncodeToString(h.Sum(nil)) != p.SHA256 {
			t.Fatalf("part %s: %d bytes, %v", p.Name(), n, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.OpenPart(r.ID, 999, fleet.Voice); err == nil {
		t.Error("a part that the manifest does not name")
	}
}

func manifest(t testing.TB, doc []byte) fleet.Manifest {
	t.Helper()
	b, err := signed.Unverified(doc)
	if err != nil {
		t.Fatal(err)
	}
	var m fleet.Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Key makes a centre's signing key.
func Key(t testing.TB) crypto.Signer {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Receipt is the right receipt for a recording, by the key.
func Receipt(t testing.TB, key crypto.Signer, s upload.Store, id string) []byte {
	t.Helper()
	doc, err := s.Manifest(id)
	if err != nil {
		t.Fatal(err)
	}
	m := manifest(t, doc)
	now := time.Now().UTC()
	b, err := signed.Seal(key, signed.Receipt, fleet.Receipt{
		Format: fleet.ReceiptFormat, Centre: "c", Seat: m.Seat, Seq: m.Seq, ID: m.ID, Manifest: fleet.Digest(doc),
		Received: now, RetainUntil: now.Add(30 * 24 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
