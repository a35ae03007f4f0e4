package fsstore

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"deskset/firmware/centre/store"
)

// Log is the store's part that keeps the log: JSON lines, each with the hash
// of the line before it.
func (s *Store) Log() store.Log { return chain{s} }

type chain struct{ *Store }

type logLine struct {
	store.Entry
	Prev string `json:"prev"` // hex SHA-256 of the line before, without its newline; "" for the first
}

func hashLine(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (c chain) Append(_ context.Context, e store.Entry) error {
	return c.locked(func() error {
		f, err := c.fs.Write(fileLog)
		if err != nil {
			return full(fmt.Errorf("log: %w", err))
		}
		err = c.append(f, e)
		if err = errors.Join(err, f.Close()); err != nil {
			return full(fmt.Errorf("log: %w", err))
		}
		return nil
	})
}

// maxLine bounds one line of the log, in bytes.
const maxLine = 64 << 10

// append must run inside locked.
func (c chain) append(f File, e store.Entry) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	// The last whole line and what may follow it.
	tail := make([]byte, min(size, 2*maxLine))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return err
	}
	// A line without its end is what a power cut left of an entry that was
	// never acknowledged.
	end := bytes.LastIndexByte(tail, '\n') + 1
	at := size - int64(len(tail)-end)
	l := logLine{Entry: e}
	if end > 0 {
		l.Prev = hashLine(tail[bytes.LastIndexByte(tail[:end-1], '\n')+1 : end-1])
	} else if size > maxLine {
		return fmt.Errorf("%s does not end in a line of the log", fileLog)
	}
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if b = append(b, '\n'); len(b) > maxLine {
		return fmt.Errorf("an entry of %d bytes is too large", len(b))
	}
	if at < size {
		if err := f.Truncate(at); err != nil {
			return err
		}
	}
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return errors.Join(f.Sync(), c.fs.SyncDir(dirLog))
}

func (c chain) Entries(ctx context.Context) ([]store.Entry, error) {
	f, err := c.fs.Open(fileLog)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	lines := bufio.NewScanner(io.NewSectionReader(f, 0, size))
	lines.Buffer(nil, maxLine)
	var out []store.Entry
	prev := ""
	for n := 1; lines.Scan(); n++ {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		var l logLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return out, fmt.Errorf("log line %d: %w", n, err)
		}
		if l.Prev != prev {
			return out, fmt.Errorf("log line %d does not follow the line before it: a line was changed or removed", n)
		}
		prev = hashLine(lines.Bytes())
		out = append(out, l.Entry)
	}
	if err := lines.Err(); err != nil {
		return out, fmt.Errorf("log: %w", err)
	}
	return out, nil
}
