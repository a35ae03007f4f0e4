package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"deskset/board/virtual"
	"deskset/firmware/config"
	"deskset/firmware/console"
	"deskset/firmware/control"
	"deskset/firmware/panel"
	"deskset/firmware/seat"
)

// pressTime is how long a finger stays on a key.
const pressTime = 100 * time.Millisecond

// Seat is one deskset process with its virtual panel.
type Seat struct {
	Name    string
	Dir     string
	File    config.File
	Path    string // of the configuration
	bin     string
	env     []string
	proc    *Proc
	hand    *virtual.Hand
	Control *control.Client
	mounted bool
}

// newSeat writes the seat's file; nothing runs yet.
func newSeat(name, dir, bin string, env []string, f config.File) (*Seat, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f.Board = "virtual"
	f.StateDir, f.RunDir = filepath.Join(dir, "state"), filepath.Join(dir, "run")
	text, err := f.Text()
	if err != nil {
		return nil, err
	}
	s := &Seat{Name: name, Dir: dir, File: f, Path: filepath.Join(dir, "deskset.toml"), bin: bin, env: env, Control: control.Dial(f.RunDir)}
	return s, os.WriteFile(s.Path, text, 0o600)
}

// mount gives the seat a small disk in memory.
func (s *Seat) mount(size int64) error {
	if err := os.MkdirAll(s.File.StateDir, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("deskset", s.File.StateDir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		return fmt.Errorf("mount a small disk: %w", err)
	}
	s.mounted = true
	return nil
}

func (s *Seat) unmount() error {
	if !s.mounted {
		return nil
	}
	s.mounted = false
	return syscall.Unmount(s.File.StateDir, 0)
}

// Enrol makes the seat's key and fetches its certificate.
func (s *Seat) Enrol(ctx context.Context, token string) error {
	_, err := output(ctx, s.env, s.bin, "enrol", "--config", s.Path, "--token", token)
	return err
}

// Start runs the seat and waits until it answers and its panel is there.
func (s *Seat) Start(ctx context.Context) error {
	var err error
	if s.proc, err = start("deskset-"+s.Name, s.Dir, s.env, s.bin, "run", "--config", s.Path); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	sock := filepath.Join(s.File.RunDir, "board.sock")
	return poll(ctx, "deskset", func() bool {
		select {
		case <-s.proc.Done():
			stop()
			return false
		default:
		}
		if _, err := s.Control.View(ctx); err != nil {
			return false
		}
		s.hand, err = virtual.Reach(ctx, sock)
		return err == nil
	})
}

// Log is the end of what the seat wrote.
func (s *Seat) Log(lines int) string {
	if s.proc == nil {
		return ""
	}
	return s.proc.Tail(lines)
}

// Journal is what the seat remembers, as `deskset events` prints it, and its
// view.
func (s *Seat) Journal(ctx context.Context) (string, error) {
	var b strings.Builder
	err := s.Control.Events(ctx, 0, false, func(e seat.Event) error {
		fmt.Fprintf(&b, "%6d  %s  %-8s %s\n", e.Seq, e.At.Format("15:04:05.000"), e.Part, e.Text)
		return nil
	})
	if err != nil {
		return "", err
	}
	v, err := s.Control.View(ctx)
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(v, "", "  ")
	b.Write(text)
	return b.String(), err
}

// Status is what `deskset status` prints.
func (s *Seat) Status(ctx context.Context) (string, error) {
	return output(ctx, s.env, s.bin, "status", "--config", s.Path)
}

// Pid of the running process.
func (s *Seat) Pid() int { return s.proc.Pid() }

// Done is closed when the process has ended.
func (s *Seat) Done() <-chan struct{} { return s.proc.Done() }

// Kill is kill -9.
func (s *Seat) Kill() {
	if s.proc == nil {
		return
	}
	s.drop()
	s.proc.Kill()
}

// Stop ends the seat in order.
func (s *Seat) Stop() error {
	if s == nil || s.proc == nil {
		return nil
	}
	s.drop()
	return s.proc.Stop()
}

func (s *Seat) drop() {
	if s.hand != nil {
		s.hand.Close()
		s.hand = nil
	}
}

// Press presses a physical key.
func (s *Seat) Press(k panel.Key) error { return s.Hold(k, pressTime) }

// Hold presses a physical key for a time.
func (s *Seat) Hold(k panel.Key, d time.Duration) error {
	if s.hand == nil {
		return errors.New("the seat's panel is not there")
	}
	if err := s.hand.Line(string(k), true); err != nil {
		return err
	}
	time.Sleep(d) // a finger, not a wait
	return s.hand.Line(string(k), false)
}

// Lamp waits until a lamp shows a colour.
func (s *Seat) Lamp(ctx context.Context, l panel.Lamp, c panel.Colour) error {
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	err := s.hand.Await(ctx, func(lamp func(string) string) bool { return lamp(string(l)) == string(c) })
	if err != nil {
		return fmt.Errorf("lamp %s never showed %s, it shows %s", l, c, s.hand.Lamp(string(l)))
	}
	return nil
}

// Ask is what the page could ask.
func (s *Seat) Ask(ctx context.Context, a console.Action) error { return s.Control.Do(ctx, a) }

// Await waits until the seat's view is as it should be.
func (s *Seat) Await(ctx context.Context, what string, limit time.Duration, ok func(panel.View) bool) (panel.View, error) {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	v, err := s.Control.Await(ctx, ok)
	if err != nil {
		return v, fmt.Errorf("waiting for %s: %w (the seat is %s, calls %d, notice %q)", what, err, v.State, len(v.Calls), v.Notice)
	}
	return v, nil
}

// AwaitState waits for a state of the agent.
func (s *Seat) AwaitState(ctx context.Context, want panel.State, limit time.Duration) error {
	_, err := s.Await(ctx, string(want), limit, func(v panel.View) bool { return v.State == want })
	return err
}
