package audit

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
)

// Paths of the centre's API for auditors; all but the first answer a recording.
const (
	PathList  = "/v1/audit/recordings"  // GET, Filter as query -> []Summary
	PathRec   = "/v1/audit/recordings/" // GET {id}/docs/{name}, {id}/parts/{n}/{kind}
	PathKeys  = "/v1/audit/seats/"      // GET {seat}/keys -> []string, PEM
	PathFloor = "/v1/floor"             // GET -> []floor.Line
)

// Remote is a Source over HTTPS. Its client holds an auditor's certificate.
type Remote struct{ Client *fleet.Client }

// Query is the filter as a URL's query.
func (f Filter) Query() url.Values {
	q := url.Values{}
	for k, v := range map[string]string{"seat": f.Seat, "agent": f.Agent, "number": f.Number} {
		if v != "" {
			q.Set(k, v)
		}
	}
	for k, t := range map[string]time.Time{"from": f.From, "to": f.To} {
		if !t.IsZero() {
			q.Set(k, t.UTC().Format(time.RFC3339))
		}
	}
	return q
}

// ParseFilter is the inverse of Query. Unknown members are refused.
func ParseFilter(q url.Values) (Filter, error) {
	var f Filter
	for k, v := range q {
		if len(v) != 1 {
			return f, fmt.Errorf("filter %q is there %d times", k, len(v))
		}
		var err error
		switch k {
		case "seat":
			f.Seat = v[0]
		case "agent":
			f.Agent = v[0]
		case "number":
			f.Number = v[0]
		case "from":
			f.From, err = time.Parse(time.RFC3339, v[0])
		case "to":
			f.To, err = time.Parse(time.RFC3339, v[0])
		default:
			err = errors.New("no such filter")
		}
		if err != nil {
			return f, fmt.Errorf("filter %q: %w", k, err)
		}
	}
	for _, t := range []time.Time{f.From, f.To} {
		if !t.IsZero() && (t.Year() < 2000 || t.Year() > 2200) {
			return f, fmt.Errorf("filter: there are no recordings of the year %d", t.Year())
		}
	}
	return f, nil
}

// List implements Source.
func (r Remote) List(ctx context.Context, f Filter) ([]Summary, error) {
	body, _, err := r.Client.Stream(ctx, PathList, f.Query())
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var out []Summary
	if err := json.NewDecoder(io.LimitReader(body, 1<<30)).Decode(&out); err != nil {
		return nil, fmt.Errorf("list of recordings: %w", err)
	}
	return out, nil
}

// Doc implements Source.
func (r Remote) Doc(ctx context.Context, id string, d store.Doc) ([]byte, error) {
	if err := fleet.RecordingID(id); err != nil {
		return nil, err
	}
	body, _, err := r.Client.Stream(ctx, PathRec+id+"/docs/"+string(d), nil)
	if err != nil {
		return nil, missing(err)
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, store.MaxDoc+1))
	if err == nil && len(b) > store.MaxDoc {
		err = errors.New("it is too large")
	}
	if err != nil {
		return nil, fmt.Errorf("document %s of %s: %w", d, id, err)
	}
	return b, nil
}

// Part implements Source.
func (r Remote) Part(ctx context.Context, id string, k store.PartKey) (io.ReadCloser, int64, error) {
	if err := fleet.RecordingID(id); err != nil {
		return nil, 0, err
	}
	body, n, err := r.Client.Stream(ctx, PathRec+id+"/parts/"+k.String(), nil)
	return body, n, missing(err)
}

// SeatKeys implements Source.
func (r Remote) SeatKeys(ctx context.Context, seat string) ([]crypto.PublicKey, error) {
	if err := fleet.SeatName(seat); err != nil {
		return nil, err
	}
	body, _, err := r.Client.Stream(ctx, PathKeys+seat+"/keys", nil)
	if err != nil {
		return nil, missing(err)
	}
	defer body.Close()
	var pems []string
	if err := json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&pems); err != nil {
		return nil, fmt.Errorf("keys of seat %s: %w", seat, err)
	}
	var out []crypto.PublicKey
	for _, p := range pems {
		k, err := fleet.ParseCentreKey([]byte(p))
		if err != nil {
			return nil, fmt.Errorf("keys of seat %s: %w", seat, err)
		}
		out = append(out, k)
	}
	return out, nil
}

func missing(err error) error {
	var se *fleet.StatusError
	if errors.As(err, &se) && se.Status == http.StatusNotFound {
		return fmt.Errorf("%w: %w", store.ErrNotFound, err)
	}
	return err
}
