package vault_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"deskset/firmware/vault"
	"deskset/firmware/vault/crashfs"
)

// aged is a disk with eight recordings, the first six of them deleted, the
// seventh receipted and on hold, the last one sealed.
func aged(t *testing.T) (*crashfs.Disk, state) {
	t.Helper()
	d := crashfs.New()
	v := open(t, d)
	s := &story{v: v}
	for i := range 8 {
		c := s.begin()
		c.fact(fmt.Sprintf("call %d", i+1))
		c.page()
		c.end()
		if i < 7 {
			c.receipt()
		}
		if i == 6 {
			c.hold()
		}
		if i < 6 {
			c.remove()
		}
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d, s.snapshot()
}

func retiring(d *crashfs.Disk) (*vault.Vault, error) {
	cfg := config(d)
	cfg.Retire = 5
	return vault.Open(cfg)
}

// retired says what is wrong with a vault after its index was archived.
func retired(d *crashfs.Disk, ms state) error {
	for start := range 2 {
		v, err := retiring(d)
		if err != nil {
			return err
		}
		if rep := v.Check(context.Background(), true); !rep.OK() {
			return fmt.Errorf("start %d: %v", start, rep.Lines)
		}
		l := v.List()
		if len(l) != 2+start || l[0].Seq != 7 || l[1].Seq != 8 || l[0].Started.IsZero() {
			return fmt.Errorf("start %d: %+v", start, l)
		}
		byID := map[string]vault.Entry{l[0].ID: l[0], l[1].ID: l[1]}
		for _, m := range ms[6:] {
			if err := m.verify(v, byID, true); err != nil {
				return fmt.Errorf("start %d, recording %d: %w", start, m.seq, err)
			}
		}
		r, err := v.Create(keys().to)
		if err != nil {
			return err
		}
		r.Facts([]byte("next"))
		m, err := r.Close(context.Background())
		if err != nil || m.Seq != uint64(9+start) {
			return fmt.Errorf("start %d: next number %d: %w", start, m.Seq, err)
		}
		if err := v.Close(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

// TestRetire archives an index of deleted recordings, with the power cut at
// each step of it.
func TestRetire(t *testing.T) {
	d, ms := aged(t)
	var ims []*crashfs.Image
	d.Before = func(_ crashfs.Step, im *crashfs.Image) { ims = append(ims, im) }
	v, err := retiring(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Before = nil
	if err := retired(d, ms); err != nil {
		t.Fatal(err)
	}
	all, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	kept := false
	for _, i := range all {
		kept = kept || strings.HasPrefix(i.Name, "archive.")
	}
	if !kept {
		t.Error("the old index is not kept")
	}
	rng := rand.New(rand.NewPCG(9, 9))
	for k, im := range ims {
		for range max(2, ways/2) {
			if err := retired(im.Restart(rng), ms); err != nil {
				t.Fatalf("cut at step %d of %d: %v", k+1, len(ims), err)
			}
		}
	}
}
