// Package bench measures what a seat costs, beside the programs that do the
// same: rows of a figure of ours, a figure of the peer's and their ratio.
//
// A benchmark runs the real deskset binary and looks at it from outside: what
// the kernel counts for its process, what passes on the loopback interface,
// what is spoken and heard at the sound server.
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Row is one figure. Peer and Ratio are nil where there is nothing to compare
// with.
type Row struct {
	Name     string   `json:"name"`
	Ours     float64  `json:"ours"`
	Peer     *float64 `json:"peer"`
	PeerName string   `json:"peer_name"`
	Unit     string   `json:"unit"`
	Ratio    *float64 `json:"ratio"`
}

// Report is the outcome of a benchmark.
type Report struct {
	Bench   string   `json:"bench"`
	Machine string   `json:"machine"`
	Notes   []string `json:"notes"`
	Rows    []Row    `json:"rows"`
}

// Options of a benchmark.
type Options struct {
	Dir      string        // for state and logs; must exist
	Bin      string        // where deskset and deskfleet are
	Asterisk string        // chroot
	Runs     int           // of each side; 0: 2
	Length   time.Duration // of what is measured in a run; 0: 20 s
	Say      func(format string, args ...any)
	Log      *slog.Logger
}

// Bench is one benchmark.
type Bench struct {
	Name, What string
	Run        func(context.Context, Options) (Report, error)
}

// All benchmarks.
func All() []Bench {
	return []Bench{
		{"call", "a recorded Opus call through Asterisk, beside Debian's baresip", Call},
		{"vault", "sealing of a recording, beside a plain file that is synced as often", Vault},
	}
}

// ErrUnknown says that there is no such benchmark.
var ErrUnknown = errors.New("no such benchmark")

// Run runs one by its name.
func Run(ctx context.Context, name string, o Options) (Report, error) {
	o.Runs, o.Length = cmp.Or(o.Runs, 2), cmp.Or(o.Length, 20*time.Second)
	for _, b := range All() {
		if b.Name == name {
			r, err := b.Run(ctx, o)
			r.Bench, r.Machine = name, Machine()
			return r, err
		}
	}
	return Report{}, fmt.Errorf("%w: %q", ErrUnknown, name)
}

// add a row with the medians of both sides.
func (r *Report) add(name, unit string, ours []float64, peerName string, peer []float64) {
	row := Row{Name: name, Ours: round(median(ours)), Unit: unit, PeerName: peerName}
	if len(ours) == 0 {
		r.note("%s could not be measured", name)
		return
	}
	if len(peer) > 0 {
		p := round(median(peer))
		row.Peer = &p
		if p != 0 {
			q := round(median(ours) / median(peer))
			row.Ratio = &q
		}
	}
	r.Rows = append(r.Rows, row)
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Print writes the report for a person.
func (r Report) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\tours\tpeer\tratio\tunit\tpeer is\n", strings.ToUpper(r.Bench))
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Name, figure(&row.Ours), figure(row.Peer), figure(row.Ratio), row.Unit, row.PeerName)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "machine:", r.Machine)
	for _, n := range r.Notes {
		fmt.Fprintln(out, "note:", n)
	}
	return nil
}

func figure(f *float64) string {
	if f == nil {
		return "-"
	}
	return fmt.Sprint(*f)
}

// round to three digits that count; whole numbers stay whole.
func round(f float64) float64 {
	if f == 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(f))))
	if scale <= 1 {
		return math.Round(f)
	}
	return math.Round(f*scale) / scale
}

func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(x))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Machine names processor, cores, kernel and what else they are busy with.
func Machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
		model = fmt.Sprintf("%s, %d cores", model, strings.Count(string(b), "processor\t:"))
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%s, Linux %s, load %s", model, strings.TrimSpace(string(release)), one)
}
