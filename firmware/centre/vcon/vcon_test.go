package vcon_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deskset/firmware/centre/vcon"
	"deskset/firmware/fleet"
	"deskset/firmware/record"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

var t0 = time.Date(2026, 11, 21, 1, 14, 5, 480e6, time.UTC)

func at(ms int64) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }

func input(facts ...record.Fact) vcon.Input {
	voice := vcon.PartRecord{Part: fleet.Part{N: 1, Kind: fleet.Voice, Segments: 184, Size: 8192 * 184, SHA256: strings.Repeat("ab", 32)}, SHA512: strings.Repeat("cd", 64)}
	return vcon.Input{
		Centre: "centre-1", BaseURL: "https://centre.example:8443", ManifestSHA: strings.Repeat("ef", 32),
		Manifest: fleet.Manifest{Seat: "S-0001", Seq: 8, ID: "0f8fad5b-d9cb-469f-a165-70867728950e", Firmware: "1.0", End: fleet.EndClosed},
		Parts:    []vcon.PartRecord{voice}, Facts: facts,
		Received: at(200_000), RetainUntil: at(200_000).Add(30 * 24 * time.Hour),
	}
}

var outbound = []record.Fact{
	{At: at(-2360), Clock: "trusted", Ms: -1, Kind: record.Offered, Direction: "out", From: "8001", To: "+8613900001234", CallID: "c1", Agent: "7041", Seat: "S-0001", Basis: "consent"},
	{At: at(0), Clock: "trusted", Ms: 0, Kind: record.Answered},
	{At: at(0), Clock: "trusted", Ms: 0, Kind: record.Codec, Text: "opus"},
	{At: at(75_000), Clock: "trusted", Ms: 75_000, Kind: record.Held},
	{At: at(110_000), Clock: "trusted", Ms: 110_000, Kind: record.Resumed},
	{At: at(111_000), Clock: "trusted", Ms: 111_000, Kind: record.Muted},
	{At: at(112_000), Clock: "trusted", Ms: 112_000, Kind: record.Unmuted},
	{At: at(115_000), Clock: "trusted", Ms: 115_000, Kind: record.DTMF, Count: 3},
	{At: at(116_000), Clock: "trusted", Ms: 116_000, Kind: record.DTMF, Count: 1},
	{At: at(120_000), Clock: "trusted", Ms: 120_000, Kind: record.Paused, By: "agent", Text: "card"},
	{At: at(180_000), Clock: "trusted", Ms: 180_000, Kind: record.Unpaused, By: "timer"},
	{At: at(181_000), Clock: "untrusted", Ms: 181_000, Kind: record.Transcoded, Leg: "customer", UntilMs: 182_000, Text: "PCMU"},
	{At: at(183_000), Clock: "untrusted", Ms: 183_000, Kind: record.Transferred, To: "8002", Text: "attended"},
	{At: at(184_460), Clock: "untrusted", Ms: 184_460, Kind: record.Quality, Stats: &record.Stats{Sent: 9000, Received: 8990, Lost: 10, JitterMs: 1.5}},
	{At: at(184_460), Clock: "untrusted", Ms: 184_460, Kind: record.Released, By: "agent", Text: "BYE"},
	{At: at(184_460), Ms: 184_460, Kind: "of-tomorrow", Text: "kept as it is"},
}

var inbound = []record.Fact{
	{At: at(-4000), Clock: "trusted", Ms: -1, Kind: record.Offered, Direction: "in", From: "sip:anonymous@anonymous.invalid", To: "4008001234", Queue: "sales", CallID: "c2", Agent: "7041", Seat: "S-0001", Basis: "centre-policy"},
	{At: at(0), Clock: "trusted", Ms: 0, Kind: record.Answered},
	{At: at(1000), Clock: "trusted", Ms: 1000, Kind: record.Held},
}

