package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"deskset/firmware/vault/sealed"
)

// disk is an ext4 of the seat's own on a loop device, whose counter tells what
// really reaches it: contents, inodes and journal.
type disk struct{ dir, image, dev string }

const diskSize = 512 << 20

// mountDisk puts it where the rig keeps the seat's files. Without root, or
// without loop devices, there is none: nil and the reason.
func mountDisk(ctx context.Context, dir string) (*disk, error) {
	d := &disk{dir: filepath.Join(dir, "seat"), image: filepath.Join(dir, "seat.ext4")}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	err = errors.Join(f.Truncate(diskSize), f.Close())
	if err != nil {
		return nil, err
	}
	// Inode tables are written now, not by the kernel during the measurement.
	if err := command(ctx, "mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image); err != nil {
		return nil, err
	}
	if err := command(ctx, "mount", "-o", "loop", d.image, d.dir); err != nil {
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == d.dir {
			d.dev = filepath.Base(f[0])
		}
	}
	if d.dev == "" {
		return nil, errors.Join(err, fmt.Errorf("the mounted disk is not in the list of mounts"), d.unmount())
	}
	return d, nil
}

// written are the bytes that have reached the device.
func (d *disk) written() float64 {
	if d == nil {
		return 0
	}
	b, err := os.ReadFile("/sys/block/" + d.dev + "/stat")
	f := strings.Fields(string(b))
	if err != nil || len(f) < 7 {
		return 0
	}
	return number(f[6]) * 512 // sectors, Documentation/admin-guide/iostats.rst
}

// seldom lets the file system commit what nobody syncs each minute instead of
// every five seconds (commit=, see ext4(5)). In a call that is one file's time of
// change: an inode, with the journal's two blocks around it. What is synced is
// as safe as before.
func (d *disk) seldom(ctx context.Context, on bool) error {
	if d == nil {
		return nil
	}
	opt := "remount,commit=5"
	if on {
		opt = "remount,commit=60"
	}
	return command(ctx, "mount", "-o", opt, d.dir)
}

// sync brings what is dirty to the disk.
func (d *disk) sync() {
	if d == nil {
		return
	}
	if f, err := os.Open(d.dir); err == nil {
		_ = unix.Syncfs(int(f.Fd()))
		_ = f.Close()
	}
}

// unmount may be called when the seat has ended.
func (d *disk) unmount() error {
	if d == nil {
		return nil
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	logs, _ := filepath.Glob(filepath.Join(d.dir, "*.log")) // for whoever looks into a failure
	for _, name := range logs {
		if b, err := os.ReadFile(name); err == nil {
			_ = os.WriteFile(filepath.Join(filepath.Dir(d.dir), filepath.Base(name)), b, 0o600)
		}
	}
	// Lazily: in this process a vault keeps its directory open to the end.
	return errors.Join(command(ctx, "umount", "-l", d.dir), os.Remove(d.image))
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// voiceBytes are the padded segments of the newest voice file in a vault, with
// those that replace an earlier one, without its header.
func voiceBytes(vault string) (float64, error) {
	// The names begin with the sequence number, so the last is the newest.
	all, err := filepath.Glob(filepath.Join(vault, "*.voice"))
	if err != nil || len(all) == 0 {
		return 0, fmt.Errorf("no voice file in %s: %w", vault, err)
	}
	f, err := os.Open(all[len(all)-1])
	if err != nil {
		return 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	l, err := sealed.Scan(f, st.Size())
	if err != nil {
		return 0, err
	}
	// Segments begin at blocks, with a mark (package sealed).
	block := make([]byte, sealed.Block)
	for at := int64(0); at < l.Size; at += sealed.Block {
		if _, err := f.ReadAt(block, at); err != nil {
			return 0, err
		}
		if string(block[:4]) == "DSEG" {
			return float64(l.Size - at), nil
		}
	}
	return 0, fmt.Errorf("%s has no segments", f.Name())
}

func fdatasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
