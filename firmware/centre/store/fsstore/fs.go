// Package fsstore is the centre's embedded store: plain files below one
// directory, each written so that a power cut at any moment leaves every
// acknowledged change whole.
package fsstore

import (
	"io"
	"io/fs"
)

// FS is what the store needs of a disk. Paths are slash-separated and relative
// to its root. Nothing lasts a power cut before File.Sync (contents and size)
// or SyncDir (names) has returned nil.
type FS interface {
	// Open a file for reading, or fs.ErrNotExist.
	Open(path string) (File, error)
	// Write opens a file for writing at any offset, made if missing.
	Write(path string) (File, error)
	// Rename replaces to if it is there; after a cut all or nothing of it has
	// happened.
	Rename(from, to string) error
	Remove(path string) error
	Mkdir(path string) error // no error if it is there
	// ReadDir lists names in order; a missing directory is fs.ErrNotExist.
	ReadDir(path string) ([]fs.DirEntry, error)
	SyncDir(path string) error
	// Free bytes for the store.
	Free() (int64, error)
	// Lock keeps other processes that lock the same path out until closed.
	Lock(path string) (io.Closer, error)
}

// File is one open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Sync puts contents and size on the disk. After an error nothing may be
	// assumed of what was written since the last success.
	Sync() error
}
