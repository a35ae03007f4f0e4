package fleet_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"deskset/firmware/fleet"
)

// A manifest that passes names only files that are safe to make.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format":"deskset-manifest/1","seat":"S-1","seq":1,"id":"0f8fad5b-d9cb-469f-a165-70867728950e","firmware":"1","end":"closed","parts":[{"n":1,"kind":"voice","segments":1,"size":4096,"sha256":"` + strings.Repeat("0", 64) + `"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m fleet.Manifest
		if json.Unmarshal(b, &m) != nil || m.Check("S-1") != nil {
			return
		}
		if m.Seat != "S-1" || m.Seq == 0 || filepath.Base(m.ID) != m.ID || len(m.ID) != 36 || m.Size() < 0 || m.Size() > fleet.MaxRecordingSize {
			t.Fatalf("%+v passes", m)
		}
		for _, p := range m.Parts {
			if !filepath.IsLocal(p.Name()) || strings.Count(p.Name(), "/") != 1 || p.Size <= 0 {
				t.Fatalf("part %+v passes", p)
			}
			if got, ok := m.Find(p.N, p.Kind); !ok || got != p {
				t.Fatalf("part %+v is not found", p)
			}
		}
	})
}

func FuzzReceipt(f *testing.F) {
	m := fleet.Manifest{Seat: "S-1", Seq: 1, ID: "0f8fad5b-d9cb-469f-a165-70867728950e"}
	doc := []byte("doc")
	f.Add([]byte(`{"format":"deskset-receipt/1","centre":"c","seat":"S-1","seq":1,"id":"0f8fad5b-d9cb-469f-a165-70867728950e","manifest":"` + fleet.Digest(doc) + `","received":"2026-01-01T00:00:00Z","retain_until":"2026-01-31T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r fleet.Receipt
		if json.Unmarshal(b, &r) != nil || r.Check(&m, doc) != nil {
			return
		}
		if r.ID != m.ID || r.Seq != m.Seq || r.Seat != m.Seat || r.Manifest != fleet.Digest(doc) || !r.RetainUntil.After(r.Received) {
			t.Fatalf("%+v passes", r)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte(`{"version":1,"seat":"S-1","centre":"c","pbx":[{"url":"wss://p/ws","domain":"p","user":"1","password":"x"}],"recording":{"enabled":true,"facts":[{"id":"a","key":"b"}],"voice":[{"id":"a","key":"b"}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p fleet.Policy
		if json.Unmarshal(b, &p) != nil || p.Check("S-1") != nil {
			return
		}
		if p.Seat != "S-1" || p.Version == 0 || len(p.PBX) == 0 {
			t.Fatalf("%+v passes", p)
		}
	})
}

func FuzzRange(f *testing.F) {
	f.Add("bytes 0-0/1")
	f.Add("bytes 10-19/100")
	f.Add("bytes */100")
	f.Add("bytes 00-1/2")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := fleet.ParseRange(s)
		if err != nil {
			return
		}
		if r.String() != s || r.From < 0 || r.Len() < 1 || r.From+r.Len() > r.Total {
			t.Fatalf("%q is %+v", s, r)
		}
	})
}

// What is read can be sent, and means the same.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"state":{"state":"ready","since_ms":5,"firmware":"1","pending":0,"alarms":["x"]}}`))
	f.Add([]byte(`{"policy":"a.b.c"}`))
	f.Add([]byte(`{"hold":{"id":"0f8fad5b-d9cb-469f-a165-70867728950e","on":true}}`))
	f.Add([]byte(`{"ping":1}`))
	f.Add([]byte(`{"ping":1,"pong":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := fleet.ParseMessage(b)
		if err != nil {
			return
		}
		out, err := m.Encode()
		if err != nil {
			return // larger once it is escaped
		}
		again, err := fleet.ParseMessage(out)
		if err != nil {
			t.Fatalf("%q became %q: %v", b, out, err)
		}
		if out2, err := again.Encode(); err != nil || string(out2) != string(out) {
			t.Fatalf("%q became %q, %v", out, out2, err)
		}
	})
}

func FuzzEnrolRequest(f *testing.F) {
	f.Add([]byte(`{"token":"dk1-A","csr":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := fleet.ParseEnrolRequest(b)
		if err == nil && (r.Token == "" || r.CSR == "") {
			t.Fatalf("%q passes", b)
		}
		if err != nil && len(b) > 20 && strings.Contains(err.Error(), string(b)) {
			t.Fatalf("the error repeats what was sent: %v", err)
		}
	})
}
