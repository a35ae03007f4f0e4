// Package story holds what a seat must be able to do, told as stories: each
// plays on a rig, step by step, and a step either holds or says why not. The
// same stories run on the small PBX and on a real Asterisk.
package story

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Step is one thing that was to happen.
type Step struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Ms   int64  `json:"ms"`
	Note string `json:"note,omitempty"`
}

// Report is how a story went.
type Report struct {
	OK    bool   `json:"ok"`
	PBX   string `json:"pbx"`
	Steps []Step `json:"steps"`
	Error string `json:"error,omitempty"`
}

// Teller plays one story and keeps its report.
type Teller struct {
	*Stage
	Say    func(format string, args ...any) // tells a person; may be nil
	Report Report
	// Answered is when the agent took the call in hand.
	Answered time.Time
	note     string
}

// Plot is what a story does. It returns the first step's error.
type Plot func(ctx context.Context, t *Teller) error

// errStep ends a story.
var errStep = errors.New("step failed")

// Tell plays a story on a stage.
func Tell(ctx context.Context, st *Stage, plot Plot, say func(string, ...any)) Report {
	if say == nil {
		say = func(string, ...any) {}
	}
	t := &Teller{Stage: st, Say: say, Report: Report{PBX: st.Rig.PBX.Name(), Steps: []Step{}}}
	err := plot(ctx, t)
	t.Report.OK = err == nil && len(t.Report.Steps) > 0
	if err != nil {
		t.Report.Error = err.Error()
	}
	return t.Report
}

// Step does one thing and notes how it went.
func (t *Teller) Step(name string, f func() error) error {
	t.note = ""
	began := time.Now()
	err := f()
	s := Step{Name: name, OK: err == nil, Ms: time.Since(began).Milliseconds(), Note: t.note}
	if err != nil {
		s.Note = err.Error()
		err = fmt.Errorf("%s: %w: %w", name, errStep, err)
	}
	t.Report.Steps = append(t.Report.Steps, s)
	mark := "ok"
	if !s.OK {
		mark = "FAILED"
	}
	t.Say("  %-46s %6d ms  %s  %s", name, s.Ms, mark, s.Note)
	return err
}

// Note adds a figure to the step that is running.
func (t *Teller) Note(format string, args ...any) { t.note = fmt.Sprintf(format, args...) }