func TestGolden(t *testing.T) {
	recovered := input(inbound...)
	recovered.Manifest.End = fleet.EndRecovered
	unanswered := input(inbound[0], record.Fact{At: at(-100), Ms: -1, Kind: record.Released, By: "customer", Text: "CANCEL"})
	unanswered.Parts = nil
	nothing := input()
	nothing.Problems = []string{"part 1/facts does not open"}
	for name, in := range map[string]vcon.Input{"outbound": input(outbound...), "recovered": recovered, "unanswered": unanswered, "nothing": nothing} {
		t.Run(name, func(t *testing.T) {
			v, err := vcon.Build(in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			path := filepath.Join("testdata", name+".json")
			if *rewrite {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("another vCon than in %s; look at the difference, then go test -rewrite:\n%s", path, got)
			}
		})
	}
}

func TestSignAndOpen(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v, err := vcon.Build(input(outbound...))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := vcon.Sign(key, [][]byte{[]byte("leaf"), []byte("ca")}, v)
	if err != nil {
		t.Fatal(err)
	}
	// The draft's signed form: payload, signatures with x5c and uuid beside.
	var form struct {
		Payload    string
		Signatures []struct {
			Header struct {
				X5c  []string
				UUID string
			}
			Protected, Signature string
		}
	}
	if err := json.Unmarshal(doc, &form); err != nil || len(form.Signatures) != 1 || len(form.Signatures[0].Header.X5c) != 2 || form.Signatures[0].Header.UUID != v.UUID {
		t.Fatalf("%v %+v", err, form)
	}
	got, call, raw, err := vcon.Open(pub, doc)
	if err != nil {
		t.Fatal(err)
	}
	if got.UUID != v.UUID || call.To != "+8613900001234" || call.DTMFDigits != 4 || call.Clock != "mixed" || !json.Valid(raw) {
		t.Errorf("%+v", call)
	}
	if _, _, _, err := vcon.Open(other, doc); err == nil {
		t.Error("it opens with another key")
	}
	for _, change := range [][2]string{{v.UUID, "7c9e6679-7425-40de-944b-e07fc1f90ae7"}, {`"payload":"`, `"payload":"AA`}} {
		if _, _, _, err := vcon.Open(pub, bytes.Replace(doc, []byte(change[0]), []byte(change[1]), 1)); err == nil {
			t.Errorf("changed %s and it opens", change[0])
		}
	}
}

// However many facts a seat sends, and however large, there is a vCon that can
// be signed, with the numbers in it.
func TestTooManyFacts(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("<", 1000)
	for name, x := range map[string]record.Fact{
		"gaps":    {At: at(5), Ms: 5, UntilMs: 6, Kind: record.Gap, Leg: long, Text: long},
		"holds":   {At: at(5), Ms: 5, Kind: record.Held, Text: long, By: long, Leg: long},
		"strange": {At: at(5), Ms: 5, Kind: record.Kind("strange" + long), Text: long, From: long, To: long, Queue: long, CallID: long},
	} {
		facts := outbound[:2:2]
		for i := range 30_000 {
			facts = append(facts, x)
			if x.Kind == record.Held {
				facts = append(facts, record.Fact{At: at(6), Ms: 6, Kind: record.Resumed})
			}
			if i%100 == 0 {
				facts = append(facts, record.Fact{At: at(7), Ms: 7, Kind: record.Muted, Text: long})
			}
		}
		v, err := vcon.Build(input(facts...))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := vcon.Sign(key, nil, v)
		if err != nil {
			t.Fatal(err)
		}
		_, c, _, err := vcon.Open(key.Public(), doc)
		if err != nil || c.To != "+8613900001234" || len(c.Problems) != 1 || len(doc) > 4<<20 {
			t.Errorf("%s: %d bytes, %v, %q", name, len(doc), err, c.Problems)
		}
	}
}

// Facts in any order, twice, or missing make a vCon all the same, whose spans
// lie within the recording.
func FuzzBuild(f *testing.F) {
	var all []byte
	for _, x := range outbound {
		b, err := record.Marshal(x)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b...)
	}
	f.Add(all)
	f.Add([]byte(`{"kind":"rec-paused","ms":-5}` + "\n" + `{"kind":"released","ms":3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, _ := record.Parse(b)
		v, err := vcon.Build(input(facts...))
		if err != nil {
			return // a time that JSON cannot carry
		}
		for _, a := range v.Attachments {
			if a.Purpose != vcon.PurposeCall {
				continue
			}
			var c vcon.Call
			if err := json.Unmarshal(a.Body, &c); err != nil {
				t.Fatal(err)
			}
			for _, s := range append(append(append(c.Holds, c.Pauses...), c.Mutes...), c.NoHeadset...) {
				if s.ToMs < s.FromMs {
					t.Fatalf("span %+v", s)
				}
			}
		}
		for _, d := range v.Dialog {
			for _, p := range d.Parties {
				if p < 0 || p >= len(v.Parties) {
					t.Fatalf("party %d of %d", p, len(v.Parties))
				}
			}
			for _, h := range d.History {
				if h.Party < 0 || h.Party > 1 {
					t.Fatalf("history %+v", h)
				}
			}
		}
	})
}
