package main

import (
	"os/exec"
	"strings"
	"testing"
)

const mod = "deskset/"

// rule says what a tree of packages may not import, and why.
type rule struct {
	tree string
	deny []string
	why  string
}

var rules = []rule{
	{"board", []string{mod + "firmware", mod + "drivers", mod + "audio", mod + "cmd", "periph.io/", "github.com/"},
		"boards are data: pins and names, readable without knowing the seat"},
	{"audio", []string{mod + "firmware", mod + "drivers", mod + "board", mod + "cmd", "github.com/pion/"},
		"audio is sound and the sample clock; it knows no telephony"},
	{"drivers", []string{mod + "firmware", mod + "audio", mod + "board", mod + "cmd"},
		"a driver knows its chip, not the seat; pins come in as values"},
	{"firmware", []string{mod + "drivers", mod + "board", mod + "cmd", mod + "audio/soundcard", "periph.io/", "go.bug.st/serial", "github.com/gen2brain/malgo"},
		"firmware knows hardware only through interfaces that it declares; cmd/deskset wires the drivers"},
	{"cmd/deskfleet", []string{mod + "cmd/", mod + "audio/soundcard", mod + "drivers"}, "programs are wiring and are not imported"},
	{"cmd/deskset", []string{mod + "cmd/", mod + "firmware/centre"}, "the seat knows nothing of the centre's other end"},
}

// pure packages read no clock, disk or net and start no goroutine.
var pure = []string{"firmware/agent", "firmware/keypad", "firmware/retention", "firmware/record", "firmware/panel"}

var impure = []string{"os", "net", "sync", "context", "log/slog", "github.com/pion/"}

// pionHome are the only importers of pion: the leg, and the far end of the demo.
var pionHome = []string{"firmware/media", "cmd/desksim/smallpbx", "cmd/desksim/phone"}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, mod+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		n++
		for _, r := range rules {
			if under(f[0], mod+r.tree) {
				forbid(t, f, r.deny, r.why, mod+r.tree)
			}
		}
		for _, p := range pure {
			if under(f[0], mod+p) {
				forbid(t, f, impure, "it is pure: Step and tables only, so that a test can say exactly what it does", "")
			}
		}
		home := false
		for _, p := range pionHome {
			home = home || under(f[0], mod+p)
		}
		if !home {
			forbid(t, f, []string{"github.com/pion/"}, "pion lives in firmware/media", "")
		}
	}
	if n < 20 {
		t.Fatalf("only %d packages were looked at", n)
	}
}

func under(pkg, tree string) bool { return pkg == tree || strings.HasPrefix(pkg, tree+"/") }

// forbid reports imports below a denied tree; a program may import what lies
// below itself.
func forbid(t *testing.T, f, deny []string, why, self string) {
	t.Helper()
	for _, imp := range f[1:] {
		for _, d := range deny {
			if under(imp, strings.TrimSuffix(d, "/")) && (self == "" || !under(imp, self)) {
				t.Errorf("%s imports %s: %s", strings.TrimPrefix(f[0], mod), imp, why)
			}
		}
	}
}
