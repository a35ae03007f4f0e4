package console

import (
	"net/http"
	"time"
)

// pairMessage is how far a browser has come.
type pairMessage struct {
	Type    string `json:"type"`  // "pair"
	State   string `json:"state"` // "none", "waiting", "confirmed", "busy" (another browser waits), "paired"
	Code    string `json:"code,omitempty"`
	Seconds int    `json:"seconds,omitempty"` // until the wait ends
	Seat    string `json:"seat"`              // so that one knows at which desk to press
	Lang    string `json:"lang"`              // the seat's
}

func (s *Server) pairMessage(state, code string, left time.Duration) pairMessage {
	v := s.cfg.Seat.View()
	return pairMessage{"pair", state, code, int((left + time.Second - 1) / time.Second), v.Seat, v.Lang}
}

func (s *Server) getPair(w http.ResponseWriter, r *http.Request) {
	if s.door.session(cookie(r, sessionCookie)) != nil {
		s.reply(w, http.StatusOK, s.pairMessage("paired", "", 0))
		return
	}
	state, code, left := s.door.poll(cookie(r, pairCookie))
	if (state == "none" || state == "busy") && !s.limits.allow(askAtAll, peer(r)) {
		s.refuse(w, r, http.StatusTooManyRequests, &Error{Code: CodeRate})
		return
	}
	s.reply(w, http.StatusOK, s.pairMessage(state, code, left))
}

// postPair gives the browser a code and lets it wait for the HELP key.
func (s *Server) postPair(w http.ResponseWriter, r *http.Request) {
	if !s.limits.allow(askToPair, peer(r)) {
		s.refuse(w, r, http.StatusTooManyRequests, &Error{Code: CodeRate})
		return
	}
	token, code, err := s.door.start(cookie(r, pairCookie), peer(r))
	if err != nil {
		s.refuse(w, r, http.StatusConflict, asError(err))
		return
	}
	s.log.Info("console: a browser waits for the HELP key", "from", peer(r))
	setCookie(w, pairCookie, token, 2*pairingWait)
	s.reply(w, http.StatusOK, s.pairMessage("waiting", code, pairingWait))
}

// postClaim gives a confirmed browser its session.
func (s *Server) postClaim(w http.ResponseWriter, r *http.Request) {
	token, err := s.door.claim(cookie(r, pairCookie), visible(s.cfg.Seat.View()).Agent)
	if err != nil {
		if !s.limits.allow(askAtAll, peer(r)) {
			s.refuse(w, r, http.StatusTooManyRequests, &Error{Code: CodeRate})
			return
		}
		s.refuse(w, r, http.StatusUnauthorized, asError(err))
		return
	}
	s.log.Info("console: browser paired", "from", peer(r))
	setCookie(w, pairCookie, "", 0)
	setCookie(w, sessionCookie, token, sessionLife)
	s.reply(w, http.StatusOK, s.pairMessage("paired", "", 0))
}

// deletePair ends the browser's wait and its session.
func (s *Server) deletePair(w http.ResponseWriter, r *http.Request) {
	s.door.cancel(cookie(r, pairCookie))
	if sess := s.door.session(cookie(r, sessionCookie)); sess != nil {
		s.door.leave(sess, ReasonUnpaired)
	}
	setCookie(w, pairCookie, "", 0)
	setCookie(w, sessionCookie, "", 0)
	s.reply(w, http.StatusOK, s.pairMessage("none", "", 0))
}
