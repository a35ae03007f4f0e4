package soundcard

import (
	"bytes"
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// kernelGroup is the multicast group of the kernel's own uevents (1; udev's is
// 2). Anyone may listen.
const kernelGroup = 1

// watchUevents returns a channel that is poked when the kernel tells of a change
// among sound devices, until ctx ends; nil if it cannot listen, in which case
// only polling is left.
func watchUevents(ctx context.Context) <-chan struct{} {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}); err != nil {
		_ = unix.Close(fd)
		return nil
	}
	f := os.NewFile(uintptr(fd), "uevents") // in the poller: a read costs no thread
	context.AfterFunc(ctx, func() { _ = f.Close() })
	poke := make(chan struct{}, 1)
	go func() {
		buf := make([]byte, 16<<10)
		for ctx.Err() == nil {
			n, err := f.Read(buf)
			if err != nil && ctx.Err() != nil {
				return
			}
			// An overflow (ENOBUFS) means that something was missed: look.
			if err != nil || aboutSound(buf[:n]) {
				select {
				case poke <- struct{}{}:
				default:
				}
			}
			if err != nil && !errors.Is(err, unix.ENOBUFS) {
				return
			}
		}
	}()
	return poke
}

// aboutSound tells whether a uevent ("add@/devices/...", then KEY=value strings,
// each ended by a zero byte) is of the sound subsystem.
func aboutSound(msg []byte) bool {
	return bytes.Contains(msg, []byte("\x00SUBSYSTEM=sound\x00"))
}
