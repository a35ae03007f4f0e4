package centre_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"deskset/firmware/centre"
	"deskset/firmware/centre/centretest"
	"deskset/firmware/centre/floor"
	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"

	"github.com/coder/websocket"
)

// line is a seat's side of an event stream, with what it was told.
type line struct {
	*fleet.Stream
	policies chan *fleet.Policy
	holds    chan fleet.LegalHold
	link     chan bool
	mu       sync.Mutex
	state    fleet.SeatState
}

func (l *line) set(s fleet.SeatState) {
	l.mu.Lock()
	l.state = s
	l.mu.Unlock()
	l.Notify()
}

func stream(t *testing.T, e *centretest.Env, s *centretest.Seat) *line {
	t.Helper()
	l := &line{policies: make(chan *fleet.Policy, 10), holds: make(chan fleet.LegalHold, 10), link: make(chan bool, 100), state: fleet.SeatState{State: "ready", Firmware: "test"}}
	var err error
	l.Stream, err = fleet.NewStream(fleet.StreamConfig{
		Client: s.Client, Centre: e.Key, Held: s.Policy.Version,
		State:   func() fleet.SeatState { l.mu.Lock(); defer l.mu.Unlock(); return l.state },
		Policy:  func(p *fleet.Policy, _ []byte) error { l.policies <- p; return nil },
		Hold:    func(h fleet.LegalHold) { l.holds <- h },
		Link:    func(up bool, _ error) { l.link <- up },
		Log:     centretest.Log(t),
		Backoff: fleet.Backoff{Base: 10 * time.Millisecond, Max: 50 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

func recv[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// until asks the floor over the network until it looks right.
func until(t *testing.T, e *centretest.Env, seat string, ok func(floor.Line) bool) floor.Line {
	t.Helper()
	li := e.Auditor(t, "until")
	end := time.Now().Add(10 * time.Second)
	for {
		b, err := li.Do(t.Context(), "GET", "/v1/floor", nil, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		var all []floor.Line
		if err := json.Unmarshal(b, &all); err != nil {
			t.Fatal(err)
		}
		for _, l := range all {
			if l.Seat == seat && ok(l) {
				return l
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the floor shows %+v", all)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestFloorFollowsTheSeat(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	s := e.Enrol(t, "S-0001")
	if l := until(t, e, "S-0001", func(floor.Line) bool { return true }); l.Online || !l.Since.IsZero() {
		t.Fatalf("before it ever came: %+v", l)
	}
	ln := stream(t, e, s)
	if !recv(t, "link", ln.link) {
		t.Fatal("link is down first")
	}
	until(t, e, "S-0001", func(l floor.Line) bool { return l.Online && l.State != nil && l.State.State == "ready" })
	ln.set(fleet.SeatState{State: "talking", Agent: "7041", Firmware: "test", Pending: 3, Alarms: []string{"headset is gone"}})
	l := until(t, e, "S-0001", func(l floor.Line) bool { return l.State != nil && l.State.State == "talking" })
	if l.State.Agent != "7041" || l.State.Pending != 3 || len(l.Alarms) != 1 {
		t.Fatalf("%+v", l)
	}
	// Revoked: the line is cut within seconds and shows offline.
	if err := e.Centre.Roster.Revoke(t.Context(), "S-0001"); err != nil {
		t.Fatal(err)
	}
	if recv(t, "link down", ln.link) {
		t.Fatal("link came up twice")
	}
}

func TestStreamComesBack(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	s := e.Enrol(t, "S-0001")
	ln := stream(t, e, s)
	recv(t, "link", ln.link)
	addr := strings.TrimPrefix(e.URL, "https://")
	e.Stop()
	if recv(t, "link down", ln.link) {
		t.Fatal("up twice")
	}
	e.Serve(t, addr)
	if !recv(t, "link up", ln.link) {
		t.Fatal("down twice")
	}
	until(t, e, "S-0001", func(l floor.Line) bool { return l.Online })
}

func TestPolicyIsPushed(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	s := e.Enrol(t, "S-0001")
	ln := stream(t, e, s)
	recv(t, "link", ln.link)
	f, err := e.Centre.Settings()
	if err != nil {
		t.Fatal(err)
	}
	f.Dial.Internal = []string{"8001", "*97"}
	// As another process does it.
	if err := centre.WriteSettings(e.Dir, f); err != nil {
		t.Fatal(err)
	}
	p := recv(t, "policy", ln.policies)
	if p.Version != s.Policy.Version+1 || len(p.Dial.Internal) != 2 {
		t.Fatalf("version %d, %+v", p.Version, p.Dial)
	}
	// A file that does not parse changes nothing and cuts nobody off.
	if err := os.WriteFile(filepath.Join(e.Dir, "centre.toml"), []byte("nonsense = ["), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := centre.WriteSettings(e.Dir, f); err != nil {
		t.Fatal(err)
	}
	f.Dial.BlindTransfer = true
	if err := centre.WriteSettings(e.Dir, f); err != nil {
		t.Fatal(err)
	}
	if p := recv(t, "policy", ln.policies); !p.Dial.BlindTransfer || p.Version != s.Policy.Version+2 {
		t.Fatalf("version %d, %+v", p.Version, p.Dial)
	}
}

func TestHoldsReachTheSeat(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	s := e.Enrol(t, "S-0001")
	d := centretest.NewDisk()
	rec := centretest.Make(t, centretest.SpecFor(s, 1))
	d.Add(rec)
	deliver(t, e, s, d)
	id := rec.Manifest.ID
	h := store.Hold{Name: "case-1", Reason: "complaint", By: "wang"}
	if err := e.Centre.Hold(t.Context(), id, h, true); err != nil {
		t.Fatal(err)
	}
	ln := stream(t, e, s)
	if got := recv(t, "hold", ln.holds); got != (fleet.LegalHold{ID: id, On: true}) {
		t.Fatalf("%+v", got)
	}
	if err := e.Centre.Hold(t.Context(), id, h, true); err == nil {
		t.Fatal("the same hold twice")
	}
	if err := e.Centre.Hold(t.Context(), id, h, false); err != nil {
		t.Fatal(err)
	}
	for {
		if got := recv(t, "release", ln.holds); !got.On {
			break
		}
	}
}

// What a seat may not say, or says too often, ends the line; the centre stays
// up.
func TestHostileStreams(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	s := e.Enrol(t, "S-0001")
	good, err := json.Marshal(fleet.Message{State: &fleet.SeatState{State: "ready"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, send := range map[string]func(ctx context.Context, c *websocket.Conn) error{
		"binary": func(ctx context.Context, c *websocket.Conn) error { return c.Write(ctx, websocket.MessageBinary, good) },
		"garbage": func(ctx context.Context, c *websocket.Conn) error {
			return c.Write(ctx, websocket.MessageText, []byte("{"))
		},
		"two in one": func(ctx context.Context, c *websocket.Conn) error {
			return c.Write(ctx, websocket.MessageText, []byte(`{"ping":1,"pong":2}`))
		},
		"a policy": func(ctx context.Context, c *websocket.Conn) error {
			return c.Write(ctx, websocket.MessageText, []byte(`{"policy":"x"}`))
		},
		"huge": func(ctx context.Context, c *websocket.Conn) error {
			return c.Write(ctx, websocket.MessageText, make([]byte, fleet.MaxMessage+1))
		},
		"control text": func(ctx context.Context, c *websocket.Conn) error {
			return c.Write(ctx, websocket.MessageText, []byte(`{"state":{"state":"a\nb","since_ms":0,"firmware":"","pending":0}}`))
		},
		"flood": func(ctx context.Context, c *websocket.Conn) error {
			for range 1000 {
				if err := c.Write(ctx, websocket.MessageText, good); err != nil {
					return nil
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := s.Client.DialStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := send(ctx, c); err != nil {
				t.Fatal(err)
			}
			for {
				if _, _, err := c.Read(ctx); err != nil {
					break // the centre hung up
				}
			}
			if ctx.Err() != nil {
				t.Fatal("the centre went on listening")
			}
		})
	}
	// A newer line of the same seat takes the older one's place.
	a, err := s.Client.DialStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer a.CloseNow()
	b, err := s.Client.DialStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.CloseNow()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	for {
		if _, _, err := a.Read(ctx); err != nil {
			break
		}
	}
	if ctx.Err() != nil {
		t.Error("the older line stayed")
	}
	until(t, e, "S-0001", func(l floor.Line) bool { return l.Online })
}

// A seat that hangs, its connection still open, shows offline.
func TestSilentSeatIsOffline(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	s := e.Enrol(t, "S-0001")
	c, err := s.Client.DialStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	on := until(t, e, "S-0001", func(l floor.Line) bool { return l.Online })
	off := until(t, e, "S-0001", func(l floor.Line) bool { return !l.Online })
	if d := off.Since.Sub(on.Since); d < 3*time.Second || d > 8*time.Second {
		t.Errorf("offline after %v", d)
	}
}

func TestOneProcessServes(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	c, err := centre.Open(e.Dir, time.Now, centretest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "by another process") {
		t.Errorf("served twice: %v", err)
	}
	if _, err := centre.Serving(e.Dir); err != nil {
		t.Errorf("the first one's address is gone: %v", err)
	}
}
