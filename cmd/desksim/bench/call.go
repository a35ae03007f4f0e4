package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"time"

	"deskset/audio/audiotest"
	"deskset/cmd/desksim/phone"
	"deskset/cmd/desksim/rig"
	"deskset/firmware/console"
	"deskset/firmware/panel"
)

const (
	settle   = 3 * time.Second // from the answer to the first reading: buffers, threads, the first collection
	guard    = 1100 * time.Millisecond
	onItsWay = 600 * time.Millisecond
	agentID  = "7041"
)

// callRun is what one call of one side gave.
type callRun struct {
	switches, forced, cpu, rss, top float64
	first                           float64 // ms from the caller's 200 to the agent's first packet
	mic, ear                        []float64
	buffer                          float64 // ms of jitter buffer, mean; ours only
	disk, device, payload, padded   float64 // bytes a second
	spoken                          float64 // s
	threads                         int
	seldom                          bool // the disk is mounted commit=60
}

// Call is the benchmark "call".
func Call(ctx context.Context, o Options) (r Report, err error) {
	runtime.LockOSThread() // what is started from here dies with us
	defer runtime.UnlockOSThread()
	disk, err := mountDisk(ctx, o.Dir)
	if err != nil {
		r.note("no disk of its own for the seat (%v): the device's own count is missing", err)
	}
	defer func() { err = errors.Join(err, disk.unmount()) }()
	o.Say("starting Asterisk, centre, seat and sound server in %s", o.Dir)
	f, err := rig.Open(ctx, rig.Options{
		Dir: o.Dir, Bin: o.Bin, PBX: "asterisk", Asterisk: o.Asterisk, Headset: "pulse", Log: o.Log,
	})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	c := &caller{o: o, rig: f, disk: disk}
	var ours, peer []callRun
	for i := range o.Runs {
		seldom := i%2 == 1
		if err := disk.seldom(ctx, seldom); err != nil {
			return r, err
		}
		if i > 0 {
			if err := f.Seat.Start(ctx); err != nil {
				return r, err
			}
		}
		run, err := c.ours(ctx)
		if err != nil {
			return r, fmt.Errorf("our call: %w", err)
		}
		run.seldom = seldom
		ours = append(ours, run)
		if i == o.Runs-1 {
			ms, err := c.outbound(ctx)
			if err != nil {
				return r, fmt.Errorf("our outbound call: %w", err)
			}
			r.note("outbound, the callee's answer to our first packet: %.0f ms", ms)
		}
		if err := f.Seat.Stop(); err != nil {
			return r, err
		}
		if run, err = c.peer(ctx, i); err != nil {
			return r, fmt.Errorf("baresip's call: %w", err)
		}
		peer = append(peer, run)
	}
	c.report(&r, ours, peer)
	return r, nil
}

func (c *caller) report(r *Report, ours, peer []callRun) {
	const name = "baresip 1.0.0 (Debian)"
	row := func(what, unit string, f func(callRun) float64) {
		r.add(what, unit, pick(ours, f), name, pick(peer, f))
	}
	row("context switches", "1/s", func(u callRun) float64 { return u.switches })
	row("processor time", "s/min", func(u callRun) float64 { return u.cpu })
	row("memory at most (VmHWM)", "MB", func(u callRun) float64 { return u.top })
	row("memory at the end (VmRSS)", "MB", func(u callRun) float64 { return u.rss })
	row("answer to first media, inbound", "ms", func(u callRun) float64 { return u.first })
	row("mic to wire", "ms", func(u callRun) float64 { return median(u.mic) })
	row("wire to ear", "ms", func(u callRun) float64 { return median(u.ear) })
	r.add("wire to ear, jitter buffer apart", "ms", pick(ours, func(u callRun) float64 { return median(u.ear) - u.buffer }), "", nil)
	if c.disk != nil {
		for _, seldom := range []bool{false, true} {
			runs := slices.DeleteFunc(slices.Clone(ours), func(u callRun) bool { return u.seldom != seldom })
			if len(runs) == 0 {
				continue
			}
			what := "written to the disk"
			if seldom {
				what += ", mounted commit=60"
			}
			device := pick(runs, func(u callRun) float64 { return u.device })
			r.add(what, "byte/s", device, "padded segments", pick(runs, func(u callRun) float64 { return u.padded }))
			r.add(what, "byte/s", device, "Opus payload of both ways", pick(runs, func(u callRun) float64 { return u.payload }))
		}
		r.note("written to the disk: what an ext4 of the seat's own gave its device, journal and inodes too; a second into which packets came late is sealed twice, and counts twice among the segments")
	} else {
		disk := pick(ours, func(u callRun) float64 { return u.disk })
		r.add("written by the process", "byte/s", disk, "padded segments", pick(ours, func(u callRun) float64 { return u.padded }))
		r.note("written by the process: as /proc/PID/io counts; a file system with large folios counts the whole folio at each write")
	}
	for i := range ours {
		r.note("run %d: ours %s; baresip %s", i+1, ours[i], peer[i])
	}
	r.note("both: inbound through Asterisk 22, Opus 24 kbit/s mono with FEC, complexity 5, ICE, DTLS-SRTP, recorded speech both ways, headset at a private PulseAudio")
	r.note("ours: SIP over secure WebSocket, recording sealed and synced each second, panel page, link to the centre, 10 ms periods; baresip: SIP over UDP, no recording, ALSA through PulseAudio's plug-in, 20 ms periods, default jitter buffer")
	r.note("delays: recorded speech found again by correlation, between the sound server's monitors and the Opus packets on the caller's leg, a packet counting as played from its arrival on; 6.5 ms of the encoder's look-ahead are in mic to wire")
}

