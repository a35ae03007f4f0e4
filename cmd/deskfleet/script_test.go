package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"testing"
	"time"

	"deskset/firmware/centre"
	"deskset/firmware/centre/centretest"
	"deskset/firmware/fleet"
	"deskset/firmware/upload"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"deskfleet": main,
		"waitserve": waitServe,
		"fakeseat":  fakeSeat,
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"mode":   cmdMode,
			"setenv": cmdSetenv,
		},
	})
}

// cmdMode checks a file's permissions: mode 0600 FILE...
func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	for _, f := range args[1:] {
		i, err := os.Stat(ts.MkAbs(f))
		ts.Check(err)
		if (i.Mode().Perm() == os.FileMode(want)) == neg {
			ts.Fatalf("%s has mode %v", f, i.Mode())
		}
	}
}

// cmdSetenv takes a variable from what the last command wrote: setenv NAME stdout
func cmdSetenv(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.ReadFile(args[1])
	for len(s) > 0 && (s[len(s)-1] == '\n' || s[len(s)-1] == '\r') {
		s = s[:len(s)-1]
	}
	ts.Setenv(args[0], s)
}

// waitServe prints where the centre of a directory serves, once it does.
func waitServe() {
	for range 1000 {
		if r, err := centre.Serving(os.Args[1]); err == nil {
			fmt.Println(r.URL())
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Fprintln(os.Stderr, "the centre does not serve")
	os.Exit(1)
}

// quiet is a testing.TB for a process of its own.
type quiet struct {
	testing.TB
	ctx context.Context
}

func (q quiet) Helper()                  {}
func (q quiet) Context() context.Context { return q.ctx }
func (q quiet) Cleanup(func())           {}
func (q quiet) Skip(a ...any)            { q.Fatal(a...) }
func (q quiet) Fatal(a ...any) {
	fmt.Fprintln(os.Stderr, a...)
	os.Exit(1)
}

// fakeSeat URL CA TOKEN SEAT enrols, delivers one recording and prints its id.
// With a further argument it keeps its event stream open until interrupted.
func fakeSeat() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	t := quiet{ctx: ctx}
	ca, err := os.ReadFile(os.Args[2])
	if err != nil {
		t.Fatal(err)
	}
	s := &centretest.Seat{Name: os.Args[4]}
	if s.Key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if s.Reply, err = fleet.Enrol(ctx, fleet.EnrolConfig{URL: os.Args[1], CA: ca, Token: os.Args[3], Key: s.Key}); err != nil {
		t.Fatal(err)
	}
	key, err := fleet.ParseCentreKey([]byte(s.Reply.CentreKey))
	if err != nil {
		t.Fatal(err)
	}
	if s.Policy, err = fleet.OpenPolicy(key, s.Name, []byte(s.Reply.PolicyJWS)); err != nil {
		t.Fatal(err)
	}
	s.Connect(t, &centretest.Env{URL: os.Args[1], CA: ca})
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if len(os.Args) > 5 {
		st, err := fleet.NewStream(fleet.StreamConfig{
			Client: s.Client, Centre: key, Held: s.Policy.Version, Log: log,
			State:  func() fleet.SeatState { return fleet.SeatState{State: "ready", Agent: "7041", Firmware: "fake"} },
			Policy: func(*fleet.Policy, []byte) error { return nil },
			Link:   func(up bool, _ error) { fmt.Println("link", up) },
		})
		if err != nil {
			t.Fatal(err)
		}
		st.Run(ctx)
		return
	}
	d := centretest.NewDisk()
	rec := centretest.Make(t, centretest.SpecFor(s, 1))
	d.Add(rec)
	u, err := upload.New(upload.Config{Client: s.Client, Centre: key, Store: d, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	go u.Run(ctx)
	for range 1000 {
		if d.Receipt(rec.Manifest.ID) != nil {
			fmt.Println(rec.Manifest.ID)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(u.Status())
}
