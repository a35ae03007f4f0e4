package intake_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"deskset/firmware/centre/centretest"
	"deskset/firmware/centre/intake"
	"deskset/firmware/centre/store"
	"deskset/firmware/centre/vcon"
	"deskset/firmware/fleet"
	"deskset/firmware/record"
	"deskset/firmware/signed"

	"github.com/google/uuid"
)

// refused checks that err is a refusal with the status, in words.
func refused(t *testing.T, err error, status int) *intake.Error {
	t.Helper()
	var e *intake.Error
	if !errors.As(err, &e) || e.Status != status || e.Title == "" {
		t.Fatalf("got %v, want a refusal with %d", err, status)
	}
	return e
}

func TestManifestRules(t *testing.T) {
	r := newRig(t)
	rec := centretest.Make(t, r.spec(1))
	id := rec.Manifest.ID
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(key crypto.Signer, typ signed.Type, change func(*fleet.Manifest)) []byte {
		m := rec.Manifest
		m.Parts = append([]fleet.Part(nil), m.Parts...)
		change(&m)
		doc, err := signed.Seal(key, typ, m)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	none := func(*fleet.Manifest) {}
	for name, doc := range map[string][]byte{
		"another key":       sign(other, signed.Manifest, none),
		"the centre's key":  sign(r.auth.Signer(), signed.Manifest, none),
		"another type":      sign(r.key, signed.Receipt, none),
		"garbage":           []byte("garbage"),
		"nothing":           nil,
		"trailing bytes":    append(bytes.Clone(rec.Doc), 'A'),
		"another seat":      sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.Seat = "S-0002" }),
		"another id":        sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.ID = uuid.NewString() }),
		"a path as id":      sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.ID = "../../x" }),
		"number 0":          sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.Seq = 0 }),
		"another format":    sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.Format = "deskset-manifest/9" }),
		"an unknown end":    sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.End = "lost" }),
		"a void with parts": sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.End = fleet.EndVoid }),
		"closed and empty":  sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.Parts = nil }),
		"a part twice":      sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.Parts = append(m.Parts, m.Parts[0]) }),
		"an unknown kind":   sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.Parts[0].Kind = "../x" }),
		"an empty part":     sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.Parts[0].Size = 0 }),
		"a huge part":       sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.Parts[0].Size = fleet.MaxPartSize + 1 }),
		"a bad hash":        sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.Parts[0].SHA256 = strings.Repeat("G", 64) }),
		"control in text":   sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.Firmware = "a\nb" }),
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, r.in.Manifest(t.Context(), seat, id, doc), 422)
		})
	}
	refused(t, r.in.Manifest(t.Context(), seat, id, make([]byte, fleet.MaxManifest+1)), 413)
	refused(t, r.in.Manifest(t.Context(), seat, "../../../x", rec.Doc), 400)
	_, err = r.in.State(t.Context(), seat, id)
	refused(t, err, 404)

	if err := r.in.Manifest(t.Context(), seat, id, rec.Doc); err != nil {
		t.Fatal(err)
	}
	if err := r.in.Manifest(t.Context(), seat, id, rec.Doc); err != nil {
		t.Fatal("the same again:", err)
	}
	// Another one for the same id, signed by the same seat, overwrites nothing.
	refused(t, r.in.Manifest(t.Context(), seat, id, sign(r.key, signed.Manifest, func(m *fleet.Manifest) { m.Firmware = "other" })), 409)
	if b, err := r.recs.Doc(t.Context(), id, store.Manifest); err != nil || !bytes.Equal(b, rec.Doc) {
		t.Fatal("the manifest was overwritten", err)
	}
	// Another seat does not learn that it exists.
	if err := r.st.Seats().Create(t.Context(), store.Seat{Name: "S-0002", Certs: []store.Cert{{Key: pubPEM(t, other.Public())}}}); err != nil {
		t.Fatal(err)
	}
	_, err = r.in.State(t.Context(), "S-0002", id)
	refused(t, err, 404)
	_, err = r.in.Receipt(t.Context(), "S-0002", id)
	refused(t, err, 404)
	p := rec.Manifest.Parts[0]
	_, err = r.in.Put(t.Context(), "S-0002", id, store.PartKey{N: p.N, Kind: p.Kind}, fleet.Range{To: p.Size - 1, Total: p.Size}, nil)
	refused(t, err, 404)
}

