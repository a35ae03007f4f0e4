package control

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/panel"
	"deskset/firmware/seat"
)

// fake is a seat that a test plays.
type fake struct {
	mu     sync.Mutex
	view   panel.View
	news   chan struct{}
	events chan seat.Event
	asked  []console.Action
	answer error
}

func (f *fake) View() panel.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view
}

func (f *fake) Changed() (<-chan struct{}, func()) { return f.news, func() {} }

func (f *fake) Do(_ context.Context, a console.Action) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, a)
	return f.answer
}

func (f *fake) Events(ctx context.Context, after uint64, follow bool, tell func(seat.Event) error) error {
	for {
		select {
		case e := <-f.events:
			if err := tell(e); err != nil {
				return err
			}
		default:
			if !follow {
				return nil
			}
			select {
			case <-ctx.Done():
				return nil
			case e := <-f.events:
				f.events <- e
			}
		}
	}
}

func serve(t *testing.T) (*fake, *Client, string, func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctl") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{news: make(chan struct{}, 1), events: make(chan seat.Event, 8), view: panel.View{Seat: "S-0001", State: panel.Ready}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(dir, f, slog.New(slog.DiscardHandler), nil).Run(ctx) }()
	end := sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { end(); os.RemoveAll(dir) })
	c := Dial(dir)
	for {
		_, err := c.View(t.Context())
		if err == nil {
			return f, c, dir, end
		}
		if !errors.Is(err, ErrNotRunning) {
			t.Fatal(err)
		}
	}
}

func TestSocket(t *testing.T) {
	f, c, dir, end := serve(t)
	if st, err := os.Stat(dir + "/" + Socket); err != nil || st.Mode().Perm() != 0o600 {
		t.Error("the socket is not its owner's alone", err)
	}
	if err := New(dir, f, slog.New(slog.DiscardHandler), nil).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another deskset") {
		t.Errorf("a second server: %v", err)
	}

	// Asked, and refused with the seat's own code.
	if err := c.Do(t.Context(), console.Action{Kind: console.Dial, Target: "600"}); err != nil {
		t.Error(err)
	}
	f.mu.Lock()
	f.answer = &console.Error{Code: console.CodeDialRefused}
	f.mu.Unlock()
	var refused *console.Error
	if err := c.Do(t.Context(), console.Action{Kind: console.Hold}); !errors.As(err, &refused) || refused.Code != console.CodeDialRefused {
		t.Errorf("%v", err)
	}
	if len(f.asked) != 2 || f.asked[0].Target != "600" {
		t.Errorf("asked %+v", f.asked)
	}

	// A view is followed until it is what was waited for.
	seen := make(chan panel.View, 1)
	go func() {
		v, err := c.Await(t.Context(), func(v panel.View) bool { return v.State == panel.Talking })
		if err != nil {
			t.Error(err)
		}
		seen <- v
	}()
	f.mu.Lock()
	f.view.State = panel.Talking
	f.mu.Unlock()
	f.news <- struct{}{}
	if v := <-seen; v.State != panel.Talking {
		t.Errorf("%+v", v)
	}

	// Events are followed until the seat ends.
	got := make(chan seat.Event, 8)
	followed := make(chan error, 1)
	go func() {
		followed <- c.Events(t.Context(), 0, true, func(e seat.Event) error { got <- e; return nil })
	}()
	f.events <- seat.Event{Seq: 1, Text: "one"}
	if e := <-got; e.Seq != 1 || e.Text != "one" {
		t.Errorf("%+v", e)
	}
	end()
	select {
	case <-followed:
	case <-time.After(5 * time.Second):
		t.Fatal("the end of the seat does not end the stream")
	}
	if _, err := c.View(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
}
