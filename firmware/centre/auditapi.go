package centre

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"deskset/firmware/centre/audit"
	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/floor"
	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
)

func (s *server) handleList(w http.ResponseWriter, r *http.Request, h authority.Holder) {
	f, err := audit.ParseFilter(r.URL.Query())
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, "the filter is not understood", err.Error(), nil)
		return
	}
	list, err := s.Audit().List(r.Context(), f)
	if err != nil {
		s.refuse(w, r, http.StatusInternalServerError, "the recordings cannot be listed", "the centre's log says more", err)
		return
	}
	if err := s.record(r.Context(), store.Entry{What: "listed", By: h.Name, Text: strconv.Itoa(len(list)) + " recordings"}); err != nil {
		s.refuse(w, r, http.StatusInternalServerError, "the log cannot be written", "nothing is shown that is not logged", err)
		return
	}
	s.answer(w, r, list)
}

func (s *server) handleDoc(w http.ResponseWriter, r *http.Request, h authority.Holder) {
	id, d := r.PathValue("id"), store.Doc(r.PathValue("doc"))
	if fleet.RecordingID(id) != nil || !slices.Contains([]store.Doc{store.Manifest, store.Receipt, store.VCon, store.Intake, store.Tombstone}, d) {
		s.refuse(w, r, http.StatusNotFound, "no such document", "", nil)
		return
	}
	b, err := s.Recs.Doc(r.Context(), id, d)
	if errors.Is(err, store.ErrNotFound) {
		s.refuse(w, r, http.StatusNotFound, "no such document", "", nil)
		return
	}
	if err == nil && d == store.VCon {
		err = s.record(r.Context(), store.Entry{What: "vCon read", Rec: id, By: h.Name})
	}
	if err != nil {
		s.refuse(w, r, http.StatusInternalServerError, "the document cannot be read", "the centre's log says more", err)
		return
	}
	reply(w, "application/octet-stream", b)
}

func (s *server) handleGetPart(w http.ResponseWriter, r *http.Request, h authority.Holder) {
	id := r.PathValue("id")
	k, ok := partKey(r)
	if !ok || fleet.RecordingID(id) != nil {
		s.refuse(w, r, http.StatusNotFound, "no such part", "", nil)
		return
	}
	p, err := s.Recs.Open(r.Context(), id, k)
	if errors.Is(err, store.ErrNotFound) {
		s.refuse(w, r, http.StatusNotFound, "no such part", "", nil)
		return
	}
	if err == nil {
		defer p.Close()
		err = s.record(r.Context(), store.Entry{What: "part read", Rec: id, By: h.Name, Text: k.String()})
	}
	if err != nil {
		s.refuse(w, r, http.StatusInternalServerError, "the part cannot be read", "the centre's log says more", err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.FormatInt(p.Size(), 10))
	io.Copy(w, io.NewSectionReader(p, 0, p.Size())) // an error is the reader's: it sees a short body
}

func (s *server) handleKeys(w http.ResponseWriter, r *http.Request, _ authority.Holder) {
	seat := r.PathValue("seat")
	if fleet.SeatName(seat) != nil {
		s.refuse(w, r, http.StatusNotFound, "no such seat", "", nil)
		return
	}
	x, err := s.Seats.Seat(r.Context(), seat)
	if errors.Is(err, store.ErrNotFound) {
		s.refuse(w, r, http.StatusNotFound, "no such seat", "", nil)
		return
	}
	if err != nil {
		s.refuse(w, r, http.StatusInternalServerError, "the seat's keys cannot be read", "the centre's log says more", err)
		return
	}
	pems := []string{}
	for _, c := range x.Certs {
		pems = append(pems, c.Key)
	}
	s.answer(w, r, pems)
}

func (s *server) handleFloor(w http.ResponseWriter, r *http.Request, _ authority.Holder) {
	lines, err := s.floor(r)
	if err != nil {
		s.refuse(w, r, http.StatusInternalServerError, "the floor cannot be shown", "the centre's log says more", err)
		return
	}
	s.answer(w, r, lines)
}

func (s *server) floor(r *http.Request) ([]floor.Line, error) {
	all, err := s.Seats.Seats(r.Context())
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, x := range all {
		if !x.Revoked {
			names = append(names, x.Name)
		}
	}
	lines := s.Floor.Lines(names)
	// What belongs to no seat on the list still has to be seen.
	var rest []string
	for _, a := range s.in.Alarms() {
		text := a.Text
		if a.Rec != "" {
			text = "recording " + a.Rec + ": " + text
		}
		if i := slices.Index(names, a.Seat); i >= 0 {
			lines[i].Alarms = append(lines[i].Alarms, text)
		} else {
			rest = append(rest, strings.TrimSpace(a.Seat+" "+text))
		}
	}
	if len(rest) > 0 {
		lines = append(lines, floor.Line{Seat: "", Alarms: rest})
	}
	return lines, nil
}