func TestPartRules(t *testing.T) {
	r := newRig(t)
	rec := centretest.Make(t, r.spec(1))
	ctx, id := t.Context(), rec.Manifest.ID
	p := rec.Manifest.Parts[0]
	k := store.PartKey{N: p.N, Kind: p.Kind}
	body := rec.Parts[p.Name()]
	all := fleet.Range{From: 0, To: p.Size - 1, Total: p.Size}
	_, err := r.in.Put(ctx, seat, id, k, all, bytes.NewReader(body))
	refused(t, err, 404) // no manifest
	if err := r.in.Manifest(ctx, seat, id, rec.Doc); err != nil {
		t.Fatal(err)
	}
	_, err = r.in.Receipt(ctx, seat, id)
	refused(t, err, 409)
	_, err = r.in.Put(ctx, seat, id, store.PartKey{N: 77, Kind: fleet.Voice}, all, bytes.NewReader(body))
	refused(t, err, 404)
	_, err = r.in.Put(ctx, seat, id, k, fleet.Range{To: p.Size, Total: p.Size + 1}, bytes.NewReader(body))
	refused(t, err, 409)
	e := func() *intake.Error {
		_, err := r.in.Put(ctx, seat, id, k, fleet.Range{From: 5, To: p.Size - 1, Total: p.Size}, bytes.NewReader(body[5:]))
		return refused(t, err, 416)
	}()
	if e.State == nil || len(e.State.Parts) != len(rec.Manifest.Parts) {
		t.Fatalf("416 without a state: %+v", e)
	}
	_, err = r.in.Put(ctx, seat, id, k, all, bytes.NewReader(append(bytes.Clone(body), 'x')))
	refused(t, err, 400) // longer than its range; what fitted is kept
	st, err := r.in.State(ctx, seat, id)
	if err != nil {
		t.Fatal(err)
	}
	have := st.Parts[0].Have
	if st.Parts[0].Done || have > p.Size {
		t.Fatalf("%+v after a body that was too long", st.Parts[0])
	}
	// Start over with a body that breaks in the middle; the rest is resumed.
	r.fresh(t)
	if err := r.in.Manifest(ctx, seat, id, rec.Doc); err != nil {
		t.Fatal(err)
	}
	broken := io.MultiReader(bytes.NewReader(body[:5000]), iotest.ErrReader(errors.New("line cut")))
	_, err = r.in.Put(ctx, seat, id, k, all, broken)
	refused(t, err, 400)
	st, err = r.in.State(ctx, seat, id)
	if err != nil || st.Parts[0].Have != 5000 {
		t.Fatalf("%+v %v after a cut body", st.Parts[0], err)
	}
	st, err = r.in.Put(ctx, seat, id, k, fleet.Range{From: 5000, To: p.Size - 1, Total: p.Size}, bytes.NewReader(body[5000:]))
	if err != nil || !st.Parts[0].Done {
		t.Fatal(st, err)
	}
	// The same bytes again are fine, any range of them; others are a conflict.
	for _, rng := range []fleet.Range{all, {From: 10, To: 19, Total: p.Size}} {
		if _, err := r.in.Put(ctx, seat, id, k, rng, bytes.NewReader(body[rng.From:rng.To+1])); err != nil {
			t.Fatal("the same again:", err)
		}
	}
	bad := bytes.Clone(body)
	bad[len(bad)-1] ^= 1
	_, err = r.in.Put(ctx, seat, id, k, all, bytes.NewReader(bad))
	refused(t, err, 409)
	f, err := r.recs.Open(ctx, id, k)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, f.Size())
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, body) {
		t.Fatal("a finished part was changed", err)
	}
}

func TestWrongHashIsDropped(t *testing.T) {
	r := newRig(t)
	rec := centretest.Make(t, r.spec(1))
	id, p := rec.Manifest.ID, rec.Manifest.Parts[0]
	body := rec.Parts[p.Name()]
	bad := bytes.Clone(body)
	bad[7] ^= 1
	rec.Parts[p.Name()] = bad
	var a acked
	refused(t, r.send(rec, 1<<20, &a), 422)
	st, err := r.in.State(t.Context(), seat, id)
	if err != nil || st.Parts[0].Have != 0 || st.Parts[0].Done {
		t.Fatalf("%+v %v", st, err)
	}
	rec.Parts[p.Name()] = body
	if err := r.send(rec, 1<<20, &a); err != nil {
		t.Fatal(err)
	}
}

