package soundcard

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// probeServer returns an error if nobody listens at the PulseAudio server's
// socket. libpulse would find out too, but miniaudio leaks a connection object
// each time it does, and a seat may try for a whole night. An address that is
// not a local socket is not probed.
func probeServer(server string) error {
	path, known := socketPath(server, os.Getenv)
	if !known {
		return nil
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// socketPath returns the socket that libpulse would connect to, as far as it is
// plain to see.
func socketPath(server string, env func(string) string) (path string, known bool) {
	if server == "" {
		server = env("PULSE_SERVER")
	}
	if server == "" {
		for _, dir := range []string{env("PULSE_RUNTIME_PATH"), filepath.Join(env("XDG_RUNTIME_DIR"), "pulse")} {
			p := filepath.Join(dir, "native")
			if _, err := os.Stat(p); err == nil && filepath.IsAbs(p) {
				return p, true
			}
		}
		return "", false
	}
	path = strings.TrimPrefix(server, "unix:")
	return path, filepath.IsAbs(path) && !strings.ContainsAny(path, " {")
}
