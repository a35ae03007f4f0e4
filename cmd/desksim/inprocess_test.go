package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"deskset/audio/soundcard"
	"deskset/cmd/desksim/phone"
	"deskset/cmd/desksim/rig"
	"deskset/firmware/console"
	"deskset/firmware/fleet"
	"deskset/firmware/panel"
	"deskset/firmware/seat"
	"deskset/firmware/vault"
	"deskset/firmware/vault/sealed"
)

// desk is a panel whose keys a test presses.
type desk struct {
	c chan func(func(panel.Key, bool))
}

func (k desk) Run(ctx context.Context, edge func(panel.Key, bool)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-k.c:
			f(edge)
		}
	}
}

func (k desk) press(key panel.Key) {
	k.c <- func(edge func(panel.Key, bool)) {
		edge(key, true)
		time.Sleep(30 * time.Millisecond) // a finger
		edge(key, false)
	}
}

type lamps struct{ sync.Map }

func (l *lamps) Set(n panel.Lamp, c panel.Colour) error { l.Store(n, c); return nil }

// TestCallInProcess is a whole inbound call with the seat and a customer in
// one process: no centre, no other program but the PBX.
func TestCallInProcess(t *testing.T) {
	t.Run("small", func(t *testing.T) { callInProcess(t, "small") })
	t.Run("asterisk", func(t *testing.T) { callInProcess(t, "asterisk") })
}

func callInProcess(t *testing.T, kind string) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()

	pbx, ca, err := rig.OpenPBX(ctx, kind, os.Getenv("DESKSET_ASTERISK"), t.TempDir(), log)
	if errors.Is(err, rig.ErrNoAsterisk) && os.Getenv("DESKSET_FULL") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer pbx.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	cust, err := phone.New(phone.Config{Listen: "127.0.0.1:0", PBX: pbx.SIP(), User: rig.CustomerNumber, Password: rig.Password(rig.CustomerNumber), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	parts.Go(func() { _ = cust.Run(ctx) })

	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	store, err := vault.Open(vault.Config{Dir: t.TempDir(), Seat: "S-0001", Firmware: "test", Signer: key, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	online, err := sealed.GenerateKey(sealed.Online)
	if err != nil {
		t.Fatal(err)
	}
	offline, err := sealed.GenerateKey(sealed.Offline)
	if err != nil {
		t.Fatal(err)
	}
	card, err := soundcard.New(soundcard.Config{Backend: soundcard.Virtual}, log)
	if err != nil {
		t.Fatal(err)
	}
	parts.Go(func() { _ = card.Run(ctx) })
	fingers := desk{make(chan func(func(panel.Key, bool)))}
	s, err := seat.New(seat.Config{
		Name: "S-0001", Firmware: "test", Lang: "en", Instance: "urn:uuid:00000000-0000-4000-8000-000000000001",
		Policy: &fleet.Policy{
			Version: 1, Seat: "S-0001", PBX: []fleet.PBX{{URL: "wss://" + pbx.WSS() + "/ws", Domain: "127.0.0.1", User: rig.SeatUser, Password: rig.Password(rig.SeatUser)}},
			Recording: fleet.Recording{Enabled: true, Basis: "centre-policy",
				Facts: []fleet.Recipient{online.Public().Recipient()}, Voice: []fleet.Recipient{offline.Public().Recipient()}},
			Times: fleet.Times{WrapUpSeconds: 1},
		},
		Keys: fingers, Lamps: &lamps{}, Headset: card, Vault: store, Log: log, Now: time.Now, TLS: &tls.Config{RootCAs: roots},
	})
	if err != nil {
		t.Fatal(err)
	}
	parts.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	await := func(what string, ok func(panel.View) bool) {
		t.Helper()
		changed, stop := s.Changed()
		defer stop()
		for !ok(s.View()) {
			select {
			case <-changed:
			case <-ctx.Done():
				t.Fatalf("%s never came: %+v", what, s.View())
			}
		}
	}
	state := func(want panel.State) {
		t.Helper()
		await(string(want), func(v panel.View) bool { return v.State == want })
	}
	await("registration", func(v panel.View) bool { return v.Links.PBX })
	if err := s.Do(ctx, console.Action{Kind: console.SignIn, Agent: "7041"}); err != nil {
		t.Fatal(err)
	}
	state(panel.Ready)
	call, err := cust.Call(ctx, rig.SeatUser)
	if err != nil {
		t.Fatal(err)
	}
	state(panel.Ringing)
	time.Sleep(1100 * time.Millisecond) // ANSWER within 1 s is ignored
	pressed := time.Now()
	fingers.press(panel.Answer)
	state(panel.Talking)
	t.Log("pressed to talking", time.Since(pressed))
	if err := call.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	await("recording", func(v panel.View) bool { return v.Rec.On })
	<-time.After(3 * time.Second)
	if err := s.Do(ctx, console.Action{Kind: console.Hold}); err != nil {
		t.Fatal(err)
	}
	state(panel.Hold)
	if err := s.Do(ctx, console.Action{Kind: console.Resume}); err != nil {
		t.Fatal(err)
	}
	state(panel.Talking)
	call.Hangup()
	state(panel.WrapUp)
	await("sealed recording", func(v panel.View) bool { return len(v.Shift) == 1 && v.Shift[0].Recording == "sealed" })
	state(panel.Ready)
	for _, e := range store.List() {
		t.Logf("%+v", e)
	}
	t.Logf("customer heard %+v", call.Stats())
	_ = s.Events(ctx, 0, false, func(e seat.Event) error { t.Log(e.At.Format("05.000"), e.Part, e.Text); return nil })
}
