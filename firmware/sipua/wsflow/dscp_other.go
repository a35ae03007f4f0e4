//go:build !linux

package wsflow

import "syscall"

func markSignalling(string, string, syscall.RawConn) error { return nil }
