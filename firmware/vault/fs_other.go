//go:build !linux

package vault

import (
	"errors"
	"os"
)

// A seat runs Linux. Elsewhere the package is built for its types only.

func dataSync(f *os.File) error { return f.Sync() }

func syncDir(f *os.File) error { return nil }

func diskSpace(string) (free, total int64, err error) {
	return 0, 0, errors.New("free space is known on Linux only")
}

func lockFile(*os.File) error { return nil }
