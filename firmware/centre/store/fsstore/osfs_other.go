//go:build !unix

package fsstore

import (
	"errors"
	"io"
)

// The centre serves on Unix only; elsewhere deskfleet is the auditor's tool.
var errUnix = errors.New("a centre's store needs a Unix system")

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("another process holds it")

// TryLock needs a Unix system.
func TryLock(string) (io.Closer, error) { return nil, errUnix }

func free(string) (int64, error)     { return 0, errUnix }
func lock(string) (io.Closer, error) { return nil, errUnix }
func isFull(error) bool              { return false }
