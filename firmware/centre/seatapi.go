package centre

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"

	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/intake"
	"deskset/firmware/centre/roster"
	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
)

func (s *server) handleEnrol(w http.ResponseWriter, r *http.Request) {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		from = r.RemoteAddr
	}
	if wait := s.enrol.blocked(from); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		s.refuse(w, r, http.StatusTooManyRequests, "too many wrong tokens", "wait and try again", nil)
		return
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<10))
	if err != nil {
		s.refuse(w, r, http.StatusRequestEntityTooLarge, "the request is too large or was cut", "send token and csr", err)
		return
	}
	req, err := fleet.ParseEnrolRequest(b)
	if err != nil {
		s.enrol.failed(from)
		s.refuse(w, r, http.StatusBadRequest, "the request is not understood", err.Error(), nil)
		return
	}
	reply, err := s.Roster.Enrol(r.Context(), req)
	var bad *roster.RequestError
	switch {
	case errors.Is(err, roster.ErrToken):
		s.enrol.failed(from)
		s.refuse(w, r, http.StatusForbidden, "the token does not open", "it is wrong, used or expired: ask IT for a new one (deskfleet seats token SEAT)", err)
	case errors.As(err, &bad):
		s.refuse(w, r, http.StatusUnprocessableEntity, "the certificate request is not right", bad.Error(), nil)
	case errors.Is(err, roster.ErrNotReady):
		w.Header().Set("Retry-After", "60")
		s.refuse(w, r, http.StatusServiceUnavailable, "the centre is not ready", err.Error(), nil)
	case err != nil:
		s.refuse(w, r, http.StatusInternalServerError, "the seat cannot be enrolled", "the centre's log says more", err)
	default:
		s.log.Info("seat enrolled", "seat", reply.Seat)
		s.answer(w, r, reply)
	}
}

// taken answers what intake said.
func (s *server) taken(w http.ResponseWriter, r *http.Request, h authority.Holder, err error) {
	var e *intake.Error
	if !errors.As(err, &e) {
		s.refuse(w, r, http.StatusInternalServerError, "the centre failed", "try again later; the centre's log says more", err)
		return
	}
	if e.State == nil {
		s.refuse(w, r, e.Status, e.Title, e.Detail, e.Err)
		return
	}
	b, merr := json.Marshal(e.State)
	if merr != nil {
		s.refuse(w, r, http.StatusInternalServerError, "the answer cannot be written", "", merr)
		return
	}
	s.log.Info("upload out of step", "seat", h.Name, "rec", r.PathValue("id"))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Connection", "close")
	w.WriteHeader(e.Status)
	w.Write(b)
}

func (s *server) handleState(w http.ResponseWriter, r *http.Request, h authority.Holder) {
	st, err := s.in.State(r.Context(), h.Name, r.PathValue("id"))
	if err != nil {
		s.taken(w, r, h, err)
		return
	}
	s.answer(w, r, st)
}

func (s *server) handleManifest(w http.ResponseWriter, r *http.Request, h authority.Holder) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, fleet.MaxManifest+1))
	if err != nil {
		s.refuse(w, r, http.StatusRequestEntityTooLarge, "the manifest is too large or was cut", "", err)
		return
	}
	if err := s.in.Manifest(r.Context(), h.Name, r.PathValue("id"), b); err != nil {
		s.taken(w, r, h, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// partKey reads the end of a part's path.
func partKey(r *http.Request) (store.PartKey, bool) {
	n, err := strconv.Atoi(r.PathValue("n"))
	k := fleet.Kind(r.PathValue("kind"))
	ok := err == nil && strconv.Itoa(n) == r.PathValue("n") && n >= 0 && (k == fleet.Facts || k == fleet.Voice)
	return store.PartKey{N: n, Kind: k}, ok
}

func (s *server) handlePart(w http.ResponseWriter, r *http.Request, h authority.Holder) {
	k, ok := partKey(r)
	if !ok {
		s.refuse(w, r, http.StatusNotFound, "no such part", "the path ends in parts/{number}/{facts or voice}", nil)
		return
	}
	rng, err := fleet.ParseRange(r.Header.Get("Content-Range"))
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, "which bytes are these?", err.Error(), nil)
		return
	}
	if r.ContentLength != rng.Len() {
		s.refuse(w, r, http.StatusBadRequest, "the body is not what the range says", "send Content-Length and exactly the bytes of Content-Range", nil)
		return
	}
	st, err := s.in.Put(r.Context(), h.Name, r.PathValue("id"), k, rng, r.Body)
	if err != nil {
		s.taken(w, r, h, err)
		return
	}
	s.answer(w, r, st)
}

func (s *server) handleReceipt(w http.ResponseWriter, r *http.Request, h authority.Holder) {
	b, err := s.in.Receipt(r.Context(), h.Name, r.PathValue("id"))
	if err != nil {
		s.taken(w, r, h, err)
		return
	}
	reply(w, "application/jose", b)
}
