package soundcard

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gen2brain/malgo"

	"deskset/audio/pcm"
)

// pulseLab is a private PulseAudio with a virtual headset on any Linux machine:
// what is played into the sink "feed" is heard by the source "mic", and "ear" is
// a sink whose monitor tells what the card played. A second microphone, the
// server's default, sounds 2 kHz all the time, and module-rescue-streams is
// there to move orphaned streams to it: none of it may ever reach a call.
type pulseLab struct {
	t      *testing.T
	dir    string
	server string
	cmd    *exec.Cmd
}

func newPulseLab(t *testing.T) *pulseLab {
	t.Helper()
	for _, need := range []string{"pulseaudio", "pactl"} {
		if _, err := exec.LookPath(need); err != nil {
			if os.Getenv("DESKSET_FULL") == "1" {
				t.Fatalf("%s is needed (Debian: apt install pulseaudio pulseaudio-utils)", need)
			}
			t.Skipf("%s is not installed", need)
		}
	}
	if testing.Short() {
		t.Skip("runs a sound server")
	}
	dir, err := os.MkdirTemp("", "pulse") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l := &pulseLab{t: t, dir: dir, server: "unix:" + filepath.Join(dir, "native")}
	l.start()
	t.Cleanup(l.kill)
	return l
}

func (l *pulseLab) start() {
	l.t.Helper()
	script := filepath.Join(l.dir, "lab.pa")
	lines := []string{
		"load-module module-native-protocol-unix auth-anonymous=1 socket=" + filepath.Join(l.dir, "native"),
		"load-module module-rescue-streams",
		"load-module module-null-sink sink_name=other_feed rate=48000 channels=1 format=s16le",
		"load-module module-remap-source source_name=other_mic master=other_feed.monitor",
		"load-module module-sine sink=other_feed frequency=2000",
		"load-module module-null-sink sink_name=feed rate=48000 channels=1 format=s16le",
		plugMic, plugEar,
		"set-default-source other_mic",
		"set-default-sink other_feed",
	}
	if err := os.WriteFile(script, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		l.t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(l.dir, "native"))
	l.cmd = exec.Command("pulseaudio", "-n", "-F", script, "--daemonize=no", "--disable-shm=yes", "--exit-idle-time=-1",
		"--use-pid-file=no", "--realtime=no", "--high-priority=no", "--log-level=error", "--system=false")
	l.cmd.Env = append(os.Environ(), "HOME="+l.dir, "XDG_RUNTIME_DIR="+l.dir, "PULSE_RUNTIME_PATH="+l.dir, "XDG_CONFIG_HOME="+l.dir)
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := l.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	for began := time.Now(); ; {
		if _, err := l.ctl("info"); err == nil {
			return
		} else if time.Since(began) > 10*time.Second {
			l.t.Fatalf("PulseAudio does not come up: %v", err)
		}
		time.Sleep(20 * time.Millisecond) // it offers nothing to wait for
	}
}

const (
	plugMic = "load-module module-remap-source source_name=mic master=feed.monitor"
	plugEar = "load-module module-null-sink sink_name=ear rate=48000 channels=2 format=s16le"
)

func (l *pulseLab) kill() {
	_ = l.cmd.Process.Kill()
	_ = l.cmd.Wait()
}

func (l *pulseLab) ctl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "pactl", append([]string{"-s", l.server}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+l.dir, "XDG_RUNTIME_DIR="+l.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("pactl %v: %w: %s", args, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func (l *pulseLab) must(args ...string) {
	l.t.Helper()
	if _, err := l.ctl(args...); err != nil {
		l.t.Fatal(err)
	}
}

// unload removes the module that was loaded with these arguments.
func (l *pulseLab) unload(load string) {
	l.t.Helper()
	all, err := l.ctl("list", "short", "modules")
	if err != nil {
		l.t.Fatal(err)
	}
	want := strings.Fields(load)
	for line := range strings.Lines(all) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == want[1] && f[2] == want[2] {
			l.must("unload-module", f[0])
			return
		}
	}
	l.t.Fatalf("no module %q in:\n%s", load, all)
}

func (l *pulseLab) load(load string) { l.t.Helper(); l.must(strings.Fields(load)...) }

func (l *pulseLab) config() Config {
	return Config{Backend: Pulse, Capture: "mic", Playback: "ear", Server: l.server}
}

// probe plays into, or listens to, a device of the lab, around Card.
func (l *pulseLab) probe(kind malgo.DeviceType, id string, data malgo.DataProc) {
	l.t.Helper()
	cfg := l.config()
	cfg.PeriodMs, cfg.EarChannels = 5, 1
	h := newMalgo(cfg)
	if err := h.connect(); err != nil {
		l.t.Fatal(err)
	}
	dev, err := h.start(kind, id, 1, data, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { dev.close(); h.release() })
}

// sing plays 500 Hz into the microphone for as long as the test lasts.
func (l *pulseLab) sing() {
	tone, at := sine(48000, 500, 48000), 0
	l.probe(malgo.Playback, "feed", func(out, _ []byte, n uint32) {
		for i := range int(n) {
			pcm.Encode(out[2*i:], tone[at:at+1])
			at = (at + 1) % len(tone)
		}
	})
}

// consumer runs a card's consumer until the test ends: the microphone goes to
// the ear, and what it brought is judged.
type judge struct {
	good    atomic.Int64 // frames with 500 Hz
	other   atomic.Int64 // frames with 2 kHz: another microphone
	frames  atomic.Int64
	longest atomic.Int64 // ns between two returns of Wait
}

func judgeCard(t *testing.T, c *Card) *judge {
	j := &judge{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		frame := make([]int16, pcm.Frame)
		last := time.Now()
		for c.Wait(ctx) == nil {
			now := time.Now()
			j.longest.Store(max(j.longest.Load(), int64(now.Sub(last))))
			last = now
			j.frames.Add(1)
			if c.ReadMic(frame) {
				if tonePower(frame, 2000) > 3000 {
					j.other.Add(1)
				}
				if tonePower(frame, 500) > 3000 {
					j.good.Add(1)
				}
			}
			c.WriteEar(frame)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return j
}

// next waits until one more good frame has come, and returns how long it took.
func (j *judge) next(t *testing.T, limit time.Duration) time.Duration {
	t.Helper()
	began, n := time.Now(), j.good.Load()
	for j.good.Load() == n {
		if time.Since(began) > limit {
			t.Fatalf("no sound for %v", limit)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(began)
}

// after waits for that many frames of the call.
func (j *judge) after(frames int64) {
	for want := j.frames.Load() + frames; j.frames.Load() < want; {
		time.Sleep(10 * time.Millisecond)
	}
}
