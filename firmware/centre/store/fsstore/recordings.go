package fsstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
)

// Recordings is the store's part that keeps recordings, each in a directory
// of its own: rec/<first two digits>/<id>/. A part grows as "0.voice.part" and
// is renamed to "0.voice" once its hash fits.
func (s *Store) Recordings() store.Recordings { return recordings{s} }

type recordings struct{ *Store }

func recDir(id string) (string, error) {
	if err := fleet.RecordingID(id); err != nil {
		return "", err
	}
	return path.Join(dirRec, id[:2], id), nil
}

func partPath(id string, p store.PartKey) (string, error) {
	dir, err := recDir(id)
	if err != nil {
		return "", err
	}
	if p.N < 0 || p.Kind != fleet.Facts && p.Kind != fleet.Voice {
		return "", fmt.Errorf("part %s: no such name", p)
	}
	return path.Join(dir, fmt.Sprintf("%d.%s", p.N, p.Kind)), nil
}

func docPath(id string, d store.Doc) (string, error) {
	dir, err := recDir(id)
	if err != nil {
		return "", err
	}
	switch d {
	case store.Manifest, store.Receipt, store.VCon, store.Intake, store.Tombstone:
		return path.Join(dir, string(d)), nil
	}
	return "", fmt.Errorf("document %q: no such name", d)
}

// growing is the suffix of a part that is not finished.
const growing = ".part"

// hold locks one path against the other goroutines of this process, and
// returns what unlocks it. Only one process, the serving one, takes recordings
// in.
func (s *Store) hold(p string) func() {
	s.partMu.Lock()
	l := s.parts[p]
	if l == nil {
		l = &pathLock{}
		s.parts[p] = l
	}
	l.users++
	s.partMu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		s.partMu.Lock()
		defer s.partMu.Unlock()
		if l.users--; l.users == 0 {
			delete(s.parts, p)
		}
	}
}

type pathLock struct {
	sync.Mutex
	users int // under Store.partMu
}

