package vault_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"deskset/firmware/vault/crashfs"
)

type moment struct {
	step crashfs.Step
	im   *crashfs.Image
	acks state
}

// moments plays the story and keeps the disk at every step.
func moments(t *testing.T, forget func(*story, crashfs.Step) bool) (all []moment) {
	synctest.Test(t, func(t *testing.T) {
		d, s := crashfs.New(), &story{}
		d.Before = func(st crashfs.Step, im *crashfs.Image) {
			all = append(all, moment{st, im, s.snapshot()})
		}
		if forget != nil {
			d.Forget = func(st crashfs.Step) bool { return forget(s, st) }
		}
		s.play(d, config(d))
		if s.err != nil && !strings.Contains(s.err.Error(), "kept") {
			t.Fatal(s.err)
		}
		all = append(all, moment{crashfs.Step{Kind: "end"}, d.Image(), s.snapshot()})
	})
	return all
}

func full() bool { return os.Getenv("DESKSET_FULL") != "" }

// TestPowerCut cuts at every step of the story, many ways each, and once more
// while the vault recovers.
func TestPowerCut(t *testing.T) {
	ways := ways
	if full() {
		ways = 200
	}
	all := moments(t, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	cuts, second := 0, 0
	for _, m := range all {
		for w := range ways {
			d := m.im.Restart(rng)
			cuts++
			if w%3 == 0 {
				// The second cut: at some step of the recovery.
				var ims []*crashfs.Image
				d.Before = func(_ crashfs.Step, im *crashfs.Image) { ims = append(ims, im) }
				if err := verify(d, m.acks, true, true); err != nil {
					t.Fatalf("cut %d at %v: %v", cuts, m.step, err)
				}
				d = ims[rng.IntN(len(ims))].Restart(rng)
				cuts++
				second++
			}
			if err := verify(d, m.acks, true, w%4 == 1); err != nil {
				t.Fatalf("cut %d at %v: %v", cuts, m.step, err)
			}
		}
	}
	t.Logf("%d steps, %d cuts, %d of them in a recovery, 0 violations", len(all), cuts, second)
}

// TestPowerCutMutants takes away one kind of sync at a time: the sweep must
// notice each.
func TestPowerCutMutants(t *testing.T) {
	first := map[string]bool{}
	part := func(st crashfs.Step) bool {
		return st.Kind == crashfs.Sync && (strings.HasSuffix(st.Name, ".facts") || strings.HasSuffix(st.Name, ".voice"))
	}
	isFirst := func(st crashfs.Step) bool {
		f := !first[st.Name]
		first[st.Name] = true
		return f
	}
	mutants := map[string]func(*story, crashfs.Step) bool{
		"header":    func(_ *story, st crashfs.Step) bool { return part(st) && isFirst(st) },
		"segment":   func(_ *story, st crashfs.Step) bool { return part(st) && !isFirst(st) },
		"directory": func(_ *story, st crashfs.Step) bool { return st.Kind == crashfs.SyncDir },
		"index": func(_ *story, st crashfs.Step) bool {
			return st.Kind == crashfs.Sync && strings.HasPrefix(st.Name, "index.")
		},
		// Of the index, only those that put a receipt, a hold or a deletion down.
		"receipt": func(s *story, st crashfs.Step) bool {
			return st.Kind == crashfs.Sync && strings.HasPrefix(st.Name, "index.") && s.snapshot().closed()
		},
	}
	for name, forget := range mutants {
		t.Run(name, func(t *testing.T) {
			clear(first)
			all := moments(t, forget)
			rng := rand.New(rand.NewPCG(3, 4))
			for try := range 20 {
				for _, m := range all {
					if err := verify(m.im.Restart(rng), m.acks, true, false); err != nil {
						t.Logf("caught in round %d at %v: %v", try, m.step, err)
						return
					}
				}
			}
			t.Fatal("a forgotten sync was not noticed")
		})
	}
}

func (s state) closed() bool { return len(s) > 0 && s[0].manifest != "" && len(s) < 3 }
