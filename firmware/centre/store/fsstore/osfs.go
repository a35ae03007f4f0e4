package fsstore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// OS is the real disk below a directory. Everything it makes is readable by
// its owner only.
func OS(dir string) FS { return osFS{dir} }

type osFS struct{ dir string }

func (o osFS) path(p string) string { return filepath.Join(o.dir, filepath.FromSlash(p)) }

func (o osFS) Open(p string) (File, error) {
	f, err := os.Open(o.path(p))
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (o osFS) Write(p string) (File, error) {
	f, err := os.OpenFile(o.path(p), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (o osFS) Rename(from, to string) error { return os.Rename(o.path(from), o.path(to)) }
func (o osFS) Remove(p string) error        { return os.Remove(o.path(p)) }

func (o osFS) Mkdir(p string) error {
	err := os.Mkdir(o.path(p), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (o osFS) ReadDir(p string) ([]fs.DirEntry, error) { return os.ReadDir(o.path(p)) }

func (o osFS) SyncDir(p string) error {
	d, err := os.Open(o.path(p))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (o osFS) Free() (int64, error) { return free(o.dir) }

func (o osFS) Lock(p string) (io.Closer, error) { return lock(o.path(p)) }

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	i, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return i.Size(), nil
}