func (r recordings) PutDoc(_ context.Context, id string, d store.Doc, b []byte) error {
	p, err := docPath(id, d)
	if err != nil {
		return err
	}
	if len(b) > store.MaxDoc {
		return fmt.Errorf("document %s of %s: %d bytes is too large", d, id, len(b))
	}
	defer r.hold(path.Dir(p))()
	old, err := r.read(p)
	switch {
	case err == nil && bytes.Equal(old, b):
		// It may stand there unsynced, from before a cut of this very call.
		return r.fs.SyncDir(path.Dir(p))
	case err == nil:
		return fmt.Errorf("document %s of %s: %w", d, id, store.ErrConflict)
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	if err := r.mkdirs(path.Dir(p)); err != nil {
		return fmt.Errorf("document %s of %s: %w", d, id, err)
	}
	return r.replace(p, b)
}

func (r recordings) Doc(_ context.Context, id string, d store.Doc) ([]byte, error) {
	p, err := docPath(id, d)
	if err != nil {
		return nil, err
	}
	b, err := r.read(p)
	if err != nil {
		return nil, fmt.Errorf("document %s of %s: %w", d, id, err)
	}
	return b, nil
}

func (r recordings) size(p string) (int64, error) {
	f, err := r.fs.Open(p)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Size()
}

func (r recordings) Have(_ context.Context, id string, k store.PartKey) (int64, bool, error) {
	p, err := partPath(id, k)
	if err != nil {
		return 0, false, err
	}
	return r.have(p)
}

func (r recordings) have(p string) (int64, bool, error) {
	n, err := r.size(p)
	if err == nil {
		return n, true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, false, err
	}
	n, err = r.size(p + growing)
	return n, false, ignoreMissing(err)
}

func (r recordings) Append(ctx context.Context, id string, k store.PartKey, at int64, src io.Reader) (int64, error) {
	p, err := partPath(id, k)
	if err != nil {
		return 0, err
	}
	defer r.hold(p)()
	have, done, err := r.have(p)
	if err != nil {
		return 0, fmt.Errorf("part %s of %s: %w", k, id, err)
	}
	if done || have != at {
		return have, fmt.Errorf("part %s of %s: %w: %d held, %d offered", k, id, store.ErrOffset, have, at)
	}
	if at == 0 {
		if err := r.mkdirs(path.Dir(p)); err != nil {
			return at, fmt.Errorf("part %s of %s: %w", k, id, err)
		}
	}
	f, err := r.fs.Write(p + growing)
	if err != nil {
		return at, fmt.Errorf("part %s of %s: %w", k, id, full(err))
	}
	n, werr, rerr := copyAt(ctx, f, at, src)
	if werr == nil {
		werr = f.Sync()
	}
	if werr == nil && at == 0 {
		werr = r.fs.SyncDir(path.Dir(p))
	}
	if werr != nil {
		// What was written since the last sync cannot be trusted: drop it. What
		// was synced before stays.
		n, werr = 0, full(werr)
		if terr := errors.Join(f.Truncate(at), f.Sync()); terr != nil {
			werr = errors.Join(werr, terr, ignoreMissing(r.fs.Remove(p+growing)))
			at = 0
		}
	}
	cerr := f.Close()
	if err := errors.Join(werr, rerr, cerr); err != nil {
		return at + n, fmt.Errorf("part %s of %s: %w", k, id, err)
	}
	return at + n, nil
}

// copyAt keeps errors of writing apart from those of reading.
func copyAt(ctx context.Context, f File, at int64, src io.Reader) (n int64, werr, rerr error) {
	buf := make([]byte, 64<<10)
	for rerr == nil {
		if rerr = ctx.Err(); rerr != nil {
			break
		}
		fill := 0
		for fill < len(buf) && rerr == nil {
			var k int
			k, rerr = src.Read(buf[fill:])
			fill += k
		}
		if fill > 0 {
			if _, werr := f.WriteAt(buf[:fill], at+n); werr != nil {
				return n, werr, nil
			}
			n += int64(fill)
		}
	}
	if rerr == io.EOF {
		rerr = nil
	}
	return n, nil, rerr
}

func (r recordings) Finish(_ context.Context, id string, k store.PartKey, size int64, sum string) error {
	p, err := partPath(id, k)
	if err != nil {
		return err
	}
	defer r.hold(p)()
	have, done, err := r.have(p)
	if err != nil {
		return fmt.Errorf("part %s of %s: %w", k, id, err)
	}
	from := p
	if !done {
		from += growing
	}
	if have == 0 {
		return fmt.Errorf("part %s of %s: %w", k, id, store.ErrNotFound)
	}
	got, err := r.sum(from)
	if err != nil {
		return fmt.Errorf("part %s of %s: %w", k, id, err)
	}
	fits := have == size && got == sum
	switch {
	case done && !fits:
		return fmt.Errorf("part %s of %s: %w", k, id, store.ErrConflict)
	case done:
		return r.fs.SyncDir(path.Dir(p)) // a cut may have come between rename and sync
	case !fits:
		if err := r.fs.Remove(from); err != nil {
			return fmt.Errorf("part %s of %s: %w", k, id, err)
		}
		return fmt.Errorf("part %s of %s: %w: %d bytes, announced %d", k, id, store.ErrHash, have, size)
	}
	if err := r.settle(from); err != nil {
		return fmt.Errorf("part %s of %s: %w", k, id, err)
	}
	if err := r.fs.Rename(from, p); err != nil {
		return fmt.Errorf("part %s of %s: %w", k, id, err)
	}
	if err := r.fs.SyncDir(path.Dir(p)); err != nil {
		return fmt.Errorf("part %s of %s: %w", k, id, err)
	}
	return nil
}

// settle syncs a file that an earlier process may have written and not synced.
func (r recordings) settle(p string) error {
	f, err := r.fs.Write(p)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (r recordings) sum(p string) (string, error) {
	f, err := r.fs.Open(p)
	if err != nil {
		return "", err
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, n)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

type part struct {
	File
	size int64
}

func (p part) Size() int64 { return p.size }

func (r recordings) Open(_ context.Context, id string, k store.PartKey) (store.Part, error) {
	p, err := partPath(id, k)
	if err != nil {
		return nil, err
	}
	f, err := r.fs.Open(p)
	if err != nil {
		return nil, fmt.Errorf("part %s of %s: %w", k, id, notFound(err))
	}
	n, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return part{f, n}, nil
}

func (r recordings) List(ctx context.Context) ([]string, error) {
	var out []string
	tops, err := r.fs.ReadDir(dirRec)
	if err != nil {
		return nil, fmt.Errorf("list recordings: %w", err)
	}
	for _, t := range tops {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		recs, err := r.fs.ReadDir(path.Join(dirRec, t.Name()))
		if err != nil {
			return nil, fmt.Errorf("list recordings: %w", err)
		}
		for _, d := range recs {
			if fleet.RecordingID(d.Name()) != nil || !strings.HasPrefix(d.Name(), t.Name()) {
				continue
			}
			files, err := r.fs.ReadDir(path.Join(dirRec, t.Name(), d.Name()))
			if err != nil {
				return nil, fmt.Errorf("list recordings: %w", err)
			}
			if slices.ContainsFunc(files, isDoc) {
				out = append(out, d.Name())
			}
		}
	}
	return out, nil
}

func isDoc(e fs.DirEntry) bool {
	return strings.HasSuffix(e.Name(), ".jws") && !strings.HasPrefix(e.Name(), tmpPrefix) ||
		strings.HasSuffix(e.Name(), ".json") && !strings.HasPrefix(e.Name(), tmpPrefix)
}

func (r recordings) Erase(_ context.Context, id string) error {
	dir, err := recDir(id)
	if err != nil {
		return err
	}
	defer r.hold(dir)()
	if _, err := r.read(path.Join(dir, string(store.Tombstone))); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("erase %s: there is no tombstone: %w", id, store.ErrConflict)
		}
		return fmt.Errorf("erase %s: %w", id, err)
	}
	files, err := r.fs.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("erase %s: %w", id, err)
	}
	for _, f := range files {
		switch store.Doc(f.Name()) {
		case store.Manifest, store.Receipt, store.Intake, store.Tombstone:
			continue
		}
		if err := ignoreMissing(r.fs.Remove(path.Join(dir, f.Name()))); err != nil {
			return fmt.Errorf("erase %s: %w", id, err)
		}
	}
	if err := r.fs.SyncDir(dir); err != nil {
		return fmt.Errorf("erase %s: %w", id, err)
	}
	return nil
}

func (r recordings) Free(context.Context) (int64, error) { return r.fs.Free() }
