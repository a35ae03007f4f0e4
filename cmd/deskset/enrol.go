package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"deskset/firmware/config"
	"deskset/firmware/fleet"

	"github.com/google/uuid"
)

// errRefused marks a refusal by the centre.
var errRefused = errors.New("refused")

// Files of the seat's identity in the state directory.
const (
	keyFile      = "seat.key"      // PEM, 0600; made here and never sent
	newKeyFile   = "seat.key.next" // the key of an enrolment that is not finished
	chainFile    = "seat.crt"      // PEM, leaf first
	caFile       = "ca.pem"        // the pinned CA
	centreFile   = "centre.pub"    // signs policies and receipts
	policyFile   = "policy.jws"    // newest verified policy
	instanceFile = "instance.uuid" // RFC 5626
)

// identity is an enrolled seat.
type identity struct {
	key      crypto.Signer
	chain    []byte
	ca       []byte
	centre   crypto.PublicKey
	name     string
	policy   *fleet.Policy
	instance string
}

func enrolVerb(ctx context.Context, std stdio, args []string) error {
	fl := flags(std, "enrol")
	path := fl.String("config", defaultConfig, "configuration `file`")
	token := fl.String("token", "", "one-time `token` that `deskfleet seats add` printed")
	again := fl.Bool("again", false, "replace an identity that the seat has already")
	if err := parse(fl, args, 0); err != nil {
		return err
	}
	if *token == "" {
		return fmt.Errorf("%w: --token is missing", errUsage)
	}
	f, err := config.Load(*path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(f.StateDir, chainFile)); err == nil && !*again {
		return fmt.Errorf("%w: this seat is enrolled already; use --again to replace its identity", errRefused)
	}
	if err := os.MkdirAll(f.StateDir, 0o700); err != nil {
		return err
	}
	ca, err := os.ReadFile(f.Centre.CA)
	if err != nil {
		return fmt.Errorf("read the centre's CA: %w", err)
	}
	key, err := nextKey(f.StateDir)
	if err != nil {
		return err
	}
	r, err := fleet.Enrol(ctx, fleet.EnrolConfig{URL: f.Centre.URL, CA: ca, Token: *token, Key: key})
	var status *fleet.StatusError
	if errors.As(err, &status) {
		return fmt.Errorf("%w by the centre: %w", errRefused, err)
	}
	if err != nil {
		return err
	}
	for _, w := range []struct {
		name string
		data []byte
	}{{caFile, ca}, {centreFile, []byte(r.CentreKey)}, {policyFile, []byte(r.PolicyJWS)},
		{instanceFile, []byte("urn:uuid:" + uuid.NewString())}, {chainFile, []byte(r.Chain)}} { // the chain last: it says "enrolled"
		if err := writeDurably(filepath.Join(f.StateDir, w.name), w.data); err != nil {
			return err
		}
	}
	if err := takeKey(f.StateDir); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "enrolled as %s\n", r.Seat)
	return nil
}

// seatKey reads a key.
func seatKey(path string) (*ecdsa.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	blk, _ := pem.Decode(b)
	if blk == nil {
		return nil, fmt.Errorf("%s holds no PEM key; enrol with --again to make a new one", path)
	}
	k, err := x509.ParseECPrivateKey(blk.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged (%w); enrol with --again to make a new one", path, err)
	}
	return k, nil
}

// nextKey makes the key to enrol with, or reads the one of an enrolment that
// failed. The key that the seat has stays until the centre has signed this one.
func nextKey(dir string) (*ecdsa.PrivateKey, error) {
	path := filepath.Join(dir, newKeyFile)
	if k, err := seatKey(path); err == nil {
		return k, nil
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return nil, err
	}
	return k, writeDurably(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// takeKey makes the key of the enrolment the seat's own.
func takeKey(dir string) error {
	if err := os.Rename(filepath.Join(dir, newKeyFile), filepath.Join(dir, keyFile)); err != nil {
		return fmt.Errorf("take the new key: %w", err)
	}
	return syncDir(dir)
}

// ownKey is the key of the certificate. After a cut at the end of an enrolment
// that is the next one.
func ownKey(dir string, leaf *x509.Certificate) (*ecdsa.PrivateKey, error) {
	for _, next := range []bool{false, true} {
		name := map[bool]string{false: keyFile, true: newKeyFile}[next]
		k, err := seatKey(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !k.PublicKey.Equal(leaf.PublicKey) {
			continue
		}
		if next {
			err = takeKey(dir)
		}
		return k, err
	}
	return nil, fmt.Errorf("%s in %s is not the key of %s: enrol the seat again", keyFile, dir, chainFile)
}

// writeDurably leaves either the old file or the new one after a power cut.
func writeDurably(path string, data []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// loadIdentity reads what enrol wrote.
func loadIdentity(dir string) (*identity, error) {
	read := func(name string) ([]byte, error) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("this seat is not enrolled (no %s in %s): get a token at the centre with `deskfleet seats add`, then `deskset enrol --token TOKEN`", name, dir)
		}
		return b, err
	}
	id := &identity{}
	var err error
	if id.chain, err = read(chainFile); err != nil {
		return nil, err
	}
	if id.ca, err = read(caFile); err != nil {
		return nil, err
	}
	pub, err := read(centreFile)
	if err != nil {
		return nil, err
	}
	if id.centre, err = fleet.ParseCentreKey(pub); err != nil {
		return nil, err
	}
	blk, _ := pem.Decode(id.chain)
	if blk == nil {
		return nil, fmt.Errorf("%s is damaged: enrol the seat again", chainFile)
	}
	leaf, err := x509.ParseCertificate(blk.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): enrol the seat again", chainFile, err)
	}
	id.name = leaf.Subject.CommonName
	if id.key, err = ownKey(dir, leaf); err != nil {
		return nil, err
	}
	if id.policy, err = fleet.LoadPolicy(filepath.Join(dir, policyFile), id.centre, id.name); err != nil {
		return nil, fmt.Errorf("policy: %w; enrol the seat again", err)
	}
	b, err := read(instanceFile)
	id.instance = string(b)
	return id, err
}