func (u callRun) String() string {
	m, ml, mm := spread(u.mic)
	e, el, em := spread(u.ear)
	return fmt.Sprintf("%.0f switches/s (%.0f forced) in %d threads, %.2f s/min, first media %.0f ms, mic %.0f (%.0f-%.0f, n=%d) ms, ear %.0f (%.0f-%.0f, n=%d) ms of which buffer %.0f",
		u.switches, u.forced, u.threads, u.cpu, u.first, m, ml, mm, len(u.mic), e, el, em, len(u.ear), u.buffer)
}

func pick(runs []callRun, f func(callRun) float64) (out []float64) {
	for _, u := range runs {
		out = append(out, f(u))
	}
	return out
}

// caller makes the calls.
type caller struct {
	o    Options
	rig  *rig.Rig
	disk *disk
}

// ours is an inbound call to the seat.
func (c *caller) ours(ctx context.Context) (u callRun, err error) {
	s := c.rig.Seat
	_, err = s.Await(ctx, "both links and the headset", 20*time.Second, func(v panel.View) bool {
		return v.Links.PBX && v.Links.Centre && v.Headset.Present
	})
	if err != nil {
		return u, err
	}
	if err := s.Ask(ctx, console.Action{Kind: console.SignIn, Agent: agentID}); err != nil {
		return u, err
	}
	if err := s.AwaitState(ctx, panel.Ready, 5*time.Second); err != nil {
		return u, err
	}
	answer := func() error {
		if err := s.AwaitState(ctx, panel.Ringing, 10*time.Second); err != nil {
			return err
		}
		time.Sleep(guard) // a hand takes as long, and the seat insists on it
		return s.Press(panel.Answer)
	}
	c.o.Say("our call")
	if u, err = c.run(ctx, rig.SeatUser, s.Pid(), answer); err != nil {
		return u, err
	}
	_, err = s.Await(ctx, "the receipt", 30*time.Second, func(v panel.View) bool {
		return len(v.Shift) > 0 && v.Shift[0].Recording == "receipted"
	})
	if err != nil {
		return u, err
	}
	return u, c.recorded(ctx, &u)
}

// peer is an inbound call to baresip, which answers at once.
func (c *caller) peer(ctx context.Context, n int) (u callRun, err error) {
	p, err := startBaresip(ctx, filepath.Join(c.o.Dir, fmt.Sprintf("baresip-%d", n)), c.rig.PBX.SIP(), c.rig.Headset)
	if err != nil {
		return u, err
	}
	defer p.stop()
	time.Sleep(time.Second) // as long as the seat was up
	c.o.Say("baresip's call")
	return c.run(ctx, rig.Softphone, p.pid(), func() error { return nil })
}

// run is one call of the customer's to target, whose process is pid.
func (c *caller) run(ctx context.Context, target string, pid int, answer func() error) (u callRun, err error) {
	total := settle + c.o.Length + 10*time.Second
	agent, customer := audiotest.Speech(0, total), audiotest.Speech(1, total)
	w, err := tap()
	if err != nil {
		return u, err
	}
	listening := true
	defer func() {
		if listening {
			w.close()
		}
	}()
	ear, err := listen(ctx, c.rig.Headset, rig.PulseSpeaker+".monitor")
	if err != nil {
		return u, err
	}
	defer ear.stop()
	mouth, err := listen(ctx, c.rig.Headset, pulseMouth+".monitor")
	if err != nil {
		return u, err
	}
	defer mouth.stop()
	speaking, quiet := context.WithCancel(ctx)
	defer quiet()
	said, err := speak(speaking, c.rig.Headset, agent)
	if err != nil {
		return u, err
	}
	defer func() { quiet(); <-said }()
	call, err := c.rig.Customer.Call(ctx, target)
	if err != nil {
		return u, err
	}
	defer call.Hangup()
	call.Say(customer)
	if err := answer(); err != nil {
		return u, err
	}
	if err := call.Wait(ctx); err != nil {
		return u, err
	}
	if call.Codec() != "opus" {
		return u, fmt.Errorf("the call came up with %q instead of Opus", call.Codec())
	}
	if err := pause(ctx, settle); err != nil {
		return u, err
	}
	c.disk.sync() // what was written before the call
	a, err := measure(pid)
	if err != nil {
		return u, err
	}
	d0 := c.disk.written()
	if err := pause(ctx, c.o.Length); err != nil {
		return u, err
	}
	b, err := measure(pid)
	if err != nil {
		return u, err
	}
	d1 := c.disk.written()
	if err := pause(ctx, onItsWay); err != nil {
		return u, err
	}
	listening = false
	seen := w.close()
	u.spoken = time.Since(call.AnsweredAt()).Seconds()
	call.Hangup()
	t := b.at.Sub(a.at).Seconds()
	u.switches, u.forced = (b.switches-a.switches)/t, (b.forced-a.forced)/t
	u.cpu, u.rss, u.top, u.threads = (b.cpu-a.cpu)/t*60, b.rss, b.top, b.threads
	u.disk, u.device = (b.written-a.written)/t, (d1-d0)/t
	return u, c.onWire(&u, seen, mouth.close(), ear.close(), a.at, b.at)
}

