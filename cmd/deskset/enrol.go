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
	key, err := seatKey(filepath.Join(f.StateDir, keyFile), *again)
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
	fmt.Fprintf(std.out, "enrolled as %s\n", r.Seat)
	return nil
}

// seatKey reads the seat's key, or makes it.
func seatKey(path string, fresh bool) (*ecdsa.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if err == nil && !fresh {
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
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
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
	d, err := os.Open(filepath.Dir(path))
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
	if _, err = read(keyFile); err != nil {
		return nil, err
	}
	if id.key, err = seatKey(filepath.Join(dir, keyFile), false); err != nil {
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
	if id.policy, err = fleet.LoadPolicy(filepath.Join(dir, policyFile), id.centre, id.name); err != nil {
		return nil, fmt.Errorf("policy: %w; enrol the seat again", err)
	}
	b, err := read(instanceFile)
	id.instance = string(b)
	return id, err
}
