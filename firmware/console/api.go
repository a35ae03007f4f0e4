package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"deskset/firmware/panel"
)

// Cookies. The prefix makes browsers insist on Secure, Path=/ and no Domain.
const (
	sessionCookie = "__Host-deskset"
	pairCookie    = "__Host-deskset-pair"
)

// doTime is how long a page waits for the seat to take an action.
const doTime = 5 * time.Second

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/pair", s.getPair)
	mux.HandleFunc("POST /api/pair", s.postPair)
	mux.HandleFunc("POST /api/pair/claim", s.postClaim)
	mux.HandleFunc("DELETE /api/pair", s.deletePair)
	mux.HandleFunc("GET /api/view", s.getView)
	mux.HandleFunc("POST /api/do", s.postDo)
	mux.HandleFunc("GET /api/ws", s.getSocket)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusNotFound, &Error{Code: CodeBadRequest, Text: "no such thing, see API.md"})
	})
	mux.Handle("/", pages())
	return s.guard(mux)
}

// viewMessage is what a page gets: the view, and the seat's clock so that its
// timers do not depend on the PC's.
type viewMessage struct {
	Type  string     `json:"type"` // "view"
	Seq   uint64     `json:"seq"`  // of this socket
	Now   time.Time  `json:"now"`
	Until time.Time  `json:"paired_until"`
	View  panel.View `json:"view"`
}

// visible is the view as a page may see it. The seat gives the signed-in
// agent's own shift and nothing else; with nobody signed in there is none, and
// no call but one that is up (an emergency), whatever the seat says.
func visible(v panel.View) panel.View {
	if v.Agent != "" && v.State != panel.SignedOut {
		return v
	}
	v.Agent, v.Shift = "", []panel.Item{}
	live := []panel.Call{}
	for _, c := range v.Calls {
		if c.Phase != "ended" {
			live = append(live, c)
		}
	}
	v.Calls = live
	return v
}

func (s *Server) getView(w http.ResponseWriter, r *http.Request) {
	sess := s.who(w, r)
	if sess == nil {
		return
	}
	v := visible(s.cfg.Seat.View())
	if !s.door.maySee(sess, v.Agent) {
		s.refuse(w, r, http.StatusUnauthorized, &Error{Code: CodeNotPaired})
		return
	}
	s.reply(w, http.StatusOK, viewMessage{"view", 0, s.cfg.Now(), sess.until, v})
}

func (s *Server) postDo(w http.ResponseWriter, r *http.Request) {
	sess := s.who(w, r)
	if sess == nil {
		return
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		s.refuse(w, r, http.StatusUnsupportedMediaType, &Error{Code: CodeForbidden, Text: "Content-Type is not application/json"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err != nil {
		s.refuse(w, r, http.StatusRequestEntityTooLarge, &Error{Code: CodeBadRequest, Text: "too long"})
		return
	}
	id, a, err := decodeAction(body)
	if err != nil {
		s.reply(w, http.StatusBadRequest, replyMessage{"reply", id, &Error{Code: CodeBadRequest, Text: err.Error()}})
		return
	}
	refusal := s.do(r.Context(), sess, a)
	status := http.StatusOK
	switch {
	case refusal == nil:
	case refusal.Code == CodeRate:
		status = http.StatusTooManyRequests
	case refusal.Code == CodeNotPaired:
		status = http.StatusUnauthorized
	default:
		status = http.StatusConflict
	}
	s.reply(w, status, replyMessage{"reply", id, refusal})
}

// replyMessage answers one action. No error means that the seat has taken it.
type replyMessage struct {
	Type  string `json:"type"` // "reply"
	ID    string `json:"id"`
	Error *Error `json:"error,omitempty"`
}

// do is the one way of an action to the seat.
func (s *Server) do(ctx context.Context, sess *session, a Action) *Error {
	if err := a.Check(); err != nil {
		return asError(err)
	}
	if !s.door.act(sess) {
		return &Error{Code: CodeRate}
	}
	// Between the last view and now the desk may have changed hands.
	if !s.door.maySee(sess, visible(s.cfg.Seat.View()).Agent) {
		return &Error{Code: CodeNotPaired}
	}
	if a.Kind == PressKey && a.Key == panel.Help {
		s.door.pagePressed()
		defer s.door.pagePressed()
	}
	ctx, cancel := context.WithTimeout(ctx, doTime)
	defer cancel()
	err := s.cfg.Seat.Do(ctx, a)
	if err == nil {
		s.log.Debug("console: action", "action", a)
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = &Error{Code: CodeTimeout}
	}
	refusal := asError(err)
	s.log.Info("console: action refused", "action", a, "code", refusal.Code, "err", err)
	return refusal
}

// who is the session of a request; nil if it was refused. A peer that guesses
// cookies soon gets no answer but 429.
func (s *Server) who(w http.ResponseWriter, r *http.Request) *session {
	if sess := s.door.session(cookie(r, sessionCookie)); sess != nil {
		return sess
	}
	if !s.limits.allow(askAtAll, peer(r)) {
		s.refuse(w, r, http.StatusTooManyRequests, &Error{Code: CodeRate})
		return nil
	}
	s.refuse(w, r, http.StatusUnauthorized, &Error{Code: CodeNotPaired})
	return nil
}

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

func setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, MaxAge: int(life / time.Second)}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func (s *Server) reply(w http.ResponseWriter, status int, what any) {
	b, err := json.Marshal(what)
	if err != nil {
		s.log.Error("console: encode", "err", err)
		status, b = http.StatusInternalServerError, []byte(`{"type":"reply","id":"","error":{"code":"failed"}}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, e *Error) {
	s.log.Debug("console: refused", "path", r.URL.Path, "from", peer(r), "status", status, "code", e.Code)
	s.reply(w, status, replyMessage{"reply", "", e})
}
