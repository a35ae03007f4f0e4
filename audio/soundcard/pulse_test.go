package soundcard

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gen2brain/malgo"

	"deskset/audio/pcm"
)

// tonePower is the amplitude of one frequency in s, in samples (Goertzel).
func tonePower(s []int16, hz float64) float64 {
	w := 2 * math.Pi * hz / pcm.Rate
	var re, im float64
	for i, v := range s {
		re += float64(v) * math.Cos(w*float64(i))
		im += float64(v) * math.Sin(w*float64(i))
	}
	return 2 * math.Hypot(re, im) / float64(len(s))
}

func TestPulseList(t *testing.T) {
	l := newPulseLab(t)
	t.Setenv("PULSE_SERVER", l.server)
	all, err := List(Pulse)
	if err != nil {
		t.Fatal(err)
	}
	find := func(id string) Device {
		for _, d := range all {
			if d.ID == id {
				return d
			}
		}
		t.Fatalf("%q not listed in %+v", id, all)
		return Device{}
	}
	if d := find("mic"); !d.Capture || d.Playback || d.Monitor {
		t.Errorf("%+v", d)
	}
	if d := find("ear"); d.Capture || !d.Playback || d.Monitor {
		t.Errorf("%+v", d)
	}
	if d := find("ear.monitor"); !d.Capture || !d.Monitor {
		t.Errorf("%+v", d)
	}
	for _, d := range all {
		_, err := New(Config{Backend: Pulse, Capture: d.ID, Playback: "ear", Server: l.server}, quiet)
		if d.Monitor != errors.Is(err, ErrID) {
			t.Errorf("%q as a microphone: %v", d.ID, err)
		}
	}
	l.kill()
	if _, err := List(Pulse); err == nil {
		t.Error("a dead server lists devices")
	}
}

// TestPulseClick measures a click from the microphone through the card and back
// to the ear, and what of it the lab itself takes.
func TestPulseClick(t *testing.T) {
	l := newPulseLab(t)
	var mu sync.Mutex
	var sent time.Time
	var card, bare []float64
	at, next := 0, 48000
	l.probe(malgo.Playback, "feed", func(out, _ []byte, n uint32) {
		now := time.Now()
		clear(out)
		for i := range int(n) {
			if at >= next && at < next+48 {
				if at == next {
					mu.Lock()
					sent = now.Add(time.Duration(i) * time.Second / pcm.Rate)
					mu.Unlock()
				}
				pcm.Encode(out[2*i:], []int16{20000})
			}
			if at++; at == next+48 {
				next += 19200 + at*7919%4801
			}
		}
	})
	listen := func(id string, into *[]float64) {
		var heard time.Time
		l.probe(malgo.Capture, id, func(_, in []byte, n uint32) {
			now := time.Now()
			var s [1]int16
			for i := range int(n) {
				if pcm.Decode(s[:], in[2*i:]); s[0] < 8000 {
					continue
				}
				mu.Lock()
				if sent != heard && !sent.IsZero() {
					heard = sent
					*into = append(*into, now.Sub(sent).Seconds()*1000-float64(int(n)-i)/48)
				}
				mu.Unlock()
			}
		})
	}
	listen("feed.monitor", &bare)
	listen("ear.monitor", &card)
	c, stop := start(t, l.config())
	defer stop()
	expect(t, c, Back)
	loop(t, c, 50)
	before := c.Stats()
	mu.Lock()
	card, bare = nil, nil
	mu.Unlock()
	began := time.Now()
	loop(t, c, 250)
	took := time.Since(began)
	after := c.Stats()
	mu.Lock()
	defer mu.Unlock()
	if len(card) < 3 || len(bare) < 3 {
		t.Fatalf("heard %d clicks through the card, %d beside it", len(card), len(bare))
	}
	slices.Sort(card)
	slices.Sort(bare)
	t.Logf("click mic -> card -> ear: min %.1f, median %.1f, p90 %.1f, max %.1f ms (n=%d); the lab without the card: median %.1f ms",
		card[0], card[len(card)/2], card[len(card)*9/10], card[len(card)-1], len(card), bare[len(bare)/2])
	t.Logf("250 frames in %v; underruns %d, slips %d, missed %d, target %d", took,
		after.EarUnderruns-before.EarUnderruns, after.Slips-before.Slips, after.MicMissed-before.MicMissed, after.EarTarget)
	if m := card[len(card)/2]; m > 250 {
		t.Errorf("median %.1f ms", m)
	}
	if d := took - 5*time.Second; d.Abs() > 300*time.Millisecond {
		t.Errorf("250 frames took %v", took)
	}
}

