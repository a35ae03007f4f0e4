package fsstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"

	"deskset/firmware/centre/store"
)

// Store implements every interface of package store, but for Recordings,
// Holds and Log, whose methods have names in common: see their accessors.
type Store struct {
	fs FS
	mu sync.Mutex // of this process; FS.Lock keeps other processes out

	partMu sync.Mutex
	parts  map[string]*pathLock // by path: one writer a part
}

// New opens a store, which may be empty.
func New(f FS) (*Store, error) {
	s := &Store{fs: f, parts: map[string]*pathLock{}}
	for _, d := range []string{dirRec, dirSeats, dirTokens, dirUsed, dirHolds, dirLog} {
		if err := s.fs.Mkdir(d); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	for _, d := range []string{".", dirTokens} {
		if err := s.fs.SyncDir(d); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	return s, nil
}

const (
	dirRec    = "rec"
	dirSeats  = "seats"
	dirTokens = "tokens"
	dirUsed   = "tokens/used"
	dirHolds  = "holds"
	dirLog    = "log"
	fileLock  = "lock"
	fileLog   = "log/log.jsonl"
)

// locked runs f while no other goroutine or process is inside locked.
func (s *Store) locked(f func() error) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.fs.Lock(fileLock)
	if err != nil {
		return fmt.Errorf("lock the store: %w", err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return f()
}

// full marks errors of a full disk.
func full(err error) error {
	if err != nil && isFull(err) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}

// notFound turns the file system's word into the store's.
func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return store.ErrNotFound
	}
	return err
}

// read returns a whole small file.
func (s *Store) read(p string) ([]byte, error) {
	f, err := s.fs.Open(p)
	if err != nil {
		return nil, notFound(err)
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		return nil, err
	}
	if n > maxFile {
		return nil, fmt.Errorf("read %s: %d bytes is too large", p, n)
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	return b, nil
}

// maxFile bounds what read takes into memory, in bytes.
const maxFile = 64 << 20

// replace writes a whole small file: temporary file, sync, rename, sync of the
// directory. Two writers of one path must be kept apart by the caller.
func (s *Store) replace(p string, b []byte) (err error) {
	tmp := path.Join(path.Dir(p), tmpPrefix+path.Base(p))
	defer func() {
		if err != nil {
			err = full(fmt.Errorf("write %s: %w", p, err))
		}
	}()
	f, err := s.fs.Write(tmp)
	if err != nil {
		return err
	}
	err = f.Truncate(0) // a left-over of an earlier cut
	if err == nil {
		_, err = f.WriteAt(b, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, ignoreMissing(s.fs.Remove(tmp)))
	}
	if err = s.fs.Rename(tmp, p); err != nil {
		return err
	}
	return s.fs.SyncDir(path.Dir(p))
}

// tmpPrefix marks files that are not there yet.
const tmpPrefix = ".new-"

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// mkdirs makes a directory and its parents durably.
func (s *Store) mkdirs(p string) error {
	at := "."
	for _, name := range strings.Split(p, "/") {
		next := path.Join(at, name)
		if err := s.fs.Mkdir(next); err != nil {
			return full(err)
		}
		// Always: an earlier process may have been cut between the two.
		if err := s.fs.SyncDir(at); err != nil {
			return full(err)
		}
		at = next
	}
	return nil
}

func readJSON(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

func jsonLine(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	return append(b, '\n'), err
}
