package story

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"deskset/cmd/desksim/rig"
)

// Story is a promise of the seat with the plot that tries it.
type Story struct {
	Name string // for the command line
	What string // one line
	Plot Plot
	// Only names the one PBX that can play it; empty: any.
	Only string
	// Own makes the options of a rig that no other story shares; nil: the
	// common one.
	Own func(*rig.Options)
	// Root says that it needs the rights to mount.
	Root bool
}

// All stories, in the order in which they are told.
func All() []Story {
	var all []Story
	for _, part := range [][]Story{inbound, holding, transfers, outbound, network, devices, recordings, badPBX} {
		all = append(all, part...)
	}
	return all
}

// Find a story by name.
func Find(name string) (Story, bool) {
	for _, s := range All() {
		if s.Name == name {
			return s, true
		}
	}
	return Story{}, false
}

// Outcome of one story on one PBX.
type Outcome struct {
	Name string `json:"name"`
	Report
	Ms      int64  `json:"ms"`
	Skipped string `json:"skipped,omitempty"`
	Logs    string `json:"logs,omitempty"` // of a failure
}

// limitOf a story; none is longer.
const limitOf = 3 * time.Minute

// Suite tells stories on one PBX.
type Suite struct {
	Opt  rig.Options // Dir is where each rig gets a directory of its own
	Say  func(format string, args ...any)
	Keep bool // what rigs leave behind

	stage *Stage
	rigs  int
}

// Tell one story. A failure spoils the rig: the next story gets a fresh one,
// and the failed one's logs stay.
func (s *Suite) Tell(ctx context.Context, st Story) Outcome {
	began := time.Now()
	out := Outcome{Name: st.Name, Report: Report{PBX: s.Opt.PBX, Steps: []Step{}}}
	switch {
	case st.Only != "" && st.Only != s.Opt.PBX:
		out.OK, out.Skipped = true, "is for the PBX "+st.Only
		return out
	case st.Root && os.Getuid() != 0:
		out.OK, out.Skipped = true, "needs root"
		return out
	}
	ctx, stop := context.WithTimeout(ctx, limitOf)
	defer stop()
	err := s.tell(ctx, st, &out)
	if err != nil {
		out.OK = false
		out.Error = errors.Join(errors.New(out.Error), err).Error()
	}
	out.Ms = time.Since(began).Milliseconds()
	return out
}

func (s *Suite) tell(ctx context.Context, st Story, out *Outcome) error {
	stage := s.stage
	if st.Own != nil {
		stage = nil
	}
	if stage == nil {
		o := s.Opt
		s.rigs++
		o.Dir = filepath.Join(s.Opt.Dir, fmt.Sprintf("%s-%02d", o.PBX, s.rigs))
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return err
		}
		if st.Own != nil {
			st.Own(&o)
		}
		var err error
		if stage, err = Open(ctx, o); err != nil {
			out.Logs = o.Dir
			return err
		}
	}
	if st.Own == nil {
		s.stage = stage
	}
	out.Report = Tell(ctx, stage, st.Plot, s.Say)
	if out.OK && st.Own == nil {
		return nil
	}
	if st.Own == nil {
		s.stage = nil
	}
	if !out.OK {
		stage.keepJournal()
	}
	err := stage.Close()
	if err != nil || !out.OK {
		out.Logs = stage.Rig.Opt.Dir
		return err
	}
	return s.remove(stage)
}

// remove what a rig that served well has left.
func (s *Suite) remove(st *Stage) error {
	if s.Keep {
		return nil
	}
	return os.RemoveAll(st.Rig.Opt.Dir)
}

// Close ends the rig that stories shared.
func (s *Suite) Close() error {
	if s.stage == nil {
		return nil
	}
	st := s.stage
	s.stage = nil
	if err := st.Close(); err != nil {
		return err
	}
	return s.remove(st)
}
