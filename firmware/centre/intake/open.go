package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
	"deskset/firmware/record"
	"deskset/firmware/vault/sealed"
)

// maxFacts bounds the plain facts of one recording in memory, in bytes.
const maxFacts = 16 << 20

// opened is what a recording's parts told. Problems are words for people and
// name no party of the call.
type opened struct {
	facts    []record.Fact
	problems []string
}

func (o *opened) problem(format string, a ...any) {
	if len(o.problems) < 20 {
		o.problems = append(o.problems, fmt.Sprintf(format, a...))
	}
}

// open reads the facts and looks at the voice from outside. Its error is a
// failing disk only: whatever is wrong with the parts is a problem to note.
func (i *Intake) open(ctx context.Context, m *fleet.Manifest) (opened, error) {
	var o opened
	var plain []byte
	hasFacts := false
	parts := slices.SortedFunc(slices.Values(m.Parts), func(a, b fleet.Part) int { return cmp.Compare(a.N, b.N) })
	for _, p := range parts {
		f, err := i.c.Recordings.Open(ctx, m.ID, store.PartKey{N: p.N, Kind: p.Kind})
		if err != nil {
			return o, err
		}
		if p.Kind == fleet.Facts {
			hasFacts = true
			var b []byte
			if b, err = i.openFacts(f, m, p, &o); err == nil {
				if len(plain)+len(b) > maxFacts {
					o.problem("the facts are larger than %d bytes; what comes after is left out", maxFacts)
				} else {
					plain = append(plain, b...)
				}
			}
		} else {
			err = i.lookAt(f, m, p, &o)
		}
		f.Close()
		if err != nil {
			return o, err
		}
	}
	facts, err := record.Parse(plain)
	if err != nil {
		o.problem("some facts are damaged: %v", err)
	}
	o.facts = facts
	if !hasFacts && m.End != fleet.EndVoid {
		o.problem("the recording has no facts: who spoke is not known")
	} else if len(facts) == 0 && m.End != fleet.EndVoid {
		o.problem("no fact could be read: who spoke is not known")
	}
	return o, nil
}

// ofManifest says whether a part is the one that the manifest means: a seat
// must not pass one call's part off as another's.
func ofManifest(h *sealed.Header, m *fleet.Manifest, p fleet.Part) error {
	if h.ID != m.ID || h.Seq != m.Seq || h.Kind != p.Kind || h.Part != p.N {
		return fmt.Errorf("it says that it is %s part %d of recording %d", h.Kind, h.Part, h.Seq)
	}
	return nil
}

func (i *Intake) openFacts(f store.Part, m *fleet.Manifest, p fleet.Part, o *opened) ([]byte, error) {
	r, err := sealed.Open(f, p.Size, i.c.Facts)
	if err != nil {
		if broken(err) {
			return nil, err
		}
		o.problem("part %s does not open: %v", p.Name(), err)
		return nil, nil
	}
	if err := ofManifest(r.Header(), m, p); err != nil {
		o.problem("part %s is not used: %v", p.Name(), err)
		return nil, nil
	}
	var out []byte
	for {
		s, err := r.Next()
		var d *sealed.Damage
		switch {
		case err == io.EOF:
			if !r.Clean() && m.End == fleet.EndClosed {
				o.problem("part %s: its end is missing", p.Name())
			}
			return out, nil
		case errors.As(err, &d):
			o.problem("part %s: %v", p.Name(), d)
			out = append(out, '\n') // what was cut in two is two damaged lines, not one wrong one
		case err != nil:
			return nil, err
		case len(out)+len(s.Data) > maxFacts:
			o.problem("part %s: more than %d bytes of facts", p.Name(), maxFacts)
			return out, nil
		default:
			out = append(out, s.Data...)
		}
	}
}

// lookAt checks a voice part as far as is possible without its key.
func (i *Intake) lookAt(f store.Part, m *fleet.Manifest, p fleet.Part, o *opened) error {
	l, err := sealed.Scan(f, p.Size)
	if err != nil {
		if broken(err) {
			return err
		}
		o.problem("part %s cannot be read by anyone: %v", p.Name(), err)
		return nil
	}
	if err := ofManifest(l.Header, m, p); err != nil {
		o.problem("part %s is of another recording: %v", p.Name(), err)
	}
	if slices.Contains(l.Header.Keys, i.c.Facts.ID()) {
		o.problem("part %s is sealed to the centre's online key: voice must be sealed to offline keys only", p.Name())
	}
	if l.Damaged > 0 || l.Segments != p.Segments {
		o.problem("part %s: %d whole segments, the manifest says %d", p.Name(), l.Segments, p.Segments)
	}
	return nil
}

// broken tells a failing disk from a damaged file.
func broken(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe)
}
