package intake_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/centretest"
	"deskset/firmware/centre/intake"
	"deskset/firmware/centre/store"
	"deskset/firmware/centre/store/crashfs"
	"deskset/firmware/centre/store/fsstore"
	"deskset/firmware/fleet"
	"deskset/firmware/vault/sealed"
)

var t0 = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// rig is an intake over a disk that can be cut.
type rig struct {
	auth  *authority.Authority
	voice *sealed.PrivateKey
	key   *ecdsa.PrivateKey // the seat's
	log   *slog.Logger

	disk *crashfs.FS
	in   *intake.Intake
	recs store.Recordings
	st   *fsstore.Store
}

const seat = "S-0001"

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{log: slog.New(slog.DiscardHandler)}
	var err error
	if r.auth, err = authority.Create(t.TempDir(), "centre-1", []string{"127.0.0.1"}, t0); err != nil {
		t.Fatal(err)
	}
	if r.voice, err = sealed.GenerateKey(sealed.Offline); err != nil {
		t.Fatal(err)
	}
	if r.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	r.fresh(t)
	return r
}

// fresh begins with an empty disk that knows the seat.
func (r *rig) fresh(t testing.TB) {
	t.Helper()
	r.disk = crashfs.New()
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	if err := r.st.Seats().Create(context.Background(), store.Seat{Name: seat, Certs: []store.Cert{{Serial: "1", Key: pubPEM(t, r.key.Public())}}}); err != nil {
		t.Fatal(err)
	}
}

func pubPEM(t testing.TB, k crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// open starts the centre's process on the disk as it is.
func (r *rig) open() error {
	var err error
	if r.st, err = fsstore.New(r.disk); err != nil {
		return err
	}
	r.recs = r.st.Recordings()
	if r.in, err = intake.New(intake.Config{
		Recordings: r.recs, Seats: r.st.Seats(), Holds: r.st.Holds(), Centre: "centre-1", BaseURL: "https://centre:8443",
		Signer: r.auth.Signer(), Chain: r.auth.Chain(), Facts: r.auth.Facts(),
		Retain: func() time.Duration { return 30 * 24 * time.Hour }, Now: func() time.Time { return t0 }, Log: r.log,
	}); err != nil {
		return err
	}
	return r.in.Load(context.Background())
}

func (r *rig) spec(seq uint64) centretest.Spec {
	return centretest.Spec{
		Seat: seat, Seq: seq, Key: r.key, Seconds: 1,
		Facts: []fleet.Recipient{r.auth.Facts().Public().Recipient()}, Voice: []fleet.Recipient{r.voice.Public().Recipient()},
	}
}

// acked is what the centre has said is durable.
type acked struct {
	manifest bool
	have     map[string]int64
	receipt  []byte
}

// send is a careful client: it asks the state, sends what is missing in pieces
// of the given size, and takes the receipt.
func (r *rig) send(rec *centretest.Recording, piece int64, a *acked) error {
	ctx := context.Background()
	id := rec.Manifest.ID
	if a.have == nil {
		a.have = map[string]int64{}
	}
	st, err := r.in.State(ctx, seat, id)
	var refused *intake.Error
	if errors.As(err, &refused) && refused.Status == 404 {
		st, err = fleet.UploadState{}, nil
	}
	if err != nil {
		return err
	}
	if !st.Manifest {
		if err := r.in.Manifest(ctx, seat, id, rec.Doc); err != nil {
			return err
		}
		a.manifest = true
	}
	for _, p := range rec.Manifest.Parts {
		have := int64(0)
		done := false
		for _, x := range st.Parts {
			if x.N == p.N && x.Kind == p.Kind {
				have, done = x.Have, x.Done
			}
		}
		for !done {
			n := min(piece, p.Size-have)
			rng := fleet.Range{From: have, To: have + n - 1, Total: p.Size}
			now, err := r.in.Put(ctx, seat, id, store.PartKey{N: p.N, Kind: p.Kind}, rng, bytes.NewReader(rec.Parts[p.Name()][have:have+n]))
			if err != nil {
				return err
			}
			for _, x := range now.Parts {
				if x.N == p.N && x.Kind == p.Kind {
					have, done = x.Have, x.Done
				}
			}
			a.have[p.Name()] = have
		}
	}
	got, err := r.in.Receipt(ctx, seat, id)
	if err != nil {
		return err
	}
	a.receipt = got
	return nil
}

// kept says whether everything acknowledged is still there.
func (r *rig) kept(rec *centretest.Recording, a acked) error {
	ctx := context.Background()
	id := rec.Manifest.ID
	if a.manifest {
		if b, err := r.recs.Doc(ctx, id, store.Manifest); err != nil || !bytes.Equal(b, rec.Doc) {
			return fmt.Errorf("the acknowledged manifest is gone: %v", err)
		}
	}
	for name, n := range a.have {
		for _, p := range rec.Manifest.Parts {
			if p.Name() != name {
				continue
			}
			have, _, err := r.recs.Have(ctx, id, store.PartKey{N: p.N, Kind: p.Kind})
			if err != nil || have < n {
				return fmt.Errorf("part %s: %d bytes acknowledged, %d held: %v", name, n, have, err)
			}
		}
	}
	if a.receipt == nil {
		return nil
	}
	if b, err := r.recs.Doc(ctx, id, store.Receipt); err != nil || !bytes.Equal(b, a.receipt) {
		return fmt.Errorf("the receipt is gone or another one: %v", err)
	}
	for _, d := range []store.Doc{store.Intake, store.VCon} {
		if _, err := r.recs.Doc(ctx, id, d); err != nil {
			return fmt.Errorf("receipt given, but %s is gone: %w", d, err)
		}
	}
	for _, p := range rec.Manifest.Parts {
		f, err := r.recs.Open(ctx, id, store.PartKey{N: p.N, Kind: p.Kind})
		if err != nil {
			return fmt.Errorf("receipt given, but part %s is gone: %w", p.Name(), err)
		}
		b := make([]byte, f.Size())
		if _, err := f.ReadAt(b, 0); err != nil || !bytes.Equal(b, rec.Parts[p.Name()]) {
			return fmt.Errorf("receipt given, but part %s is changed: %v", p.Name(), err)
		}
	}
	return nil
}
