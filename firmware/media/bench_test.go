package media

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"deskset/audio/codec"
	"deskset/audio/pcm"
)

// farEnd, in the environment, makes the test binary the other end of a call, so
// that a benchmark counts what one end costs.
const farEnd = "DESKSET_MEDIA_FAR_END"

func TestMain(m *testing.M) {
	if os.Getenv(farEnd) != "" {
		if err := beFarEnd(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// beFarEnd answers one offer that comes as a line of base64 and stays in the
// call until its input ends.
func beFarEnd() error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	leg, err := New(Config{Local: loopback, Identity: identity(), Now: time.Now})
	if err != nil {
		return err
	}
	defer leg.Close()
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	offer, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	if err != nil {
		return err
	}
	answer, err := leg.Answer(ctx, offer)
	if err != nil {
		return err
	}
	fmt.Println(base64.StdEncoding.EncodeToString(answer))
	pump, err := NewPump(PumpConfig{Headset: newTicker()})
	if err != nil {
		return err
	}
	pump.SetLeg(leg, nil)
	go pump.Run(ctx)
	io.Copy(io.Discard, in)
	return nil
}

// callFarEnd starts a far end and connects leg to it.
func callFarEnd(t testing.TB, leg *Leg) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), farEnd+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	offer, err := leg.Offer(t.Context())
	check(t, err)
	fmt.Fprintln(in, base64.StdEncoding.EncodeToString(offer))
	line, err := bufio.NewReader(out).ReadString('\n')
	check(t, err)
	answer, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	check(t, err)
	check(t, leg.SetAnswer(answer))
	await(t, "connection", leg.Connected())
}

// ticker is a headset with a clock and a voice of sorts, but no device.
type ticker struct {
	next time.Time
	ear  atomic.Int64 // frames in which something was heard
	at   int
}

func newTicker() *ticker {
	return new(ticker)
}

func (h *ticker) Wait(ctx context.Context) error {
	now := time.Now()
	if h.next.IsZero() || now.Sub(h.next) > time.Second {
		h.next = now
	}
	h.next = h.next.Add(frameTime)
	time.Sleep(time.Until(h.next))
	return ctx.Err()
}

// voice is two seconds of a hum at 120 Hz with overtones, whose pitch and
// loudness wander as in syllables: enough for a speech coder to take it for speech.
var voice = sync.OnceValue(func() []int16 {
	v := make([]int16, 2*pcm.Rate)
	phase := 0.0
	for i := range v {
		t := float64(i) / pcm.Rate
		phase += 2 * math.Pi * (120 + 20*math.Sin(2*math.Pi*1.5*t)) / pcm.Rate
		x := 0.0
		for k := 1; k < 20; k++ {
			x += math.Sin(float64(k)*phase) / float64(k)
		}
		v[i] = int16(4000 * x * (1 + 0.6*math.Sin(2*math.Pi*4*t)))
	}
	return v
})

func (h *ticker) ReadMic(f []int16) bool {
	h.at += copy(f, voice()[h.at:])
	if h.at == len(voice()) {
		h.at = 0
	}
	return true
}

// WriteEar counts what is heard.
func (h *ticker) WriteEar(f []int16) {
	if pcm.RMS(f) > -40 {
		h.ear.Add(1)
	}
}

// switches counts the context switches of this process, by kind.
func switches(t testing.TB) (voluntary, involuntary int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/status")
	check(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that ended
		}
		for line := range strings.Lines(string(b)) {
			k, v, _ := strings.Cut(line, ":")
			n, _ := strconv.Atoi(strings.TrimSpace(v))
			switch k {
			case "voluntary_ctxt_switches":
				voluntary += n
			case "nonvoluntary_ctxt_switches":
				involuntary += n
			}
		}
	}
	return voluntary, involuntary
}

func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	check(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCall is one end of a call over loopback, in real time: context
// switches a second and CPU seconds a minute. Run it with -benchtime=Ns.
func BenchmarkCall(b *testing.B) {
	for _, c := range []codec.Codec{codec.Opus, codec.PCMU} {
		b.Run(c.Name(), func(b *testing.B) {
			if _, err := os.Stat("/proc/self/task"); err != nil {
				b.Skip("no /proc")
			}
			leg := newLeg(b, Config{Codecs: []codec.Codec{c}})
			callFarEnd(b, leg)
			head := newPacer(b)
			pump, err := NewPump(PumpConfig{Headset: head})
			check(b, err)
			pump.SetLeg(leg, nil)
			ctx, stop := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { pump.Run(ctx); close(done) }()
			time.Sleep(time.Second) // threads, buffers
			v0, i0 := switches(b)
			c0, t0 := cpu(b), time.Now()
			time.Sleep(8 * time.Second)
			c1, s := cpu(b), time.Since(t0).Seconds()
			v1, i1 := switches(b)
			stop()
			<-done
			b.ReportMetric(float64(v1-v0)/s, "vswitch/s")
			b.ReportMetric(float64(i1-i0)/s, "iswitch/s")
			b.ReportMetric((c1-c0).Seconds()/s*60, "cpu-s/min")
			b.ReportMetric(float64(head.ear.Load()), "ear-frames")
			b.ReportMetric(0, "ns/op")
			b.Logf("%+v", pump.Stats(leg))
		})
	}
}