// onWire reads what passed between phone and PBX.
func (c *caller) onWire(u *callRun, all []seen, mouth, ear sound, from, to time.Time) error {
	pc, err := readCall(all, portOf(c.rig.Customer))
	if err != nil {
		return err
	}
	if len(pc.in) == 0 {
		return errors.New("no sound came from the agent")
	}
	u.first = float64(pc.in[0].at.Sub(pc.answered)) / float64(time.Millisecond)
	for _, s := range append(pc.in, pc.out...) {
		if s.at.After(from) && s.at.Before(to) {
			u.payload += float64(len(s.b) - 12)
		}
	}
	u.payload /= to.Sub(from).Seconds()
	in, err := onWire(pc.in)
	if err != nil {
		return err
	}
	out, err := onWire(pc.out)
	if err != nil {
		return err
	}
	u.mic, u.ear = delays(mouth, in, from, to), delays(out, ear, from, to)
	return nil
}

func portOf(p *phone.Phone) uint16 {
	_, port, _ := net.SplitHostPort(p.Addr())
	n, _ := strconv.ParseUint(port, 10, 16)
	return uint16(n)
}

// outbound is a call of the seat's to a desk phone that answers at once: from
// that answer to the seat's first packet, in ms.
func (c *caller) outbound(ctx context.Context) (ms float64, err error) {
	s := c.rig.Seat
	end, stop := context.WithCancel(ctx)
	defer stop()
	p, err := c.rig.Phone(end, rig.Colleague, true)
	if err != nil {
		return 0, err
	}
	select {
	case <-p.Registered():
	case <-time.After(10 * time.Second):
		return 0, errors.New("the colleague's phone does not register")
	}
	w, err := tap()
	if err != nil {
		return 0, err
	}
	defer func() {
		if ms == 0 {
			w.close()
		}
	}()
	if err := s.Ask(ctx, console.Action{Kind: console.Ready}); err != nil {
		return 0, err
	}
	if err := s.AwaitState(ctx, panel.Ready, 5*time.Second); err != nil {
		return 0, err
	}
	if err := s.Ask(ctx, console.Action{Kind: console.Dial, Target: rig.Colleague}); err != nil {
		return 0, err
	}
	if err := s.AwaitState(ctx, panel.Talking, 10*time.Second); err != nil {
		return 0, err
	}
	if err := pause(ctx, time.Second); err != nil {
		return 0, err
	}
	pc, err := readCall(w.close(), portOf(p))
	ms = -1
	if err != nil {
		return ms, err
	}
	if len(pc.in) == 0 {
		return ms, errors.New("no sound came from the agent")
	}
	return float64(pc.in[0].at.Sub(pc.answered)) / float64(time.Millisecond), nil
}

var bufferMs = regexp.MustCompile(`"buffer_ms": *([0-9.]+)`)

// recorded adds what is known when the recording has arrived at the centre.
func (c *caller) recorded(ctx context.Context, u *callRun) (err error) {
	s := c.rig.Seat
	if u.padded, err = voiceBytes(filepath.Join(s.File.StateDir, "vault")); err != nil {
		return err
	}
	u.padded /= u.spoken
	out, err := c.rig.Centre.Recordings(ctx)
	if err != nil {
		return err
	}
	var all []struct {
		ID  string `json:"id"`
		Seq uint64 `json:"seq"`
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) == 0 {
		return fmt.Errorf("the centre lists no recording: %w", err)
	}
	newest := all[0]
	for _, r := range all {
		if r.Seq > newest.Seq {
			newest = r
		}
	}
	text, err := c.rig.Centre.Show(ctx, newest.ID)
	if err != nil {
		return err
	}
	if m := bufferMs.FindStringSubmatch(text); m != nil {
		u.buffer, _ = strconv.ParseFloat(m[1], 64)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
