package vault_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/retention"
	"deskset/firmware/vault"
	"deskset/firmware/vault/crashfs"
	"deskset/firmware/vault/sealed"
)

// filled is a disk with four recordings: sealed, receipted, on hold and
// deleted.
func filled(t *testing.T) (d *crashfs.Disk, ms state) {
	t.Helper()
	d = crashfs.New()
	v := open(t, d)
	s := &story{v: v}
	for i := range 4 {
		c := s.begin()
		c.fact(fmt.Sprintf("call %d from 13800138000 to 4001234567 agent 8042", i+1))
		for range 3 {
			c.page()
		}
		c.end()
		if i > 0 {
			c.receipt()
		}
		if i == 2 {
			c.hold()
		}
		if i == 3 {
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

// sectors of the index that are in use.
func sectors(t *testing.T, d *crashfs.Disk) (b []byte, n int) {
	t.Helper()
	b, err := d.ReadFile("index.000001")
	if err != nil {
		t.Fatal(err)
	}
	return b, len(bytes.TrimRight(b, "\x00"))/512 + 1
}

// TestIndexDamage breaks each sector of the index in turn: the vault opens, no
// number is used twice, no file is dropped, nothing that may have been on hold
// can be deleted, and the damage is told.
func TestIndexDamage(t *testing.T) {
	_, used := sectors(t, first(filled(t)))
	for s := range used {
		d, ms := filled(t)
		b, _ := sectors(t, d)
		for i := range 512 {
			b[s*512+i] ^= 0x55
		}
		d.WriteFile("index.000001", b)
		before := partNames(t, d)
		v := open(t, d)
		rep := v.Check(t.Context(), true)
		if rep.OK() && s < used-2 {
			t.Errorf("sector %d of %d: damage is not told", s, used)
		}
		after := partNames(t, d)
		for _, n := range before {
			if !slices.Contains(after, n) {
				t.Errorf("sector %d: %s is gone", s, n)
			}
		}
		for i, e := range v.List() {
			if e.Seq != uint64(i+1) {
				t.Fatalf("sector %d: number %d at place %d", s, e.Seq, i+1)
			}
			m := ms[i]
			if e.ID != "" && e.ID != m.id {
				t.Fatalf("sector %d: recording %d is %s, was %s", s, e.Seq, e.ID, m.id)
			}
			if m.hold {
				err := v.Delete(permit(e))
				if err == nil {
					t.Fatalf("sector %d: a recording on hold was deleted", s)
				}
			}
		}
		r, err := v.Create(keys().to)
		if err != nil {
			t.Fatal(err)
		}
		r.Facts([]byte("next"))
		m, err := r.Close(t.Context())
		if err != nil || m.Seq != 5 {
			t.Fatalf("sector %d: next number is %d: %v", s, m.Seq, err)
		}
		// The repair lasts.
		if err := v.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		v = open(t, d)
		if n := len(v.List()); n != 5 {
			t.Fatalf("sector %d: %d entries after the next start", s, n)
		}
	}
}

func first(d *crashfs.Disk, _ state) *crashfs.Disk { return d }

func partNames(t *testing.T, d *crashfs.Disk) (out []string) {
	t.Helper()
	all, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if strings.HasSuffix(i.Name, ".facts") || strings.HasSuffix(i.Name, ".voice") {
			out = append(out, i.Name)
		}
	}
	return out
}

func permit(e vault.Entry) retention.Verdict {
	c := e.Copy()
	c.Hold, c.Doubt = false, false // a verdict from before
	return retention.Decide(c, retention.Now{
		Time: e.Received.Add(31 * retention.Day), Trusted: true, LastSigned: e.Received.Add(30 * retention.Day), FreeFraction: 1,
	}, retention.Default())
}

// TestDoubt: after damage a hold may be lost; only the centre's word allows
// deletion again.
func TestDoubt(t *testing.T) {
	d, ms := filled(t)
	b, _ := sectors(t, d)
	// The record of the hold: find its sector.
	at := bytes.Index(b, []byte(`"what":"hold"`)) / 512
	clear(b[at*512+24 : at*512+500])
	d.WriteFile("index.000001", b)
	v := open(t, d)
	e, err := v.Get(ms[2].id)
	if err != nil || e.Hold || !e.Doubt {
		t.Fatalf("%+v: %v", e, err)
	}
	if err := v.Delete(permit(e)); !errors.Is(err, vault.ErrKept) {
		t.Fatalf("got %v", err)
	}
	if err := v.SetHold(e.ID, false); err != nil {
		t.Fatal(err)
	}
	if e, _ = v.Get(e.ID); e.Doubt {
		t.Fatal("doubt stays")
	}
	if err := v.Delete(permit(e)); err != nil {
		t.Fatal(err)
	}
}

// TestIndexGone rebuilds the index from the files.
func TestIndexGone(t *testing.T) {
	d, ms := filled(t)
	d.Drop("index.000001")
	v := open(t, d)
	if v.Check(t.Context(), true).OK() {
		t.Error("the loss is not told")
	}
	for i, e := range v.List() {
		if e.Seq != uint64(i+1) || e.ID != ms[i].id || e.State != vault.Sealed || e.End != fleet.EndClosed || !e.Doubt {
			t.Errorf("%+v", e)
		}
	}
	if n := len(v.List()); n != 3 { // the fourth was deleted: no file tells of it
		t.Errorf("%d entries", n)
	}
}

// TestIndexGap: a number of which nothing is left stays in the sequence.
func TestIndexGap(t *testing.T) {
	d, ms := filled(t)
	b, used := sectors(t, d)
	for s := range used {
		if bytes.Contains(b[s*512:(s+1)*512], []byte(ms[1].id)) || bytes.Contains(b[s*512:(s+1)*512], []byte(`"seq":2,`)) {
			clear(b[s*512 : (s+1)*512])
		}
	}
	d.WriteFile("index.000001", b)
	for _, n := range partNames(t, d) {
		if strings.HasPrefix(n, "00000002-") {
			d.Drop(n)
		}
	}
	v := open(t, d)
	l := v.List()
	if len(l) != 4 || l[1].State != vault.Missing || l[1].Seq != 2 {
		t.Fatalf("%+v", l)
	}
	if rep := v.Check(t.Context(), false); !strings.Contains(strings.Join(rep.Lines, "\n"), "recording 2") {
		t.Fatalf("%v", rep.Lines)
	}
}

// TestReceiptRefused: a receipt for anything else changes nothing.
func TestReceiptRefused(t *testing.T) {
	d, ms := filled(t)
	v := open(t, d)
	e, err := v.Get(ms[0].id)
	if err != nil {
		t.Fatal(err)
	}
	jws, good := receiptFor(e)
	for name, change := range map[string]func(*fleet.Receipt){
		"another recording": func(r *fleet.Receipt) { r.ID = ms[1].id },
		"another seat":      func(r *fleet.Receipt) { r.Seat = "S-0002" },
		"another number":    func(r *fleet.Receipt) { r.Seq++ },
		"another manifest":  func(r *fleet.Receipt) { r.Manifest = strings.Repeat("0", 64) },
		"no time":           func(r *fleet.Receipt) { r.Received = time.Time{} },
	} {
		r := good
		change(&r)
		if err := v.Receipted(e.ID, jws, r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if e, _ = v.Get(e.ID); e.State != vault.Sealed {
		t.Fatalf("state %s", e.State)
	}
	if err := v.Receipted("nothing", jws, good); !errors.Is(err, vault.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	ch, stop := v.Changed()
	defer stop()
	if err := v.Receipted(e.ID, jws, good); err != nil {
		t.Fatal(err)
	}
	<-ch
	if got, err := v.Receipt(e.ID); err != nil || !bytes.Equal(got, jws) {
		t.Fatalf("%v", err)
	}
	if err := v.Receipted(e.ID, jws, good); err != nil {
		t.Errorf("second time: %v", err)
	}
	if got := v.LastSigned(); !got.Equal(good.Received) {
		t.Errorf("last signed %v", got)
	}
}

// TestDeleteNeedsVerdict: no verdict, no deletion.
func TestDeleteNeedsVerdict(t *testing.T) {
	d, ms := filled(t)
	v := open(t, d)
	if err := v.Delete(retention.Verdict{}); !errors.Is(err, vault.ErrKept) {
		t.Errorf("zero verdict: %v", err)
	}
	for i := range 3 {
		e, _ := v.Get(ms[i].id)
		if i == 0 {
			e.Received, e.State = e.Started, vault.Receipted // as if a receipt stood
		}
		err := v.Delete(permit(e))
		if i == 1 && err != nil || i != 1 && !errors.Is(err, vault.ErrKept) {
			t.Errorf("recording %d: %v", i+1, err)
		}
	}
	names := strings.Join(partNames(t, d), " ")
	if strings.Contains(names, "00000002-") || !strings.Contains(names, "00000001-") || !strings.Contains(names, "00000003-") {
		t.Errorf("left: %s", names)
	}
	e, err := v.Get(ms[1].id)
	if err != nil || e.State != vault.Deleted {
		t.Errorf("%+v: %v", e, err)
	}
	if _, err := v.OpenPart(ms[1].id, 1, fleet.Facts); !errors.Is(err, vault.ErrUnknown) {
		t.Errorf("a deleted part: %v", err)
	}
}

// TestCheck tells a part that is short or changed.
func TestCheck(t *testing.T) {
	d, _ := filled(t)
	names := partNames(t, d)
	b, err := d.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	b[9000] ^= 1
	d.WriteFile(names[0], b)
	d.Drop(names[1])
	v := open(t, d)
	if rep := v.Check(t.Context(), false); len(rep.Lines) != 1 {
		t.Errorf("shallow: %v", rep.Lines)
	}
	rep := v.Check(t.Context(), true)
	if len(rep.Lines) != 2 || !strings.Contains(rep.Lines[0], "not at the centre") {
		t.Errorf("deep: %v", rep.Lines)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if rep := v.Check(ctx, true); rep.OK() {
		t.Error("a stopped check is no check")
	}
}

// TestStolenSeat: with every file of the seat and no key of the centre nothing
// opens, and nothing tells who spoke. With the centre's online key no voice
// opens.
func TestStolenSeat(t *testing.T) {
	var d *crashfs.Disk
	synctest.Test(t, func(t *testing.T) {
		d, _ = filled(t)
		v := open(t, d)
		s := &story{v: v}
		c := s.begin() // and one that the thief has cut short
		c.fact("from 13800138000 to 4001234567 agent 8042")
		c.page()
		c.stored()
		d = d.Image().Restart(rand.New(rand.NewPCG(1, 1)))
		c.end()
	})
	thief, err := sealed.GenerateKey(sealed.Offline)
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	voices := 0
	for _, i := range all {
		b, err := d.ReadFile(i.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"13800138000", "4001234567", "8042", "agent", "speech"} {
			for form, x := range forms(secret) {
				// Four digits turn up by chance in random bytes; not in text.
				hay := b
				if len(x) < 6 && !strings.HasPrefix(i.Name, "index") {
					continue
				}
				if bytes.Contains(hay, x) && !(form == "plain" && secret == "8042" && inNumber(hay, x)) {
					t.Errorf("%s holds %s, %s", i.Name, secret, form)
				}
			}
		}
		if !strings.HasSuffix(i.Name, ".facts") && !strings.HasSuffix(i.Name, ".voice") {
			continue
		}
		if _, err := sealed.Open(bytes.NewReader(b), i.Size, thief); !errors.Is(err, sealed.ErrNotRecipient) {
			t.Errorf("%s: %v", i.Name, err)
		}
		if strings.HasSuffix(i.Name, ".voice") {
			voices++
			if _, err := sealed.Open(bytes.NewReader(b), i.Size, keys().facts); !errors.Is(err, sealed.ErrNotRecipient) {
				t.Errorf("%s opens with the online key: %v", i.Name, err)
			}
		}
	}
	if voices < 4 {
		t.Fatalf("only %d voice parts were there to try", voices)
	}
}

// inNumber says that x stands only inside longer hexadecimal or base64 runs
// (hashes, signatures, UUIDs), where four digits say nothing.
func inNumber(hay, x []byte) bool {
	isWord := func(c byte) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-'
	}
	for at := 0; ; {
		i := bytes.Index(hay[at:], x)
		if i < 0 {
			return true
		}
		i += at
		lo, hi := i, i+len(x)
		for lo > 0 && isWord(hay[lo-1]) {
			lo--
		}
		for hi < len(hay) && isWord(hay[hi]) {
			hi++
		}
		if hi-lo < 20 {
			return false
		}
		at = i + 1
	}
}

// forms in which a secret might stand: plain, hex, base64, and as any plain
// hash of it.
func forms(s string) map[string][]byte {
	sum := sha256.Sum256([]byte(s))
	return map[string][]byte{
		"plain":       []byte(s),
		"in hex":      []byte(hex.EncodeToString([]byte(s))),
		"in base64":   []byte(base64.RawStdEncoding.EncodeToString([]byte(s))),
		"hash":        sum[:8],
		"hash in hex": []byte(hex.EncodeToString(sum[:8])),
		"hash base64": []byte(base64.RawURLEncoding.EncodeToString(sum[:])[:12]),
	}
}
