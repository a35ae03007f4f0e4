package upload_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deskset/firmware/centre/centretest"
	"deskset/firmware/fleet"
	"deskset/firmware/record"
	"deskset/firmware/signed"
	"deskset/firmware/upload"
	"deskset/firmware/upload/uploadtest"
	"deskset/firmware/vault"
	"deskset/firmware/vault/outbox"
	"deskset/firmware/vault/sealed"
)

// kit makes sealed recordings without a centre.
type kit struct {
	key   *ecdsa.PrivateKey
	facts []fleet.Recipient
	voice []fleet.Recipient
	seq   uint64
}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{}
	var err error
	if k.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a, err := sealed.GenerateKey(sealed.Online)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sealed.GenerateKey(sealed.Offline)
	if err != nil {
		t.Fatal(err)
	}
	k.facts, k.voice = []fleet.Recipient{a.Public().Recipient()}, []fleet.Recipient{b.Public().Recipient()}
	return k
}

func (k *kit) record(t *testing.T) *centretest.Recording {
	k.seq++
	return centretest.Make(t, centretest.Spec{Seat: "S-0001", Seq: k.seq, Key: k.key, Facts: k.facts, Voice: k.voice})
}

func TestConformance(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		uploadtest.Run(t, func(t *testing.T) (upload.Store, func(*testing.T)) {
			d, k := centretest.NewDisk(), newKit(t)
			return d, func(t *testing.T) { d.Add(k.record(t)) }
		})
	})
	t.Run("vault", func(t *testing.T) {
		uploadtest.Run(t, func(t *testing.T) (upload.Store, func(*testing.T)) {
			k := newKit(t)
			v, err := vault.Open(vault.Config{Dir: t.TempDir(), Seat: "S-0001", Firmware: "test", Signer: k.key, Now: time.Now, Reserve: 1})
			if err != nil {
				t.Fatal(err)
			}
			o := outbox.New(v)
			t.Cleanup(func() { o.Close(); v.Close(context.Background()) })
			return o, func(t *testing.T) {
				r, err := v.Create(vault.Recipients{Facts: k.facts, Voice: k.voice})
				if err != nil {
					t.Fatal(err)
				}
				line, err := record.Marshal(record.Fact{Kind: record.Offered, At: time.Now()})
				if err != nil {
					t.Fatal(err)
				}
				r.Facts(line)
				if _, err := r.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
}

// fakeCentre answers as a good centre does, but where a test has put something
// else in its place.
type fakeCentre struct {
	t    *testing.T
	key  crypto.Signer
	disk *centretest.Disk
	url  string
	ca   []byte

	mu       sync.Mutex
	instead  func(w http.ResponseWriter, r *http.Request) bool // true: answered
	manifest map[string]bool
	parts    map[string][]byte
	order    []string // of receipts asked for
	sizes    []int64  // of bodies
}

func newFake(t *testing.T) *fakeCentre {
	c := &fakeCentre{t: t, key: uploadtest.Key(t), disk: centretest.NewDisk(), manifest: map[string]bool{}, parts: map[string][]byte{}}
	s := httptest.NewTLSServer(c)
	t.Cleanup(s.Close)
	c.url = s.URL
	c.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return c
}

func (c *fakeCentre) does(f func(w http.ResponseWriter, r *http.Request) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.instead = f
}

func (c *fakeCentre) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.instead != nil && c.instead(w, r) {
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, fleet.PathRec), "/")
	id := path[0]
	switch {
	case r.Method == "GET":
		if !c.manifest[id] {
			w.WriteHeader(404)
			return
		}
		c.state(w, id, 200)
	case r.Method == "POST":
		c.order = append(c.order, id)
		w.Write(uploadtest.Receipt(c.t, c.key, c.disk, id))
	case path[1] == "manifest":
		c.manifest[id] = true
		w.WriteHeader(204)
	default:
		rng, err := fleet.ParseRange(r.Header.Get("Content-Range"))
		if err != nil {
			c.t.Error(err)
		}
		b, err := io.ReadAll(r.Body)
		if err != nil || int64(len(b)) != rng.Len() {
			c.t.Error(len(b), rng, err)
		}
		c.sizes = append(c.sizes, int64(len(b)))
		name := id + "/" + path[2] + "/" + path[3]
		if int64(len(c.parts[name])) != rng.From {
			c.state(w, id, 416)
			return
		}
		c.parts[name] = append(c.parts[name], b...)
		c.state(w, id, 200)
	}
}

func (c *fakeCentre) state(w http.ResponseWriter, id string, status int) {
	st := fleet.UploadState{Manifest: true}
	doc, err := c.disk.Manifest(id)
	if err != nil {
		c.t.Error(err)
	}
	p, _ := signed.Unverified(doc)
	var m fleet.Manifest
	json.Unmarshal(p, &m)
	for _, p := range m.Parts {
		n := int64(len(c.parts[id+"/"+p.Name()]))
		st.Parts = append(st.Parts, fleet.PartState{N: p.N, Kind: p.Kind, Have: n, Done: n == p.Size})
	}
	b, _ := json.Marshal(st)
	w.WriteHeader(status)
	w.Write(b)
}

// run starts an uploader with short waits.
func (c *fakeCentre) run(t *testing.T, change func(*upload.Config)) *upload.Uploader {
	t.Helper()
	cl, err := fleet.NewClient(fleet.ClientConfig{URL: c.url, CA: c.ca})
	if err != nil {
		t.Fatal(err)
	}
	conf := upload.Config{
		Client: cl, Centre: c.key.Public(), Store: c.disk, Now: time.Now, Log: centretest.Log(t),
		Backoff: fleet.Backoff{Base: time.Millisecond, Max: 20 * time.Millisecond}, Retry: 10 * time.Millisecond,
	}
	if change != nil {
		change(&conf)
	}
	u, err := upload.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; cl.Close() })
	return u
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not reached", what)
		}
	}
}

