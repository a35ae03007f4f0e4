package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"deskset/audio/pcm"
	"deskset/cmd/desksim/rig"
)

// listener hears what passes at a source of the sound server. It is one run's
// own: how early the server hands sound out changes with who else listens.
type listener struct {
	stop func()
	done chan struct{}

	mu    sync.Mutex
	data  []byte
	began []time.Time // of the first sample, by the best arrival of each second
}

func listen(ctx context.Context, h *rig.Pulse, source string) (*listener, error) {
	ctx, stop := context.WithCancel(ctx)
	cmd := serverCommand(ctx, h, "parec", "--raw", "--device="+source, "--rate=48000", "--channels=1", "--format=s16le", "--latency-msec=20")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("listen to %s: %w", source, err)
	}
	l := &listener{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.read(out)
		_ = cmd.Wait()
	}()
	return l, nil
}

func (l *listener) read(from io.Reader) {
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		now := time.Now()
		l.mu.Lock()
		l.data = append(l.data, buf[:n]...)
		l.began = earliest(l.began, len(l.data)/2, now)
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// close ends the listening and gives what was heard.
func (l *listener) close() sound {
	l.stop()
	<-l.done
	s := sound{pcm: make([]int16, len(l.data)/2)}
	pcm.Decode(s.pcm, l.data[:len(s.pcm)*2])
	s.place(l.began)
	return s
}

// speak plays sound into the headset's microphone. The server makes its virtual
// microphone's blocks as small as the most hurried of its users wants; with a
// player that does not hurry it is the program that is measured, as with a real
// headset.
func speak(ctx context.Context, h *rig.Pulse, s []int16) (<-chan struct{}, error) {
	cmd := serverCommand(ctx, h, "pacat", "--playback", "--raw", "--device="+pulseMouth, "--rate=48000", "--channels=1",
		"--format=s16le", "--latency-msec=400", "--process-time-msec=100")
	cmd.Stdin = bytes.NewReader(pcm.Append(nil, s))
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("speak: %w", err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	return done, nil
}

// pulseMouth is the sink behind the rig's microphone.
const pulseMouth = "hs_micfeed"

func serverCommand(ctx context.Context, h *rig.Pulse, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), h.Env()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}