// measuring skips a test that takes long and means little on a busy machine.
func measuring(t *testing.T) {
	t.Helper()
	if os.Getenv("DESKSET_FULL") != "1" {
		t.Skip("measures; set DESKSET_FULL=1")
	}
}

// TestPulseStall holds the consumer up and sees the delay come back.
func TestPulseStall(t *testing.T) {
	measuring(t)
	l := newPulseLab(t)
	l.sing()
	c, stop := start(t, l.config())
	defer stop()
	expect(t, c, Back)
	loop(t, c, 50)
	for range 2 {
		time.Sleep(120 * time.Millisecond) // the stall
		loop(t, c, 75)
		ear, mic := ringSize, ringSize // the least, since a busy machine stalls by itself
		for range 25 {
			loop(t, c, 1)
			st := c.Stats()
			ear, mic = min(ear, st.EarFill-st.EarTarget), min(mic, st.MicFill)
		}
		if ear > 480+deadband || mic > 480+deadband {
			t.Errorf("two seconds after a stall the ear's ring has %d above its target, the microphone's %d", ear, mic)
		}
	}
	t.Logf("%+v", c.Stats())
}

func TestPulseUnplug(t *testing.T) {
	t.Parallel()
	l := newPulseLab(t)
	l.sing()
	c, stop := start(t, l.config())
	defer stop()
	j := judgeCard(t, c)
	expect(t, c, Back)
	j.next(t, 5*time.Second)
	var lost, back []time.Duration
	for i := range 4 {
		plug := plugMic
		if i%2 == 1 {
			plug = plugEar // the ear alone: the headset is one thing
		}
		began := time.Now()
		l.unload(plug)
		expect(t, c, Lost)
		lost = append(lost, time.Since(began))
		time.Sleep(300 * time.Millisecond) // a while without a headset
		n := j.good.Load()
		began = time.Now()
		l.load(plug)
		there := time.Since(began)
		expect(t, c, Back)
		if j.good.Load() == n {
			j.next(t, 5*time.Second)
		}
		back = append(back, time.Since(began)-there)
	}
	t.Logf("lost after %v; sound again after %v; %+v", lost, back, c.Stats())
	for _, d := range back {
		if d > 4*time.Second {
			t.Errorf("sound came back after %v", d)
		}
	}
	if j.other.Load() != 0 {
		t.Errorf("%d frames of another microphone", j.other.Load())
	}
	if d := time.Duration(j.longest.Load()); d > time.Second {
		t.Errorf("the pace stood still for %v", d)
	}
}

// TestPulseNoOther asks for a microphone that is not there while others are.
func TestPulseNoOther(t *testing.T) {
	t.Parallel()
	l := newPulseLab(t)
	l.unload(plugMic)
	c, stop := start(t, l.config())
	defer stop()
	expect(t, c, Lost)
	if loop(t, c, 50) != 0 || c.Present() {
		t.Error("sound from another microphone")
	}
}

// TestPulseMoveRefused orders the server to move the running stream to another
// microphone, as module-rescue-streams or a mixer program would.
func TestPulseMoveRefused(t *testing.T) {
	t.Parallel()
	l := newPulseLab(t)
	l.sing()
	c, stop := start(t, l.config())
	defer stop()
	j := judgeCard(t, c)
	expect(t, c, Back)
	j.next(t, 5*time.Second)
	out, err := l.ctl("list", "short", "source-outputs")
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	for line := range strings.Lines(out) { // index, source, client, driver, format
		f := strings.Fields(line)
		if f[2] == "-" {
			continue // a module's own
		}
		ours++
		if _, err := l.ctl("move-source-output", f[0], "other_mic"); err == nil {
			t.Error("the microphone's stream was moved")
		}
	}
	if ours != 1 {
		t.Errorf("%d streams of clients in:\n%s", ours, out)
	}
	j.after(50)
	j.next(t, time.Second)
	if j.other.Load() != 0 || !c.Present() {
		t.Errorf("%d frames of another microphone, present %v", j.other.Load(), c.Present())
	}
}

