// Package control is how the verbs of the deskset program speak to a running
// seat: HTTP over a unix socket that only its owner may open.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"deskset/firmware/console"
	"deskset/firmware/panel"
	"deskset/firmware/seat"
)

// Socket is the socket's name within the run directory.
const Socket = "deskset.sock"

// Seat is what the verbs may see and ask.
type Seat interface {
	View() panel.View
	Changed() (<-chan struct{}, func())
	Do(context.Context, console.Action) error
	Events(ctx context.Context, after uint64, follow bool, f func(seat.Event) error) error
}

// Server listens at the socket. Make it with New.
type Server struct {
	path string
	seat Seat
	log  *slog.Logger
	more func() map[string]any
}

// New makes a server at dir/Socket. more adds sections to the support bundle;
// nothing in it may name a person.
func New(dir string, s Seat, log *slog.Logger, more func() map[string]any) *Server {
	return &Server{path: filepath.Join(dir, Socket), seat: s, log: log, more: more}
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if c, err := net.Dial("unix", s.path); err == nil {
		c.Close()
		return fmt.Errorf("control socket: another deskset is running at %s", s.path)
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("control socket: %w", err)
	}
	ln, err := net.Listen("unix", s.path)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(s.path, 0o600); err != nil {
		ln.Close()
		return fmt.Errorf("control socket: %w", err)
	}
	srv := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if srv.Shutdown(end) != nil {
			srv.Close()
		}
	})
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /view", func(w http.ResponseWriter, r *http.Request) { reply(w, s.seat.View()) })
	mux.HandleFunc("GET /views", s.views)
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /bundle", func(w http.ResponseWriter, r *http.Request) { reply(w, s.bundle(r.Context())) })
	mux.HandleFunc("POST /do", s.do)
	return mux
}

func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	follow := r.URL.Query().Get("follow") == "1"
	enc := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	_ = flush.Flush()
	_ = s.seat.Events(r.Context(), after, follow, func(e seat.Event) error {
		if err := enc.Encode(e); err != nil {
			return err
		}
		return flush.Flush()
	})
}

// views streams the view, now and after each change.
func (s *Server) views(w http.ResponseWriter, r *http.Request) {
	changed, stop := s.seat.Changed()
	defer stop()
	enc := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	for enc.Encode(s.seat.View()) == nil && flush.Flush() == nil {
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
	}
}

func (s *Server) do(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(io.LimitReader(r.Body, 8<<10))
	if err == nil {
		var a console.Action
		if a, err = console.ParseAction(b); err == nil {
			err = s.seat.Do(r.Context(), a)
		}
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var refusal *console.Error
	if !errors.As(err, &refusal) {
		refusal = &console.Error{Code: console.CodeFailed, Text: err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict)
	_ = json.NewEncoder(w).Encode(refusal)
}

// bundle is what a technician may carry away: no customer, no agent, no key.
func (s *Server) bundle(ctx context.Context) map[string]any {
	v := s.seat.View()
	events := []seat.Event{}
	_ = s.seat.Events(ctx, 0, false, func(e seat.Event) error { events = append(events, e); return nil })
	out := map[string]any{
		"format": "deskset-bundle/1", "seat": v.Seat, "firmware": v.Firmware, "state": v.State, "since": v.Since,
		"links": v.Links, "headset": v.Headset, "lamps": v.Lamps, "rec": v.Rec, "health": v.Health,
		"calls_on": len(v.Calls), "events": events,
	}
	if s.more != nil {
		for k, x := range s.more() {
			out[k] = x
		}
	}
	return out
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v)
}
