// Deskfleet is IT's side of deskset: it makes a centre and its keys, lists the
// seats, serves them, and gives recordings out to auditors.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := (&program{in: os.Stdin, out: os.Stdout, err: os.Stderr, now: time.Now, env: os.Getenv, tty: isTerminal(os.Stderr)}).run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// program is what a command may touch of the world.
type program struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time
	env      func(string) string
	tty      bool // err is a person's terminal
}

func isTerminal(f *os.File) bool {
	i, err := f.Stat()
	return err == nil && i.Mode()&os.ModeCharDevice != 0
}