// Whatever a centre answers that is not a valid receipt for exactly this
// recording lets nothing go, and is told in words; the moment it answers
// rightly the recording is delivered.
func TestAnythingButAReceipt(t *testing.T) {
	receipt := func(f func(c *fakeCentre, r *fleet.Receipt) crypto.Signer) func(c *fakeCentre) func(http.ResponseWriter, *http.Request) bool {
		return func(c *fakeCentre) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != "POST" {
					return false
				}
				id := strings.Split(strings.TrimPrefix(r.URL.Path, fleet.PathRec), "/")[0]
				p, _ := signed.Unverified(uploadtest.Receipt(c.t, c.key, c.disk, id))
				var rc fleet.Receipt
				json.Unmarshal(p, &rc)
				key := f(c, &rc)
				b, _ := signed.Seal(key, signed.Receipt, rc)
				w.Write(b)
				return true
			}
		}
	}
	answer := func(method string, status int, body string) func(c *fakeCentre) func(http.ResponseWriter, *http.Request) bool {
		return func(*fakeCentre) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != method {
					return false
				}
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(status)
				io.WriteString(w, body)
				return true
			}
		}
	}
	for name, c := range map[string]struct {
		does func(c *fakeCentre) func(http.ResponseWriter, *http.Request) bool
		want string
	}{
		"another key": {receipt(func(c *fakeCentre, r *fleet.Receipt) crypto.Signer { return uploadtest.Key(c.t) }), "not valid"},
		"another id": {receipt(func(c *fakeCentre, r *fleet.Receipt) crypto.Signer {
			r.ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
			return c.key
		}), "it is for recording"},
		"another number":   {receipt(func(c *fakeCentre, r *fleet.Receipt) crypto.Signer { r.Seq++; return c.key }), "it is for recording"},
		"another seat":     {receipt(func(c *fakeCentre, r *fleet.Receipt) crypto.Signer { r.Seat = "S-9"; return c.key }), "it is for recording"},
		"another manifest": {receipt(func(c *fakeCentre, r *fleet.Receipt) crypto.Signer { r.Manifest = fleet.Digest(nil); return c.key }), "another manifest"},
		"no retention":     {receipt(func(c *fakeCentre, r *fleet.Receipt) crypto.Signer { r.RetainUntil = r.Received; return c.key }), "less than a day"},
		"another format":   {receipt(func(c *fakeCentre, r *fleet.Receipt) crypto.Signer { r.Format = "x"; return c.key }), "format"},
		"200 and garbage":  {answer("POST", 200, "thank you"), "not valid"},
		"200 and nothing":  {answer("POST", 200, ""), "not valid"},
		"204":              {answer("POST", 204, ""), "not valid"},
		"302":              {answer("POST", 302, ""), "302"},
		"conflict":         {answer("PUT", 409, `{"title":"something else is stored there","status":409,"detail":"ask IT"}`), "something else is stored there: ask IT"},
		"refused manifest": {answer("PUT", 422, `{"title":"no","detail":"never"}`), "422 no: never"},
		"server error":     {answer("PUT", 500, "oops"), "500"},
		"full":             {answer("PUT", 507, `{"title":"the centre's disk is full"}`), "the centre's disk is full"},
		"not admitted":     {answer("GET", 403, `{"title":"this seat is not admitted"}`), "this seat is not admitted"},
		"garbled state":    {answer("GET", 200, "<html>"), "not understood"},
		"state of much":    {answer("GET", 200, `{"manifest":true,"parts":[{"n":1,"kind":"facts","have":999999999,"done":false}]}`), "wants more"},
		"negative state":   {answer("GET", 200, `{"manifest":true,"parts":[{"n":1,"kind":"facts","have":-5,"done":false}]}`), "wants more"},
		"bad receipt held": {answer("GET", 200, `{"manifest":true,"parts":[],"receipt":"a.b.c"}`), "not valid"},
		"huge answer":      {answer("GET", 200, strings.Repeat(" ", 5<<20)), "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.does(c.does(f))
			rec := newKit(t).record(t)
			f.disk.Add(rec)
			u := f.run(t, nil)
			eventually(t, "an error in words", func() bool {
				st, link := u.Status()
				return len(st) == 1 && strings.Contains(st[0].Err+fmt.Sprint(link), c.want)
			})
			if f.disk.Receipt(rec.Manifest.ID) != nil {
				t.Fatal("the recording was let go")
			}
			f.does(nil)
			eventually(t, "delivery", func() bool { return f.disk.Receipt(rec.Manifest.ID) != nil })
			eventually(t, "an empty list", func() bool { st, link := u.Status(); return len(st) == 0 && link == nil })
		})
	}
}