func TestFullDiskIsSaidEarly(t *testing.T) {
	r := newRig(t)
	rec := centretest.Make(t, r.spec(1))
	r.disk.Space = 1 << 20
	refused(t, r.in.Manifest(t.Context(), seat, rec.Manifest.ID, rec.Doc), 507)
}

// take delivers a recording and returns its receipt and call.
func take(t *testing.T, r *rig, rec *centretest.Recording) (fleet.Receipt, vcon.VCon, vcon.Call) {
	t.Helper()
	var a acked
	if err := r.send(rec, 1<<20, &a); err != nil {
		t.Fatal(err)
	}
	var rc fleet.Receipt
	if err := signed.Open([]crypto.PublicKey{r.auth.Public()}, signed.Receipt, a.receipt, &rc); err != nil {
		t.Fatal(err)
	}
	if err := rc.Check(&rec.Manifest, rec.Doc); err != nil {
		t.Fatal(err)
	}
	again, err := r.in.Receipt(t.Context(), seat, rec.Manifest.ID)
	if err != nil || !bytes.Equal(again, a.receipt) {
		t.Fatal("the receipt changed", err)
	}
	doc, err := r.recs.Doc(t.Context(), rec.Manifest.ID, store.VCon)
	if rec.Manifest.End == fleet.EndVoid {
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatal("a void recording has a vCon", err)
		}
		return rc, vcon.VCon{}, vcon.Call{}
	}
	if err != nil {
		t.Fatal(err)
	}
	v, c, _, err := vcon.Open(r.auth.Public(), doc)
	if err != nil {
		t.Fatal(err)
	}
	return rc, v, c
}

// flip changes one byte of a part and signs the manifest for it: what a seat's
// failing disk would upload.
func flip(t *testing.T, r *rig, rec *centretest.Recording, name string, at int) {
	t.Helper()
	b := bytes.Clone(rec.Parts[name])
	b[at] ^= 0x55
	rec.Parts[name] = b
	sum := sha256.Sum256(b)
	for i := range rec.Manifest.Parts {
		if rec.Manifest.Parts[i].Name() == name {
			rec.Manifest.Parts[i].SHA256 = hex.EncodeToString(sum[:])
		}
	}
	rec.Sign(t, r.key)
}

// Whatever is wrong with the facts, the bytes are safe and the receipt says
// both.
func TestDamagedFactsAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, r *rig) *centretest.Recording
		note string
		from string // the number that is still known
	}{
		"one segment": {func(t *testing.T, r *rig) *centretest.Recording {
			rec := centretest.Make(t, r.spec(1))
			flip(t, r, rec, "1/facts", len(rec.Parts["1/facts"])-2*4096+100)
			return rec
		}, "damaged", centretest.CustomerNumber},
		"both headers": {func(t *testing.T, r *rig) *centretest.Recording {
			rec := centretest.Make(t, r.spec(1))
			flip(t, r, rec, "1/facts", 100)
			flip(t, r, rec, "1/facts", 4096+100)
			return rec
		}, "does not open", ""},
		"another key": {func(t *testing.T, r *rig) *centretest.Recording {
			s := r.spec(1)
			s.Facts = s.Voice
			return centretest.Make(t, s)
		}, "does not open", ""},
		"no facts": {func(t *testing.T, r *rig) *centretest.Recording {
			s := r.spec(1)
			s.Lines = []record.Fact{}
			return centretest.Make(t, s)
		}, "no facts", ""},
		"another recording's facts": {func(t *testing.T, r *rig) *centretest.Recording {
			rec, strange := centretest.Make(t, r.spec(1)), centretest.Make(t, r.spec(1))
			rec.Parts["1/facts"] = strange.Parts["1/facts"]
			rec.Manifest.Parts[0] = strange.Manifest.Parts[0]
			rec.Sign(t, r.key)
			return rec
		}, "not used", ""},
		"voice for the centre's eyes": {func(t *testing.T, r *rig) *centretest.Recording {
			s := r.spec(1)
			s.Voice = append(s.Voice, s.Facts...)
			return centretest.Make(t, s)
		}, "online key", centretest.CustomerNumber},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			rc, _, call := take(t, r, c.make(t, r))
			if !strings.Contains(rc.Note, c.note) {
				t.Errorf("the receipt says %q", rc.Note)
			}
			if call.From != c.from || len(call.Problems) == 0 {
				t.Errorf("from %q, problems %q", call.From, call.Problems)
			}
			for _, who := range []string{centretest.CustomerNumber, centretest.AgentNumber} {
				if strings.Contains(rc.Note, who) {
					t.Errorf("the receipt names %s", who)
				}
			}
			if a := r.in.Alarms(); len(a) != 1 || a[0].Rec != rc.ID {
				t.Errorf("alarms %+v", a)
			}
			if err := r.open(); err != nil {
				t.Fatal(err)
			}
			if a := r.in.Alarms(); len(a) != 1 {
				t.Errorf("alarms after a restart %+v", a)
			}
		})
	}
}

