package fleet

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"deskset/firmware/signed"
)

// SavePolicy keeps the signed policy so that a power cut leaves either the
// old or the new one, whole. The file is readable by its owner only: it holds
// the seat's PBX password.
func SavePolicy(path string, doc []byte) error {
	if err := writeDurable(path, doc); err != nil {
		return fmt.Errorf("save policy: %w", err)
	}
	return nil
}

// LoadPolicy reads what SavePolicy wrote and verifies it as if it had just
// come from the centre. The error is fs.ErrNotExist before the first policy.
func LoadPolicy(path string, centre crypto.PublicKey, seat string) (*Policy, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	defer f.Close()
	doc, err := io.ReadAll(io.LimitReader(f, signed.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	p, err := OpenPolicy(centre, seat, doc)
	if err != nil {
		return nil, fmt.Errorf("load policy %s: %w", path, err)
	}
	return p, nil
}

// writeDurable replaces path by way of a synced temporary file and a synced
// directory.
func writeDurable(path string, b []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(os.Remove(f.Name())))
		}
	}()
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