// TestPulseOtherIsHeard is the control of the tests above: the judge does know
// the other microphone when it hears it.
func TestPulseOtherIsHeard(t *testing.T) {
	t.Parallel()
	l := newPulseLab(t)
	cfg := l.config()
	cfg.Capture = "other_mic"
	c, stop := start(t, cfg)
	defer stop()
	j := judgeCard(t, c)
	expect(t, c, Back)
	j.after(100)
	if j.other.Load() < 20 || j.good.Load() != 0 {
		t.Errorf("%d frames of 2 kHz, %d of 500 Hz", j.other.Load(), j.good.Load())
	}
}

// TestPulseWakeups counts what the card costs the scheduler.
func TestPulseWakeups(t *testing.T) {
	measuring(t)
	l := newPulseLab(t)
	c, stop := start(t, l.config())
	defer stop()
	expect(t, c, Back)
	loop(t, c, 50)
	if n := c.cur.Load().direct.Load(); n != 2 {
		t.Errorf("%d devices call C directly: has miniaudio's ma_device changed?", n)
	}
	before := switches(t)
	loop(t, c, 150)
	n := float64(switches(t)-before) / 3
	t.Logf("%.0f context switches a second, both devices, watchdog and consumer", n)
	if n > 2000 { // 3,300 when every period enters Go
		t.Error("too many")
	}
}

// switches sums the context switches of this process's threads.
func switches(t *testing.T) (sum int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(b)) {
			if key, val, ok := strings.Cut(line, ":"); ok && strings.HasSuffix(key, "voluntary_ctxt_switches") {
				n, _ := strconv.Atoi(strings.TrimSpace(val))
				sum += n
			}
		}
	}
	return sum
}

func TestPulseServerKilled(t *testing.T) {
	t.Parallel()
	l := newPulseLab(t)
	c, stop := start(t, l.config())
	defer stop()
	j := judgeCard(t, c)
	expect(t, c, Back)
	for range 2 {
		began := time.Now()
		l.kill()
		expect(t, c, Lost)
		lost := time.Since(began)
		j.after(60)
		began = time.Now()
		l.start()
		up := time.Since(began)
		expect(t, c, Back)
		t.Logf("lost %v after the kill, back %v after the start (server up after %v); %+v", lost, time.Since(began), up, c.Stats())
	}
	if d := time.Duration(j.longest.Load()); d > time.Second {
		t.Errorf("the pace stood still for %v", d)
	}
}

// TestPulseServerRestartsWhileAway kills the server while the headset is out.
func TestPulseServerRestartsWhileAway(t *testing.T) {
	t.Parallel()
	l := newPulseLab(t)
	l.unload(plugMic)
	c, stop := start(t, l.config())
	defer stop()
	j := judgeCard(t, c)
	expect(t, c, Lost)
	j.after(20)
	l.kill()
	j.after(20)
	l.start()
	l.sing()
	expect(t, c, Back)
	j.next(t, 5*time.Second)
	if j.other.Load() != 0 {
		t.Errorf("%d frames of another microphone", j.other.Load())
	}
}

// TestPulseServerStopped stops the server's process: calls into it hang, and
// the card must carry on without them.
func TestPulseServerStopped(t *testing.T) {
	t.Parallel()
	l := newPulseLab(t)
	c, stop := start(t, l.config())
	defer stop()
	j := judgeCard(t, c)
	expect(t, c, Back)
	if err := l.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	expect(t, c, Lost)
	began := time.Now()
	j.after(100)
	if d := time.Since(began) - 2*time.Second; d.Abs() > 200*time.Millisecond {
		t.Errorf("100 frames took %v", d+2*time.Second)
	}
	t.Logf("stopped: %+v", c.Stats())
	if err := l.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	expect(t, c, Back)
	t.Logf("going on: %+v", c.Stats())
	if d := time.Duration(j.longest.Load()); d > time.Second {
		t.Errorf("the pace stood still for %v", d)
	}
}