func TestRecoveredAndVoid(t *testing.T) {
	r := newRig(t)
	s := r.spec(1)
	s.End = fleet.EndRecovered
	s.Lines = centretest.Call(seat, t0, 1)[:4] // cut while on hold: no resume, no release
	_, v, call := take(t, r, centretest.Make(t, s))
	if call.From != centretest.CustomerNumber || call.To != centretest.AccessNumber || call.Released != nil || len(call.Problems) > 0 {
		t.Errorf("%+v", call)
	}
	if len(call.Holds) != 1 || !call.Holds[0].Open || call.Holds[0].ToMs < 1000 {
		t.Errorf("holds %+v", call.Holds)
	}
	if v.Dialog[0].Type != "recording" || *v.Dialog[0].Duration < 1 {
		t.Errorf("dialog %+v", v.Dialog[0])
	}
	void := r.spec(2)
	void.End, void.Lines, void.Seconds = fleet.EndVoid, []record.Fact{}, 0
	rc, _, _ := take(t, r, centretest.Make(t, void))
	if rc.Note != "" {
		t.Errorf("note %q", rc.Note)
	}
	if a := r.in.Alarms(); len(a) != 0 {
		t.Errorf("alarms %+v", a)
	}
}

func TestSplitVoice(t *testing.T) {
	r := newRig(t)
	s := r.spec(1)
	s.Seconds, s.Split = 2, true
	_, v, call := take(t, r, centretest.Make(t, s))
	if len(call.Parts) != 3 || v.Dialog[0].URL != "" || v.Dialog[0].Type != "recording" {
		t.Errorf("%+v %+v", call.Parts, v.Dialog[0])
	}
}

func TestGapsAreAlarms(t *testing.T) {
	r := newRig(t)
	for _, seq := range []uint64{1, 2, 5, 7} {
		s := r.spec(seq)
		s.Seconds = 0
		rec := centretest.Make(t, s)
		if err := r.in.Manifest(t.Context(), seat, rec.Manifest.ID, rec.Doc); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want string) {
		t.Helper()
		a := r.in.Alarms()
		if want == "" && len(a) == 0 {
			return
		}
		if len(a) == 0 || a[0].Seat != seat || !strings.Contains(a[0].Text, want) {
			t.Fatalf("alarms %+v, want %q", a, want)
		}
	}
	check("number 3 to 4, 6")
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	check("number 3 to 4, 6")
	for _, seq := range []uint64{3, 4, 6} {
		s := r.spec(seq)
		s.Seconds = 0
		rec := centretest.Make(t, s)
		if err := r.in.Manifest(t.Context(), seat, rec.Manifest.ID, rec.Doc); err != nil {
			t.Fatal(err)
		}
	}
	check("")
	s := r.spec(6)
	s.Seconds = 0
	rec := centretest.Make(t, s)
	if err := r.in.Manifest(t.Context(), seat, rec.Manifest.ID, rec.Doc); err != nil {
		t.Fatal("a number used twice is an alarm, not a refusal:", err)
	}
	check("two recordings have number 6")
}
