package centre

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"deskset/firmware/centre/audit"
	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/intake"
	"deskset/firmware/centre/store"
	"deskset/firmware/centre/store/fsstore"
	"deskset/firmware/fleet"

	"golang.org/x/net/netutil"
)

// Limits of the server.
const (
	maxConns    = 4096
	maxPerSeat  = 8                // requests of one seat at a time, the stream apart
	bodyTime    = 15 * time.Minute // for one part's range on a thin line
	requestTime = 30 * time.Second // for everything else
	watchEvery  = time.Second      // how soon a change of settings or holds reaches the seats
)

// server serves one open centre.
type server struct {
	*Centre
	in    *intake.Intake
	enrol *limiter
	done  <-chan struct{} // closed when the centre stops

	mu    sync.Mutex
	busy  map[string]int  // requests of a seat at this moment
	held  map[string]bool // legal holds as the seats were told: active or released
	owner map[string]string
}

// Serve serves HTTPS on l until ctx ends, and closes l.
func (c *Centre) Serve(ctx context.Context, l net.Listener) error {
	f, err := c.Settings()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	lock, err := fsstore.TryLock(filepath.Join(c.dir, "serving.lock"))
	if errors.Is(err, fsstore.ErrLocked) {
		err = fmt.Errorf("this centre is served by another process already (%w)", err)
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer lock.Close()
	in, err := c.intake("https://" + net.JoinHostPort(f.Hosts[0], port))
	if err != nil {
		return errors.Join(err, l.Close())
	}
	if err := in.Load(ctx); err != nil {
		return errors.Join(err, l.Close())
	}
	if err := c.announce(l, f.Hosts[0]); err != nil {
		return errors.Join(err, l.Close())
	}
	defer os.Remove(filepath.Join(c.dir, fileRunning))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &server{Centre: c, in: in, enrol: newLimiter(c.now), done: ctx.Done(), busy: map[string]int{}, held: map[string]bool{}, owner: map[string]string{}}
	hs := &http.Server{
		Handler:           s.handler(),
		TLSConfig:         s.tls(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
		// Not ctx: what is being written when the centre stops is finished.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.watch(ctx) })
	wg.Go(func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := hs.Shutdown(end); err != nil {
			c.log.Warn("centre stops in the middle of a request", "err", err)
			hs.Close()
		}
	})
	c.log.Info("centre serves", "address", l.Addr().String(), "centre", f.Name)
	err = hs.ServeTLS(netutil.LimitListener(l, maxConns), "", "")
	stop()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *server) tls() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"http/1.1"}, // WebSockets
		ClientAuth: tls.VerifyClientCertIfGiven,
		ClientCAs:  s.Keys.ClientCAs(),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			f, err := s.Settings()
			if err != nil {
				return nil, err
			}
			cert, err := s.Keys.Server(f.Hosts, s.now())
			return &cert, err
		},
	}
}

func (s *server) handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST "+fleet.PathEnrol, s.timed(requestTime, s.handleEnrol))
	m.HandleFunc("GET "+fleet.PathStream, s.seat(s.handleStream))
	m.HandleFunc("GET "+fleet.PathRec+"{id}", s.timed(requestTime, s.limited(s.handleState)))
	m.HandleFunc("PUT "+fleet.PathRec+"{id}/manifest", s.timed(requestTime, s.limited(s.handleManifest)))
	m.HandleFunc("PUT "+fleet.PathRec+"{id}/parts/{n}/{kind}", s.timed(bodyTime, s.limited(s.handlePart)))
	m.HandleFunc("POST "+fleet.PathRec+"{id}/receipt", s.timed(bodyTime, s.limited(s.handleReceipt)))
	m.HandleFunc("GET "+audit.PathList, s.auditor(s.handleList))
	m.HandleFunc("GET "+audit.PathRec+"{id}/docs/{doc}", s.auditor(s.handleDoc))
	m.HandleFunc("GET "+audit.PathRec+"{id}/parts/{n}/{kind}", s.auditor(s.handleGetPart))
	m.HandleFunc("GET "+audit.PathKeys+"{seat}/keys", s.auditor(s.handleKeys))
	m.HandleFunc("GET "+audit.PathFloor, s.auditor(s.handleFloor))
	m.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusNotFound, "no such page", "see the API's paths", nil)
	})
	return http.NewCrossOriginProtection().Handler(m)
}

// timed bounds how long a request may take to arrive and to be answered.
func (s *server) timed(d time.Duration, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		end := s.now().Add(d)
		if err := errors.Join(rc.SetReadDeadline(end), rc.SetWriteDeadline(end.Add(requestTime))); err != nil {
			s.refuse(w, r, http.StatusInternalServerError, "the connection cannot be bounded", "", err)
			return
		}
		h(w, r)
	}
}

