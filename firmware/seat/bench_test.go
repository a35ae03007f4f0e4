package seat

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"log/slog"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"deskset/audio/pcm"
	"deskset/firmware/console"
	"deskset/firmware/fleet"
	"deskset/firmware/panel"
	"deskset/firmware/sipua/sipuatest"
	"deskset/firmware/vault"
	"deskset/firmware/vault/crashfs"
	"deskset/firmware/vault/sealed"
)

// headset speaks a tone at the pace of a timer, or is silent.
type headset struct {
	next time.Time
	gone atomic.Bool
	hang atomic.Bool // Wait does not return
	hz   float64
	pos  int
	loud atomic.Int64 // frames with sound that reached the ear
}

func (h *headset) Wait(ctx context.Context) error {
	if h.hang.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if h.next.IsZero() {
		h.next = time.Now()
	}
	h.next = h.next.Add(pcm.FrameMs * time.Millisecond)
	t := time.NewTimer(time.Until(h.next))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (h *headset) ReadMic(frame []int16) bool {
	clear(frame)
	for i := range frame {
		frame[i] = int16(8000 * math.Sin(2*math.Pi*h.hz*float64(h.pos)/pcm.Rate))
		h.pos++
	}
	return true
}

func (h *headset) WriteEar(frame []int16) {
	if pcm.RMS(frame) > -30 {
		h.loud.Add(1)
	}
}

func (h *headset) Present() bool { return !h.gone.Load() }

// keys is a panel whose keys a test presses.
type keys chan struct {
	key  panel.Key
	down bool
}

func (k keys) Run(ctx context.Context, edge func(panel.Key, bool)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-k:
			edge(e.key, e.down)
		}
	}
}

// lamps remember what they show, and when it changed.
type lamps struct {
	mu   sync.Mutex
	show map[panel.Lamp]panel.Colour
	at   map[panel.Lamp]time.Time
	dead bool
}

// refuse makes every Set fail.
func (l *lamps) refuse(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = on
}

func (l *lamps) Set(n panel.Lamp, c panel.Colour) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return errors.New("no answer")
	}
	l.show[n], l.at[n] = c, time.Now()
	return nil
}

func (l *lamps) get(n panel.Lamp) (panel.Colour, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.show[n], l.at[n]
}

// bench is a seat with a PBX that a test plays by hand. It runs in virtual
// time when the test does.
type bench struct {
	t     *testing.T
	seat  *Seat
	pbx   *sipuatest.PBX
	keys  keys
	lamps *lamps
	head  *headset
	gone  chan HeadsetEvent
	vault *vault.Vault
	disk  *crashfs.Disk
	link  *sipuatest.Link
	log   *bytes.Buffer // read it after the seat has ended
	stop  func()        // ends the seat and waits

	facts, voice *sealed.PrivateKey // the centre's
}

// newBench makes one; change edits the seat's configuration.
func newBench(t *testing.T, change ...func(*bench, *Config)) *bench {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	online, err := sealed.GenerateKey(sealed.Online)
	if err != nil {
		t.Fatal(err)
	}
	offline, err := sealed.GenerateKey(sealed.Offline)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		t: t, pbx: sipuatest.New(t), keys: make(keys), head: &headset{hz: 440}, gone: make(chan HeadsetEvent),
		disk: crashfs.New(), log: &bytes.Buffer{}, facts: online, voice: offline,
		lamps: &lamps{show: map[panel.Lamp]panel.Colour{}, at: map[panel.Lamp]time.Time{}},
	}
	b.vault, err = vault.Open(vault.Config{
		FS: b.disk, Seat: "S-0001", Firmware: "test", Signer: key, Now: time.Now, Reserve: 4096,
		Slabs: vault.Slabs{Voice: 256 << 10, Facts: 16 << 10, VoiceKeep: 1, FactsKeep: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Name: "S-0001", Firmware: "test", Lang: "en", Insecure: true,
		Instance: "urn:uuid:00000000-0000-4000-8000-000000000001",
		Policy: &fleet.Policy{
			Version: 1, Seat: "S-0001",
			PBX:  []fleet.PBX{{URL: "ws://pbx.invalid/ws", Domain: "pbx.invalid", User: "101", Password: "pw"}},
			Dial: fleet.Dial{Internal: []string{"202", "600"}, Emergency: []string{"110"}, BlindTransfer: true},
			Recording: fleet.Recording{
				Enabled: true, Basis: "centre-policy",
				Facts: []fleet.Recipient{online.Public().Recipient()}, Voice: []fleet.Recipient{offline.Public().Recipient()},
			},
			Agents: []string{"7041", "7042"},
		},
		Keys: b.keys, Lamps: b.lamps, Headset: b.head, Headsets: b.gone, Vault: b.vault,
		Log:       slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		MediaAddr: netip.MustParseAddr("127.0.0.1"), Now: time.Now, Dial: b.pbx.Dial,
	}
	for _, f := range change {
		f(b, &cfg)
	}
	b.seat, err = New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.seat.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		stop()
		if b.link != nil {
			go b.goodbye()
		}
		if err := <-ended; err != nil {
			t.Error("seat:", err)
		}
	})
	t.Cleanup(func() {
		b.stop()
		end, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := b.vault.Close(end); err != nil {
			t.Error(err)
		}
	})
	return b
}

// edge is a key's contact closing or opening.
func (b *bench) edge(k panel.Key, down bool) {
	b.keys <- struct {
		key  panel.Key
		down bool
	}{k, down}
}

func (b *bench) do(a console.Action) {
	b.t.Helper()
	if err := b.seat.Do(b.t.Context(), a); err != nil {
		b.t.Fatalf("%s: %v", a.Kind, err)
	}
}

// register lets the seat in and waits until it knows.
func (b *bench) register() *sipuatest.Link {
	b.t.Helper()
	l := b.pbx.Accept()
	l.Register(600)
	b.link = l
	b.until("registered", func(v panel.View) bool { return v.Links.PBX })
	return l
}

// goodbye answers what a seat that ends has still to say.
func (b *bench) goodbye() {
	for {
		m, ok := b.link.Try(5 * time.Second)
		if !ok {
			return
		}
		if m.Method() != "" && m.Method() != "ACK" {
			b.link.Respond(m, 200, "", "")
		}
	}
}

// press is a whole press of a key.
func (b *bench) press(k panel.Key) {
	b.edge(k, true)
	time.Sleep(100 * time.Millisecond)
	b.edge(k, false)
	time.Sleep(20 * time.Millisecond)
	synctest.Wait()
}

// until waits for the view to be so.
func (b *bench) until(what string, ok func(panel.View) bool) panel.View {
	b.t.Helper()
	changed, stop := b.seat.Changed()
	defer stop()
	limit := time.NewTimer(2 * time.Minute)
	defer limit.Stop()
	for {
		v := b.seat.View()
		if ok(v) {
			return v
		}
		select {
		case <-changed:
		case <-limit.C:
			b.t.Fatalf("never %s: %+v", what, v)
		}
	}
}

func (b *bench) state(want panel.State) panel.View {
	b.t.Helper()
	return b.until(string(want), func(v panel.View) bool { return v.State == want })
}
