package vault

import "io"

// FS is what the vault needs of a disk. Names have no directory: all files of
// a vault lie in one. Nothing lasts a power cut before File.Sync (contents and
// size) or SyncDir (names) has returned nil.
type FS interface {
	// Open a file for reading and writing. With create it is made if missing.
	// A missing file is an error that is fs.ErrNotExist.
	Open(name string, create bool) (File, error)
	// Rename replaces to if it is there; after a cut either all or nothing of
	// it has happened.
	Rename(from, to string) error
	Remove(name string) error
	List() ([]Info, error)
	SyncDir() error
	// Space of the file system, in bytes.
	Space() (free, total int64, err error)
	// Lock the directory against another process until closed.
	Lock() (io.Closer, error)
}

// File is one open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Size() (int64, error)
	// Sync puts contents and size on the disk. After an error nothing may be
	// assumed of what was written since the last one, and a later success says
	// nothing of it either (the kernel drops the pages).
	Sync() error
}

// Info names a file and its size in bytes.
type Info struct {
	Name string
	Size int64
}
