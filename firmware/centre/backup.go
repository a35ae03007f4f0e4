package centre

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/store"

	"filippo.io/age"
)

// backupFormat is the format of what Backup writes: a tar whose first entry
// says what it is, inside an age file (age-encryption.org/v1) if there is a
// passphrase.
const backupFormat = "deskset-centre-backup/1"

type backupHead struct {
	Format      string    `json:"format"`
	Centre      string    `json:"centre"`
	Fingerprint string    `json:"ca_sha256"`
	Made        time.Time `json:"made"`
}

// inBackup is every file that a backup holds and a restore takes. Recordings
// are not among them: they are large, never change once finished, and are
// copied with any tool. Tokens are not: they would come alive again.
var inBackup = regexp.MustCompile(`^(centre\.toml|keys/[a-z]+\.(pem|key|json)|data/seats/[A-Za-z0-9][A-Za-z0-9_-]*\.json|data/holds/[0-9a-f-]{36}\.json|data/log/log\.jsonl)$`)

// Limits of a backup, in bytes.
const (
	maxBackupFile = 1 << 30
	maxBackup     = 4 << 30
)

// BackupOptions are a backup's choices.
type BackupOptions struct {
	Passphrase string // "": plain; the file is then as secret as the keys
	WorkFactor int    // of scrypt, log 2; 0: age's default
}

// Backup writes the centre's keys, settings, seats, holds and log to w.
func (c *Centre) Backup(ctx context.Context, w io.Writer, o BackupOptions) error {
	f, err := c.Settings()
	if err != nil {
		return err
	}
	if o.Passphrase == "" {
		return c.backupTar(ctx, w, f.Name)
	}
	r, err := age.NewScryptRecipient(o.Passphrase)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if o.WorkFactor > 0 {
		r.SetWorkFactor(o.WorkFactor)
	}
	e, err := age.Encrypt(w, r)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return errors.Join(c.backupTar(ctx, e, f.Name), e.Close())
}

func (c *Centre) backupTar(ctx context.Context, w io.Writer, name string) error {
	t := tar.NewWriter(w)
	head, err := json.Marshal(backupHead{Format: backupFormat, Centre: name, Fingerprint: c.Keys.Fingerprint(), Made: c.now().UTC()})
	if err != nil {
		return err
	}
	if err := addFile(t, "backup.json", head, c.now()); err != nil {
		return err
	}
	err = filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(c.dir, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() && rel == "data/rec" {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || !inBackup.MatchString(rel) {
			return ctx.Err()
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if rel == "data/log/log.jsonl" {
			b = b[:bytes.LastIndexByte(b, '\n')+1] // an entry may be on its way
		}
		return addFile(t, rel, b, c.now())
	})
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return t.Close()
}

func addFile(t *tar.Writer, name string, b []byte, at time.Time) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(b)), ModTime: at, Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := t.Write(b)
	return err
}

// ErrPassphrase says that a backup needs a passphrase, or another one.
var ErrPassphrase = errors.New("the backup is encrypted: its passphrase is needed, and the one given (if any) does not open it")

// Restore makes a centre in dir, which must not exist or be empty, from what
// Backup wrote. The policy versions are raised beyond what seats may have seen
// since, so that no seat takes the restored policy for an old one.
func Restore(ctx context.Context, dir string, r io.Reader, passphrase string, now func() time.Time, log *slog.Logger) (*Centre, error) {
	if old, err := os.ReadDir(dir); err == nil && len(old) > 0 {
		return nil, fmt.Errorf("%s is not empty: restore into a new directory", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o700); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".restore-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := unpack(ctx, tmp, r, passphrase); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	c, err := Open(tmp, now, log)
	if err != nil {
		return nil, fmt.Errorf("restore: the backup does not make a centre: %w", err)
	}
	if err := c.afterRestore(ctx); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return nil, err
	}
	return Open(dir, now, log)
}

// versionLeap is more policies than a seat is given between two backups.
const versionLeap = 1 << 20

func (c *Centre) afterRestore(ctx context.Context) error {
	seats, err := c.Seats.Seats(ctx)
	if err != nil {
		return err
	}
	for _, s := range seats {
		if _, err := c.Seats.Update(ctx, s.Name, func(s *store.Seat) error {
			s.PolicyVersion += versionLeap
			s.PolicyDigest, s.PolicyJWS = "", ""
			return nil
		}); err != nil {
			return err
		}
	}
	if _, err := c.Events.Entries(ctx); err != nil {
		return err
	}
	return c.record(ctx, store.Entry{What: "restored from a backup"})
}

func unpack(ctx context.Context, dir string, r io.Reader, passphrase string) error {
	br := bufio.NewReader(r)
	in := io.Reader(br)
	if magic, err := br.Peek(len(ageMagic)); err == nil && string(magic) == ageMagic {
		if passphrase == "" {
			return ErrPassphrase
		}
		id, err := age.NewScryptIdentity(passphrase)
		if err != nil {
			return err
		}
		if in, err = age.Decrypt(br, id); err != nil {
			return fmt.Errorf("%w (%w)", ErrPassphrase, err)
		}
	}
	t := tar.NewReader(io.LimitReader(in, maxBackup))
	h, err := t.Next()
	if err != nil || h.Name != "backup.json" || h.Size > 1<<20 {
		return errors.New("this is not a backup of a centre")
	}
	var head backupHead
	if err := json.NewDecoder(t).Decode(&head); err != nil || head.Format != backupFormat {
		return errors.New("this is not a backup of a centre, or one of a later version")
	}
	var seen []string
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("the backup is damaged: %w", err)
		}
		if h.Typeflag != tar.TypeReg || !inBackup.MatchString(h.Name) || h.Size > maxBackupFile || slices.Contains(seen, h.Name) {
			return fmt.Errorf("the backup holds %q, which does not belong there", h.Name)
		}
		seen = append(seen, h.Name)
		b, err := io.ReadAll(t)
		if err != nil {
			return fmt.Errorf("the backup is damaged: %w", err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := authority.WriteFile(path, b, 0o600); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, dirData), 0o700); err != nil {
		return err
	}
	// Read to the end: only there age says that nothing was cut off or changed.
	if _, err := io.Copy(io.Discard, in); err != nil {
		return fmt.Errorf("the backup is damaged: %w", err)
	}
	return nil
}

const ageMagic = "age-encryption.org/v1"
