package rig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"deskset/audio/pcm"
)

// Pulse is a headset made of a private PulseAudio: a speaker whose sound can be
// recorded and a microphone that can be spoken into.
type Pulse struct {
	dir    string
	env    []string
	daemon *Proc

	ear   *listener
	mouth *listener
	mods  []string // module ids of the headset
}

// Names of the devices, as a seat's file wants them.
const (
	PulseMic     = "hs_mic"
	PulseSpeaker = "hs_speaker"
	pulseFeed    = "hs_micfeed"
)

// NewPulse starts the server and plugs the headset in.
func NewPulse(ctx context.Context, dir string) (*Pulse, error) {
	p := &Pulse{dir: filepath.Join(dir, "pulse")}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, err
	}
	p.env = []string{
		"HOME=" + p.dir, "XDG_RUNTIME_DIR=" + p.dir, "PULSE_RUNTIME_PATH=" + p.dir,
		"PULSE_SERVER=" + p.Server(), "DBUS_SESSION_BUS_ADDRESS=disabled:",
	}
	script := filepath.Join(p.dir, "default.pa")
	text := "load-module module-native-protocol-unix auth-anonymous=1 socket=" + filepath.Join(p.dir, "native") + "\n"
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		return nil, err
	}
	var err error
	// Shared memory off: PulseAudio 16 aborts now and then over its memfd blocks.
	p.daemon, err = start("pulseaudio", dir, p.env, "pulseaudio", "-n", "-F", script, "--system=false",
		"--daemonize=no", "--disable-shm=yes", "--exit-idle-time=-1", "--use-pid-file=no", "--realtime=no", "--high-priority=no", "--log-level=notice")
	if err != nil {
		return nil, fmt.Errorf("%w (is the package pulseaudio installed?)", err)
	}
	if err := poll(ctx, "the sound server", func() bool { _, err := p.pactl(ctx, "info"); return err == nil }); err != nil {
		p.Close()
		return nil, err
	}
	if err := p.Plug(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Server is the address for the seat's file.
func (p *Pulse) Server() string { return "unix:" + filepath.Join(p.dir, "native") }

// Env lets other programs reach the server.
func (p *Pulse) Env() []string { return p.env }

// Plug puts the headset in.
func (p *Pulse) Plug(ctx context.Context) error {
	for _, m := range [][]string{
		{"module-null-sink", "sink_name=" + PulseSpeaker, "rate=48000", "channels=2", "format=s16le", "sink_properties=device.description=Headset"},
		{"module-null-sink", "sink_name=" + pulseFeed, "rate=48000", "channels=1", "format=s16le", "sink_properties=device.description=HeadsetMouth"},
		{"module-remap-source", "source_name=" + PulseMic, "master=" + pulseFeed + ".monitor", "source_properties=device.description=HeadsetMicrophone"},
	} {
		out, err := p.pactl(ctx, append([]string{"load-module"}, m...)...)
		if err != nil {
			return err
		}
		p.mods = append(p.mods, strings.TrimSpace(out))
	}
	var err error
	if p.ear, err = p.listen(PulseSpeaker + ".monitor"); err != nil {
		return err
	}
	p.mouth, err = p.listen(pulseFeed + ".monitor")
	return err
}

// Unplug pulls it out. Another microphone stays at the server, to be seen
// never to be used: SpareMic.
func (p *Pulse) Unplug(ctx context.Context) error {
	for i := len(p.mods) - 1; i >= 0; i-- {
		if _, err := p.pactl(ctx, "unload-module", p.mods[i]); err != nil {
			return err
		}
	}
	p.mods = nil
	return nil
}

// SpareMic adds a second microphone on which somebody speaks pcm all the time.
func (p *Pulse) SpareMic(ctx context.Context, pcm16 []int16) error {
	for _, m := range [][]string{
		{"module-null-sink", "sink_name=spare_feed", "rate=48000", "channels=1", "format=s16le"},
		{"module-remap-source", "source_name=spare_mic", "master=spare_feed.monitor"},
	} {
		if _, err := p.pactl(ctx, append([]string{"load-module"}, m...)...); err != nil {
			return err
		}
	}
	_, err := p.play(ctx, "spare_feed", pcm16)
	return err
}

// Say speaks into the headset's microphone; the channel closes at the end.
func (p *Pulse) Say(ctx context.Context, pcm16 []int16) (<-chan struct{}, error) {
	return p.play(ctx, pulseFeed, pcm16)
}

func (p *Pulse) play(ctx context.Context, sink string, pcm16 []int16) (<-chan struct{}, error) {
	cmd := exec.CommandContext(ctx, "pacat", "--playback", "--raw", "--device="+sink, "--rate=48000", "--channels=1",
		"--format=s16le", "--latency-msec=50")
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdin = bytes.NewReader(pcm.Append(nil, pcm16))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := startLocked(cmd); err != nil {
		return nil, fmt.Errorf("speak: %w", err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	return done, nil
}

// listener keeps what a source of the server brings.
type listener struct {
	cmd   *exec.Cmd
	mu    sync.Mutex
	data  []byte    // S16LE mono 48 kHz
	start time.Time // of the first sample: the earliest that any arrival allows
}

func (p *Pulse) listen(source string) (*listener, error) {
	l := &listener{cmd: exec.Command("parec", "--raw", "--device="+source, "--rate=48000", "--channels=1",
		"--format=s16le", "--latency-msec=20")}
	l.cmd.Env = append(os.Environ(), p.env...)
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startLocked(l.cmd); err != nil {
		return nil, fmt.Errorf("listen to %s: %w", source, err)
	}
	go l.read(out)
	return l, nil
}

func (l *listener) read(out io.Reader) {
	buf := make([]byte, 1920)
	for {
		n, err := io.ReadFull(out, buf)
		l.mu.Lock()
		l.data = append(l.data, buf[:n]...)
		began := time.Now().Add(-time.Duration(len(l.data)/2) * time.Second / 48000)
		if l.start.IsZero() || began.Before(l.start) {
			l.start = began
		}
		l.mu.Unlock()
		if err != nil {
			_ = l.cmd.Wait()
			return
		}
	}
}

func (l *listener) take() (pcm16 []int16, start time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]int16, len(l.data)/2)
	pcm.Decode(out, l.data)
	return out, l.start
}

// Heard is what the speaker has played since the headset was plugged in, and
// when its first sample was.
func (p *Pulse) Heard() ([]int16, time.Time) { return p.ear.take() }

// Said is what was spoken into the microphone, silence included.
func (p *Pulse) Said() ([]int16, time.Time) { return p.mouth.take() }

// Close ends the server and all that hangs on it.
func (p *Pulse) Close() {
	for _, l := range []*listener{p.ear, p.mouth} {
		if l != nil {
			_ = l.cmd.Process.Kill()
		}
	}
	p.daemon.Kill()
}

func (p *Pulse) pactl(ctx context.Context, args ...string) (string, error) {
	return output(ctx, p.env, "pactl", args...)
}
