package vault

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// OpenDir is the FS of a real directory, made with mode 0700 if missing.
func OpenDir(dir string) (FS, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make recordings' directory: %w", err)
	}
	parent, err := os.Open(filepath.Dir(filepath.Clean(dir)))
	if err == nil {
		err = errors.Join(syncDir(parent), parent.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("make recordings' directory: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open recordings' directory: %w", err)
	}
	return &osFS{dir: dir, d: d}, nil
}

type osFS struct {
	dir string
	d   *os.File // for SyncDir: one descriptor, so that a failed sync is not missed
}

func (o *osFS) path(name string) (string, error) {
	if name == "" || filepath.Base(name) != name || name == "." || name == ".." {
		return "", fmt.Errorf("file name %q: %w", name, fs.ErrInvalid)
	}
	return filepath.Join(o.dir, name), nil
}

func (o *osFS) Open(name string, create bool) (File, error) {
	p, err := o.path(name)
	if err != nil {
		return nil, err
	}
	flag := os.O_RDWR
	if create {
		flag |= os.O_CREATE
	}
	f, err := os.OpenFile(p, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (o *osFS) Rename(from, to string) error {
	a, err := o.path(from)
	if err != nil {
		return err
	}
	b, err := o.path(to)
	if err != nil {
		return err
	}
	return os.Rename(a, b)
}

func (o *osFS) Remove(name string) error {
	p, err := o.path(name)
	if err != nil {
		return err
	}
	return os.Remove(p)
}

func (o *osFS) List() ([]Info, error) {
	es, err := os.ReadDir(o.dir)
	if err != nil {
		return nil, err
	}
	var out []Info
	for _, e := range es {
		if !e.Type().IsRegular() {
			continue
		}
		i, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, Info{Name: e.Name(), Size: i.Size()})
	}
	return out, nil
}

func (o *osFS) SyncDir() error { return syncDir(o.d) }

func (o *osFS) Space() (free, total int64, err error) { return diskSpace(o.dir) }

func (o *osFS) Lock() (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(o.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("another deskset uses %s: %w", o.dir, err), f.Close())
	}
	return f, nil
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	i, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return i.Size(), nil
}

func (f osFile) Sync() error { return dataSync(f.File) }
