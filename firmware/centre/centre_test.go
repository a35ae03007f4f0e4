package centre_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"deskset/audio/pcm"
	"deskset/firmware/centre/audit"
	"deskset/firmware/centre/centretest"
	"deskset/firmware/centre/store"
	"deskset/firmware/centre/vcon"
	"deskset/firmware/fleet"
	"deskset/firmware/signed"
	"deskset/firmware/upload"
)

// deliver uploads everything on the disk and waits for the receipts.
func deliver(t *testing.T, e *centretest.Env, s *centretest.Seat, d *centretest.Disk) {
	t.Helper()
	u, err := upload.New(upload.Config{Client: s.Client, Centre: e.Key, Store: d, Now: time.Now, Log: centretest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	defer func() { cancel(); <-done }()
	for {
		left, err := d.List()
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		if st, link := u.Status(); link != nil || len(st) > 0 && st[0].Err != "" {
			t.Fatalf("not delivered: %+v, link %v", st, link)
		}
		select {
		case <-ctx.Done():
			st, link := u.Status()
			t.Fatalf("not delivered in time: %+v, link %v", st, link)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// The whole way: enrol, seal, upload, receipt, vCon, export with the offline
// key, sound compared.
func TestStory(t *testing.T) {
	t.Parallel()
	e := centretest.New(t)
	s := e.Enrol(t, "S-0001")
	d := centretest.NewDisk()
	rec := centretest.Make(t, centretest.SpecFor(s, 1))
	d.Add(rec)
	deliver(t, e, s, d)

	id := rec.Manifest.ID
	doc, err := e.Centre.Recs.Doc(t.Context(), id, store.VCon)
	if err != nil {
		t.Fatal(err)
	}
	v, call, _, err := vcon.Open(e.Key, doc)
	if err != nil {
		t.Fatal(err)
	}
	if call.From != centretest.CustomerNumber || call.To != centretest.AccessNumber || call.Agent != centretest.AgentNumber ||
		call.DialTime == nil || call.AnswerTime == nil || call.Released == nil || call.Released.By != "customer" ||
		len(call.Holds) != 1 || call.Holds[0].FromMs != 100 || call.Holds[0].ToMs != 300 ||
		len(call.Pauses) != 1 || call.Pauses[0].Reason != "card number" || len(call.Gaps) != 1 ||
		call.Quality == nil || call.Quality.Lost != 2 || len(call.Problems) > 0 || call.ManifestSHA != fleet.Digest(rec.Doc) {
		t.Errorf("call: %+v", call)
	}
	if v.Parties[1].Tel != centretest.CustomerNumber || v.Dialog[0].Type != "recording" || v.Dialog[0].ContentHash == "" {
		t.Errorf("vCon: %+v", v)
	}

	// With the centre's own keys no voice opens; over the network, with the
	// offline key, it does.
	src := audit.Remote{Client: e.Auditor(t, "li")}
	if _, err := audit.Export(t.Context(), audit.ExportConfig{Source: src, Centre: e.Key, Key: e.Centre.Keys.Facts(), Out: t.TempDir()}, id); err == nil {
		t.Fatal("the online key was taken for voice")
	}
	x, err := audit.Export(t.Context(), audit.ExportConfig{Source: src, Centre: e.Key, Key: e.Voice, Out: t.TempDir()}, id)
	if err != nil {
		t.Fatal(err)
	}
	if !x.Clean || math.Abs(x.Seconds-2) > 0.05 {
		t.Fatalf("exported %+v", x)
	}
	f, err := os.Open(x.WAV)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pcm.ReadWAV(f)
	if err != nil {
		t.Fatal(err)
	}
	for ch, hz := range []float64{440, 700} {
		if got := pitch(w.Channel(ch)[w.Rate/2:]); math.Abs(got-hz) > 5 {
			t.Errorf("channel %d has %.0f Hz, want %.0f", ch, got, hz)
		}
	}
	ok, err := audit.Verify(t.Context(), src, e.Key, audit.Filter{}, nil)
	if err != nil || len(ok.Faults) > 0 || ok.Recordings != 1 {
		t.Fatalf("verify: %+v %v", ok, err)
	}
}

// pitch counts zero crossings.
func pitch(s []int16) float64 {
	n := 0
	for i := 1; i < len(s); i++ {
		if s[i-1] < 0 && s[i] >= 0 {
			n++
		}
	}
	return float64(n) * pcm.Rate / float64(len(s))
}

// Nothing that names a party or opens anything is in the logs, and nothing
// outside vCons on the centre's disk names a party.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	var log strings.Builder // slog's handler locks
	e := centretest.New(t, centretest.LogTo(&log))
	token := e.Token(t, "S-0001")
	s := e.With(t, "S-0001", token)
	d := centretest.NewDisk()
	rec := centretest.Make(t, centretest.SpecFor(s, 1))
	d.Add(rec)
	deliver(t, e, s, d)
	for _, doc := range []store.Doc{store.Manifest, store.Receipt, store.Intake} {
		b, err := e.Centre.Recs.Doc(t.Context(), rec.Manifest.ID, doc)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		if doc != store.Intake {
			p, err := signed.Unverified(b)
			if err != nil {
				t.Fatal(err)
			}
			text = string(p)
		}
		for _, secret := range []string{centretest.CustomerNumber, centretest.AccessNumber, centretest.AgentNumber} {
			if strings.Contains(text, secret) {
				t.Errorf("%s names %s", doc, secret)
			}
		}
	}
	e.Stop() // all is logged
	events, err := e.Centre.Events.Entries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Centre.Roster.Shown(t.Context(), "S-0001")
	if err != nil {
		t.Fatal(err)
	}
	pb, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{token, "secret-of-the-pbx", centretest.CustomerNumber, centretest.AccessNumber, centretest.AgentNumber} {
		if log.Len() == 0 || strings.Contains(string(b), secret) || strings.Contains(string(pb), secret) || strings.Contains(log.String(), secret) {
			t.Errorf("%s is told", secret)
		}
	}
}
