package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"deskset/cmd/desksim/rig"
)

// baresip is Debian's softphone as a peer: SIP over UDP, ICE, DTLS-SRTP, Opus,
// the same headset at the same sound server. Its package has no PulseAudio
// module; so it reaches the server as ALSA programs do on a Debian desktop,
// through the plug-in of libasound2-plugins.
type baresip struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// The settings are those of Debian's example file but for what makes the two
// do the same work: bit rate, complexity, error correction and mono as deskset
// has them, periods of 10 ms are not to be had (its ALSA module takes the
// packet's 20 ms).
const baresipConfig = `poll_method epoll
sip_listen 127.0.0.1:%d
audio_player alsa,hs_speaker
audio_source alsa,hs_mic
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
audio_level no
audio_buffer 20-160
jitter_buffer_delay 5-10
rtp_tos 184
rtcp_mux yes
rtp_stats no
module_path /usr/lib/baresip/modules
module opus.so
module alsa.so
module ice.so
module dtls_srtp.so
module_tmp uuid.so
module_tmp account.so
opus_bitrate 24000
opus_stereo no
opus_sprop_stereo no
opus_complexity 5
opus_inbandfec yes
opus_packet_loss 10
opus_application voip
`

const asoundrc = `pcm.hs_mic { type pulse; device "%s"; server "%s" }
pcm.hs_speaker { type pulse; device "%s"; server "%s" }
ctl.!default { type pulse; server "%s" }
`

// startBaresip starts it and waits until it is registered. It must be called
// on a locked thread that outlives it.
func startBaresip(ctx context.Context, dir, pbx string, headset *rig.Pulse) (*baresip, error) {
	bin, err := exec.LookPath("baresip")
	if err != nil {
		return nil, fmt.Errorf("the peer is not installed (package baresip-core): %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	port, err := twoPorts()
	if err != nil {
		return nil, err
	}
	account := fmt.Sprintf("<sip:%s@%s>;auth_user=%s;auth_pass=%s;mediaenc=dtls_srtp;medianat=ice;audio_codecs=opus/48000/2;answermode=auto;regint=600\n",
		rig.Softphone, pbx, rig.Softphone, rig.Password(rig.Softphone))
	srv := headset.Server()
	for name, text := range map[string]string{
		"config": fmt.Sprintf(baresipConfig, port), "accounts": account, "contacts": "",
		".asoundrc": fmt.Sprintf(asoundrc, rig.PulseMic, srv, rig.PulseSpeaker, srv, srv),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	p := &baresip{log: filepath.Join(dir, "baresip.log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command(bin, "-f", dir)
	p.cmd.Env = append(append(os.Environ(), headset.Env()...), "HOME="+dir)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start baresip: %w", err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	if err := p.await(ctx, "200 OK", 10*time.Second); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// await waits for words in what it prints; it tells in no other way.
func (p *baresip) await(ctx context.Context, words string, limit time.Duration) error {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b, _ := os.ReadFile(p.log)
		if strings.Contains(string(b), words) {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("baresip ended: %s", tail(b))
		case <-ctx.Done():
			return fmt.Errorf("baresip does not say %q: %s", words, tail(b))
		}
	}
}

func tail(b []byte) string {
	const most = 600
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}

func (p *baresip) pid() int { return p.cmd.Process.Pid }

func (p *baresip) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// twoPorts finds a free one whose neighbour is free as well: baresip listens
// there for TLS.
func twoPorts() (int, error) {
	for range 20 {
		a, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		n := a.Addr().(*net.TCPAddr).Port
		b, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", n+1))
		_ = a.Close()
		if err == nil {
			return n, b.Close()
		}
	}
	return 0, fmt.Errorf("no two free ports side by side")
}
