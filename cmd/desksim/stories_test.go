package main

import (
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"

	"deskset/cmd/desksim/story"
)

func TestStoriesAreNamedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range story.All() {
		if s.Name == "" || s.What == "" || s.Plot == nil {
			t.Errorf("story %q is not whole", s.Name)
		}
		if seen[s.Name] || strings.ContainsAny(s.Name, " _") || s.Name == "all" {
			t.Errorf("story %q cannot be called so", s.Name)
		}
		seen[s.Name] = true
	}
}

func TestChosen(t *testing.T) {
	all, err := chosen([]string{"all"})
	if err != nil || len(all) != len(story.All()) {
		t.Errorf("all: %d stories, %v", len(all), err)
	}
	two, err := chosen([]string{"hold", "dnd"})
	if err != nil || len(two) != 2 || two[0].Name != "hold" || two[1].Name != "dnd" {
		t.Errorf("hold dnd: %v, %v", two, err)
	}
	if _, err := chosen([]string{"hold", "no-such"}); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "no-such") {
		t.Errorf("unknown story: %v", err)
	}
}

func TestInterspersed(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string
		json bool
	}{
		{"hold dnd", []string{"hold", "dnd"}, false},
		{"--json hold", []string{"hold"}, true},
		{"hold --json dnd", []string{"hold", "dnd"}, true},
		{"hold --json", []string{"hold"}, true},
		{"", nil, false},
	} {
		fs := flag.NewFlagSet("t", flag.ContinueOnError)
		asJSON := fs.Bool("json", false, "")
		got, err := interspersed(fs, strings.Fields(c.args))
		if err != nil || !slices.Equal(got, c.want) || *asJSON != c.json {
			t.Errorf("%q: %q, json %v, %v", c.args, got, *asJSON, err)
		}
	}
}

func TestFailedNamesStories(t *testing.T) {
	good := story.Outcome{Name: "hold", Report: story.Report{OK: true, PBX: "small"}}
	bad := story.Outcome{Name: "dnd", Report: story.Report{PBX: "asterisk"}}
	if err := failed(storyReport{Stories: []story.Outcome{good}}); err != nil {
		t.Errorf("nothing failed: %v", err)
	}
	if err := failed(storyReport{Stories: []story.Outcome{good, bad}}); err == nil || err.Error() != "did not hold: dnd (asterisk)" {
		t.Errorf("got %v", err)
	}
}