func TestOldestFirstAndOneBadDoesNotStopTheRest(t *testing.T) {
	f, k := newFake(t), newKit(t)
	var recs []*centretest.Recording
	for range 5 {
		recs = append(recs, k.record(t))
	}
	for _, i := range []int{3, 1, 4, 0, 2} {
		f.disk.Add(recs[i])
	}
	bad := recs[1].Manifest.ID
	f.does(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "PUT" && strings.Contains(r.URL.Path, bad) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(409)
			return true
		}
		return false
	})
	u := f.run(t, func(c *upload.Config) { c.Retry = time.Hour })
	eventually(t, "four delivered", func() bool { st, _ := u.Status(); return len(st) == 1 })
	st, link := u.Status()
	if st[0].ID != bad || st[0].State != upload.Refused || st[0].Err == "" || st[0].Retry.IsZero() || link != nil {
		t.Fatalf("%+v %v", st, link)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	want := []string{recs[0].Manifest.ID, recs[2].Manifest.ID, recs[3].Manifest.ID, recs[4].Manifest.ID}
	if fmt.Sprint(f.order) != fmt.Sprint(want) {
		t.Errorf("order %v, want %v", f.order, want)
	}
}

// A request that was taken but whose answer was lost is not sent again.
func TestResumes(t *testing.T) {
	f, k := newFake(t), newKit(t)
	rec := k.record(t)
	var lost atomic.Bool
	f.does(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != "PUT" || !strings.Contains(r.URL.Path, "/parts/") || lost.Swap(true) {
			return false
		}
		b, _ := io.ReadAll(r.Body)
		path := strings.Split(strings.TrimPrefix(r.URL.Path, fleet.PathRec), "/")
		f.parts[path[0]+"/"+path[2]+"/"+path[3]] = b[:len(b)/2] // half of it became durable
		panic(http.ErrAbortHandler)
	})
	f.disk.Add(rec)
	f.run(t, nil)
	eventually(t, "delivery", func() bool { return f.disk.Receipt(rec.Manifest.ID) != nil })
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range rec.Manifest.Parts {
		if string(f.parts[rec.Manifest.ID+"/"+p.Name()]) != string(rec.Parts[p.Name()]) {
			t.Errorf("part %s arrived changed", p.Name())
		}
	}
	if len(f.sizes) != 1 || f.sizes[0] != rec.Manifest.Parts[0].Size-rec.Manifest.Parts[0].Size/2 {
		t.Errorf("sent again: %v", f.sizes)
	}
}

// During a call pieces are small.
func TestSmallPiecesDuringACall(t *testing.T) {
	f, k := newFake(t), newKit(t)
	k.seq++
	rec := centretest.Make(t, centretest.Spec{Seat: "S-0001", Seq: k.seq, Key: k.key, Facts: k.facts, Voice: k.voice, Seconds: 20})
	f.disk.Add(rec)
	f.run(t, func(c *upload.Config) { c.InCall, c.CallRate = func() bool { return true }, 20_000_000 })
	eventually(t, "delivery", func() bool { return f.disk.Receipt(rec.Manifest.ID) != nil })
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.sizes {
		if n > 64<<10 {
			t.Errorf("a piece of %d bytes", n)
		}
	}
	if len(f.sizes) < 3 {
		t.Errorf("pieces %v", f.sizes)
	}
}
