package fsstore_test

import "golang.org/x/sys/unix"

var enospc error = unix.ENOSPC