// holder is who the client certificate names.
func holder(r *http.Request) (authority.Holder, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return authority.Holder{}, errors.New("a certificate of this centre is needed: enrol the seat")
	}
	return authority.Identify(r.TLS.VerifiedChains[0][0])
}

type seatHandler func(w http.ResponseWriter, r *http.Request, h authority.Holder)

// seat lets seats with a certificate in force through. The name is the
// certificate's; nothing in the request can change it.
func (s *server) seat(f seatHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h, err := holder(r)
		if err != nil {
			s.refuse(w, r, http.StatusUnauthorized, "who are you?", err.Error(), nil)
			return
		}
		if h.Role != authority.Seat {
			s.refuse(w, r, http.StatusForbidden, "not for you", "only a seat may do that", nil)
			return
		}
		if err := s.Roster.Admit(r.Context(), h); err != nil {
			s.refuse(w, r, http.StatusForbidden, "this seat is not admitted", "enrol the seat again with a new token", err)
			return
		}
		f(w, r, h)
	}
}

// limited is seat with a bound on what one seat has under way.
func (s *server) limited(f seatHandler) http.HandlerFunc {
	return s.seat(func(w http.ResponseWriter, r *http.Request, h authority.Holder) {
		s.mu.Lock()
		full := s.busy[h.Name] >= maxPerSeat
		if !full {
			s.busy[h.Name]++
		}
		s.mu.Unlock()
		if full {
			w.Header().Set("Retry-After", "5")
			s.refuse(w, r, http.StatusTooManyRequests, "too many requests at once", fmt.Sprintf("at most %d of one seat", maxPerSeat), nil)
			return
		}
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.busy[h.Name]--; s.busy[h.Name] == 0 {
				delete(s.busy, h.Name)
			}
		}()
		f(w, r, h)
	})
}

// auditor lets auditors and this machine's operator through.
func (s *server) auditor(f seatHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h, err := holder(r)
		if err != nil {
			s.refuse(w, r, http.StatusUnauthorized, "who are you?", err.Error(), nil)
			return
		}
		switch h.Role {
		case authority.Operator:
		case authority.Auditor:
			if err := s.Keys.AdmitAuditor(h); err != nil {
				s.refuse(w, r, http.StatusForbidden, "this auditor is not admitted", err.Error(), nil)
				return
			}
		default:
			s.refuse(w, r, http.StatusForbidden, "not for you", "only an auditor may do that", nil)
			return
		}
		f(w, r, h)
	}
}

// refuse answers with a problem (RFC 9457). err is for the log only.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, status int, title, detail string, err error) {
	level := slog.LevelInfo
	switch {
	case status >= 500:
		level = slog.LevelError
	case status == http.StatusNotFound && r.Method == http.MethodGet:
		level = slog.LevelDebug // "what do you have of it?", asked of every new recording
	}
	s.log.Log(r.Context(), level, "request refused", "method", r.Method, "path", r.URL.Path, "status", status, "title", title, "err", err)
	b, merr := json.Marshal(fleet.Problem{Title: title, Status: status, Detail: detail})
	if merr != nil {
		b = nil
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close") // what is left of a body is not worth reading
	}
	w.WriteHeader(status)
	w.Write(b)
}

func (s *server) answer(w http.ResponseWriter, r *http.Request, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.refuse(w, r, http.StatusInternalServerError, "the answer cannot be written", "", err)
		return
	}
	reply(w, "application/json", b)
}

func reply(w http.ResponseWriter, kind string, b []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b)
}

// watch tells the seats of legal holds, those placed by other processes too.
func (s *server) watch(ctx context.Context) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		if err := s.lookForHolds(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("look for legal holds", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (s *server) lookForHolds(ctx context.Context) error {
	ids, err := s.Holds.Held(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		hs, err := s.Holds.Holds(ctx, id)
		if err != nil {
			return err
		}
		on := store.Active(hs)
		s.mu.Lock()
		was, known := s.held[id]
		seat := s.owner[id]
		s.mu.Unlock()
		if known && was == on {
			continue
		}
		if seat == "" {
			if seat, err = s.in.SeatOf(ctx, id); err != nil {
				return err
			}
		}
		s.mu.Lock()
		s.held[id], s.owner[id] = on, seat
		s.mu.Unlock()
		s.Floor.Send(seat, fleet.Message{Hold: &fleet.LegalHold{ID: id, On: on}})
	}
	return nil
}

// holdsOf lists what a seat that connects must be told.
func (s *server) holdsOf(seat string) (out []fleet.LegalHold) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(s.held)) {
		if s.owner[id] == seat {
			out = append(out, fleet.LegalHold{ID: id, On: s.held[id]})
		}
	}
	return out
}
