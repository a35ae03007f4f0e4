package recording_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"deskset/audio/codec"
	"deskset/audio/oggopus"
	"deskset/firmware/fleet"
	"deskset/firmware/record"
	"deskset/firmware/recording"
	"deskset/firmware/vault"
	"deskset/firmware/vault/crashfs"
	"deskset/firmware/vault/sealed"
)

type centre struct{ facts, voice *sealed.PrivateKey }

func newCentre(t *testing.T) (c centre, to vault.Recipients) {
	t.Helper()
	var err error
	if c.facts, err = sealed.GenerateKey(sealed.Online); err != nil {
		t.Fatal(err)
	}
	if c.voice, err = sealed.GenerateKey(sealed.Offline); err != nil {
		t.Fatal(err)
	}
	return c, vault.Recipients{
		Facts: []fleet.Recipient{c.facts.Public().Recipient()},
		Voice: []fleet.Recipient{c.voice.Public().Recipient()},
	}
}

func openVault(t *testing.T, d *crashfs.Disk) *vault.Vault {
	t.Helper()
	v, err := vault.Open(vault.Config{
		FS: d, Seat: "S-0001", Signer: ed25519.NewKeyFromSeed(make([]byte, 32)), Now: time.Now, Reserve: 1,
		Slabs: vault.Slabs{Voice: 256 << 10, Facts: 16 << 10, VoiceKeep: 1, FactsKeep: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// read what the centre and the auditor find of the only recording: its facts,
// and each voice part as one Ogg file.
func (c centre) read(t *testing.T, v *vault.Vault) (facts []record.Fact, parts [][]byte) {
	t.Helper()
	e := v.List()[0]
	var lines []byte
	for _, p := range e.Parts {
		f, err := v.OpenPart(e.ID, p.N, p.Kind)
		if err != nil {
			t.Fatal(err)
		}
		key := c.voice
		if p.Kind == fleet.Facts {
			key = c.facts
		}
		r, err := sealed.Open(f, f.Size(), key)
		if err != nil {
			t.Fatal(err)
		}
		var b []byte
		for {
			s, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, s.Data...)
		}
		if p.Kind == fleet.Facts {
			lines = append(lines, b...)
		} else {
			parts = append(parts, b)
		}
	}
	facts, err := record.Parse(lines)
	if err != nil {
		t.Fatal(err)
	}
	return facts, parts
}

// tell is a packet that carries its number.
func tell(n int) []byte {
	return append([]byte{0xf8, byte(n >> 8), byte(n)}, bytes.Repeat([]byte{7}, 57)...)
}

// call runs the ticks of a call in (virtual) real time.
func call(rec *recording.Recorder, ticks int, each func(tick int)) {
	start := time.Now()
	for i := range ticks {
		time.Sleep(time.Until(start.Add(time.Duration(i) * 20 * time.Millisecond)))
		rec.Agent(codec.Opus, tell(i), int64(i)*960)
		rec.Customer(recording.Packet{
			Codec: codec.Opus, SSRC: 1, Seq: uint16(i), TS: uint32(i) * 960, Payload: tell(i), At: int64(i) * 960,
		})
		if each != nil {
			each(i)
		}
	}
}

// TestCutInACall cuts the power at random moments of a call: at most the last
// second is lost, and both numbers stand in the facts.
func TestCutInACall(t *testing.T) {
	c, to := newCentre(t)
	rng := rand.New(rand.NewPCG(1, 2))
	const ticks = 420
	type cut struct {
		tick int
		im   *crashfs.Image
	}
	var cuts []cut
	synctest.Test(t, func(t *testing.T) {
		d := crashfs.New()
		v := openVault(t, d)
		r, err := v.Create(to)
		if err != nil {
			t.Fatal(err)
		}
		rec := recording.New(recording.Config{Store: r, Wall: untrusted})
		rec.Fact(record.Fact{Kind: record.Offered, From: "13800138000", To: "4001234567"})
		rec.Fact(record.Fact{Kind: record.Answered, Agent: "8042"})
		synctest.Wait()
		call(rec, ticks, func(i int) {
			synctest.Wait()
			if rng.IntN(4) == 0 {
				cuts = append(cuts, cut{i, d.Image()})
			}
		})
		rec.End()
		if _, err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if len(cuts) < 60 {
		t.Fatalf("%d cuts", len(cuts))
	}
	for _, x := range cuts {
		v := openVault(t, x.im.Restart(rng))
		facts, parts := c.read(t, v)
		if len(facts) < 2 || facts[0].From != "13800138000" || facts[0].To != "4001234567" {
			t.Fatalf("cut at tick %d: facts %+v", x.tick, facts)
		}
		got := 0
		if len(parts) > 0 {
			agent, customer := slots(t, parts[0])
			got = len(agent)
			for i := range agent {
				if !bytes.Equal(agent[i], tell(i)) || !bytes.Equal(customer[i], tell(i)) {
					t.Fatalf("cut at tick %d: slot %d differs", x.tick, i)
				}
			}
		}
		if lost := x.tick + 1 - got; lost > 50 {
			t.Fatalf("cut at tick %d: %d ms are lost", x.tick, lost*20)
		}
		if err := v.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

func slots(t *testing.T, ogg []byte) (agent, customer [][]byte) {
	t.Helper()
	r := oggopus.NewTolerantReader(bytes.NewReader(ogg))
	for {
		s, err := r.Next()
		if err == io.EOF || errors.Is(err, oggopus.ErrFormat) && len(ogg) == 0 {
			// A last page cannot be empty: a full last second ends with a lost slot.
			if n := len(agent); n%oggopus.PageSlots == 1 && len(customer[n-1]) <= 1 {
				return agent[:n-1], customer[:n-1]
			}
			return agent, customer
		}
		if err != nil {
			t.Fatal(err)
		}
		agent, customer = append(agent, s.Agent), append(customer, s.Customer)
	}
}

// TestPartsKeepTheTimeLine: a disk that refuses a write in the middle makes a
// second part; both are Ogg files, and their pages stand where they belong.
func TestPartsKeepTheTimeLine(t *testing.T) {
	c, to := newCentre(t)
	synctest.Test(t, func(t *testing.T) {
		d := crashfs.New()
		syncs := 0
		d.Fail = func(s crashfs.Step) error {
			if s.Kind == crashfs.Sync && strings.HasSuffix(s.Name, ".1.voice") {
				if syncs++; syncs == 4 {
					return syscall.EIO
				}
			}
			return nil
		}
		v := openVault(t, d)
		r, err := v.Create(to)
		if err != nil {
			t.Fatal(err)
		}
		rec := recording.New(recording.Config{Store: r, Wall: untrusted})
		call(rec, 420, nil)
		rec.End()
		m, err := r.Close(t.Context())
		if err != nil || m.End != fleet.EndClosed {
			t.Fatalf("%+v: %v", m, err)
		}
		_, parts := c.read(t, v)
		if len(parts) != 2 {
			t.Fatalf("%d parts", len(parts))
		}
		seen := 0
		for _, p := range parts {
			if !bytes.HasPrefix(p, []byte("OggS")) {
				t.Fatal("a part does not begin with an Ogg page")
			}
			agent, _ := slots(t, p)
			for i, pkt := range agent {
				if pkt == nil {
					continue
				}
				if !bytes.Equal(pkt, tell(i)) {
					t.Fatalf("slot %d is out of place", i)
				}
				seen++
			}
		}
		if seen != 420 {
			t.Fatalf("%d slots of 420", seen)
		}
		// One behind the other they read as one.
		agent, customer := slots(t, bytes.Join(parts, nil))
		if len(agent) != 420 || len(customer) != 420 {
			t.Fatalf("%d slots in the joined file", len(agent))
		}
		if err := v.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLatePacketReachesTheDisk through an amendment.
func TestLatePacketReachesTheDisk(t *testing.T) {
	c, to := newCentre(t)
	synctest.Test(t, func(t *testing.T) {
		v := openVault(t, crashfs.New())
		r, err := v.Create(to)
		if err != nil {
			t.Fatal(err)
		}
		rec := recording.New(recording.Config{Store: r, Wall: untrusted})
		start := time.Now()
		for i := range 300 {
			time.Sleep(time.Until(start.Add(time.Duration(i) * 20 * time.Millisecond)))
			rec.Agent(codec.Opus, tell(i), int64(i)*960)
			send := []int{i}
			switch i {
			case 70:
				send = nil
			case 130:
				send = []int{130, 70}
			}
			for _, n := range send {
				rec.Customer(recording.Packet{
					Codec: codec.Opus, SSRC: 1, Seq: uint16(n), TS: uint32(n) * 960, Payload: tell(n), At: int64(i) * 960,
				})
			}
		}
		rec.End()
		if _, err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, parts := c.read(t, v)
		_, customer := slots(t, parts[0])
		for i, p := range customer {
			if !bytes.Equal(p, tell(i)) {
				t.Fatalf("slot %d differs", i)
			}
		}
		strict := oggopus.NewReader(bytes.NewReader(parts[0]))
		for {
			if _, err := strict.Next(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if err := v.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// untrusted is a clock that nobody vouches for.
func untrusted() (time.Time, bool) { return time.Now(), false }
