package vault_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/retention"
	"deskset/firmware/signed"
	"deskset/firmware/vault"
	"deskset/firmware/vault/crashfs"
	"deskset/firmware/vault/sealed"
)

const seat = "S-0001"

type keyring struct {
	facts, voice, escrow *sealed.PrivateKey
	signer               ed25519.PrivateKey
	to                   vault.Recipients
}

var keys = sync.OnceValue(func() *keyring {
	must := func(k *sealed.PrivateKey, err error) *sealed.PrivateKey {
		if err != nil {
			panic(err)
		}
		return k
	}
	k := &keyring{
		facts:  must(sealed.GenerateKey(sealed.Online)),
		voice:  must(sealed.GenerateKey(sealed.Offline)),
		escrow: must(sealed.GenerateKey(sealed.Offline)),
		signer: ed25519.NewKeyFromSeed(make([]byte, 32)),
	}
	k.to = vault.Recipients{
		Facts: []fleet.Recipient{k.facts.Public().Recipient()},
		Voice: []fleet.Recipient{k.voice.Public().Recipient(), k.escrow.Public().Recipient()},
	}
	return k
})

func config(d vault.FS) vault.Config {
	return vault.Config{
		FS: d, Dir: "test", Seat: seat, Firmware: "1.0", Signer: keys().signer, Now: time.Now,
		Reserve: 1, Slabs: vault.Slabs{Voice: 64 << 10, Facts: 16 << 10, VoiceKeep: 1, FactsKeep: 1},
		Log: slog.New(slog.DiscardHandler),
	}
}

// made is one recording as the test knows it: what was handed over, and how
// much of it the vault had stored when it last had nothing left to do.
type made struct {
	id    string
	seq   uint64
	facts []string
	pages []string // what Amend put in place of a page is in amended
	ackF  int
	ackP  int

	amended  map[int]string
	ackA     bool
	manifest string // SHA-256 of what Close signed
	receipt  bool
	hold     bool
	mayGo    bool // Delete was asked for
	gone     bool // and has returned
}

func (m *made) copy() *made {
	c := *m
	c.facts, c.pages = slices.Clone(m.facts), slices.Clone(m.pages)
	c.amended = maps.Clone(m.amended)
	return &c
}

// state is everything that was acknowledged at one moment.
type state []*made

func (s state) copy() state {
	var c state
	for _, m := range s {
		c = append(c, m.copy())
	}
	return c
}

// story drives a vault through everything it can do. It runs inside a synctest
// bubble, so that waiting is for the vault's goroutines and not for time.
type story struct {
	v    *vault.Vault
	mu   sync.Mutex
	acks state
	err  error // of the first step that failed
}

func (s *story) snapshot() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acks.copy()
}

func (s *story) ack(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *story) fail(err error) bool {
	if err != nil && s.err == nil {
		s.err = err
	}
	return err != nil
}

// settle waits until nothing waits in RAM, a minute at most.
func settle(r *vault.Recording) bool {
	for range 120 {
		synctest.Wait()
		if r.Backlog() == 0 && r.State().Level == vault.LevelOK && r.Seq() > 0 {
			return true
		}
		time.Sleep(500 * time.Millisecond)
	}
	return false
}

const head = "OggS head of this part "

func pageText(id string, n, version int) string {
	return fmt.Sprintf("%s page %d version %d %s", id[:8], n, version, strings.Repeat("speech ", 300+n%5*250))
}

type call struct {
	s *story
	r *vault.Recording
	m *made
}

func (s *story) begin() *call {
	r, err := s.v.Create(keys().to)
	if s.fail(err) {
		return nil
	}
	r.VoiceHead(func() []byte { return []byte(head) })
	c := &call{s: s, r: r, m: &made{id: r.ID(), amended: map[int]string{}}}
	s.ack(func() { s.acks = append(s.acks, c.m) })
	return c
}

func (c *call) fact(text string) {
	line := fmt.Sprintf(`{"kind":"note","text":"%s"}`, text)
	c.s.ack(func() { c.m.facts = append(c.m.facts, line) })
	c.r.Facts([]byte(line))
}

func (c *call) page() {
	n := len(c.m.pages)
	text := pageText(c.m.id, n, 0)
	c.s.ack(func() { c.m.pages = append(c.m.pages, text) })
	c.r.Voice([]byte(text), time.Second)
}

func (c *call) amend(n int) {
	text := pageText(c.m.id, n, 1)
	c.s.ack(func() { c.m.amended[n] = text })
	if !c.r.Amend(uint64(n), []byte(text)) {
		c.s.fail(errors.New("amendment is refused"))
	}
}

func (c *call) stored() {
	if !settle(c.r) {
		return
	}
	c.s.ack(func() {
		c.m.seq = c.r.Seq()
		c.m.ackF, c.m.ackP = len(c.m.facts), len(c.m.pages)
	})
}

func (c *call) end() {
	if c == nil {
		return
	}
	_, err := c.r.Close(context.Background())
	if c.s.fail(err) {
		return
	}
	e, err := c.s.v.Get(c.m.id)
	if c.s.fail(err) {
		return
	}
	c.s.ack(func() {
		c.m.seq, c.m.manifest = e.Seq, e.ManifestSHA256
		if e.End == fleet.EndClosed {
			c.m.ackF, c.m.ackP = len(c.m.facts), len(c.m.pages)
		}
	})
}

func (c *call) receipt() {
	if c == nil {
		return
	}
	e, err := c.s.v.Get(c.m.id)
	if c.s.fail(err) {
		return
	}
	jws, r := receiptFor(e)
	if c.s.fail(c.s.v.Receipted(c.m.id, jws, r)) {
		return
	}
	c.s.ack(func() { c.m.receipt = true })
}

func receiptFor(e vault.Entry) ([]byte, fleet.Receipt) {
	r := fleet.Receipt{
		Format: fleet.ReceiptFormat, Centre: "test", Seat: seat, Seq: e.Seq, ID: e.ID, Manifest: e.ManifestSHA256,
		Received: time.Now().UTC(), RetainUntil: time.Now().UTC().AddDate(0, 0, 30),
	}
	jws, err := signed.Seal(keys().signer, signed.Receipt, r)
	if err != nil {
		panic(err)
	}
	return jws, r
}

func (c *call) hold() {
	if c != nil && !c.s.fail(c.s.v.SetHold(c.m.id, true)) {
		c.s.ack(func() { c.m.hold = true })
	}
}

func (c *call) remove() {
	if c == nil {
		return
	}
	e, err := c.s.v.Get(c.m.id)
	if c.s.fail(err) {
		return
	}
	v := retention.Decide(e.Copy(), retention.Now{
		Time: e.Received.Add(31 * retention.Day), Trusted: true, LastSigned: e.Received.Add(30 * retention.Day), FreeFraction: 1,
	}, retention.Default())
	if v.Permits() {
		c.s.ack(func() { c.m.mayGo = true })
	}
	if !c.s.fail(c.s.v.Delete(v)) {
		c.s.ack(func() { c.m.gone = true })
	}
}

// play the whole story on a disk. Errors of single steps are noted and passed
// over, as the seat would.
func (s *story) play(d vault.FS, cfg vault.Config) {
	v, err := vault.Open(cfg)
	if s.fail(err) {
		return
	}
	s.v = v
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- v.Run(ctx) }()
	synctest.Wait() // slabs are ready

	a := s.begin()
	if a == nil {
		s.fail(v.Close(ctx))
		stop()
		return
	}
	a.fact("from 13800138000 to 4001234567")
	a.stored()
	a.fact("answered by agent 8042")
	a.page()
	a.stored()
	for range 4 {
		a.page()
		a.stored()
	}
	a.amend(3)
	if settle(a.r) {
		s.ack(func() { a.m.ackA = true })
	}
	b := s.begin() // a consultation while the first call is held
	if b != nil {
		b.fact("consultation")
		b.page()
		b.stored()
	}
	a.fact("released")
	a.page()
	a.end()
	a.receipt()
	if b != nil {
		b.page()
		b.stored()
	}
	b.end()
	b.hold()
	b.receipt()
	b.remove() // refused
	a.remove()
	synctest.Wait()
	c := s.begin() // in slabs used before
	if c != nil {
		c.fact("third call")
		for range 12 {
			c.page()
			c.stored()
		}
	}
	s.ack(func() {}) // the power goes here at the latest
	stop()
	<-ran
	if c != nil {
		c.end()
	}
	s.fail(v.Close(context.Background()))
}

// verify opens a vault on what a cut has left and says which promise is broken.
// strict: there was nothing but the cut. goOn: another recording must succeed.
func verify(d *crashfs.Disk, acks state, strict, goOn bool) error {
	v, err := vault.Open(config(d))
	if err != nil {
		return fmt.Errorf("vault does not open: %w", err)
	}
	defer v.Close(context.Background())
	list := v.List()
	byID := map[string]vault.Entry{}
	for i, e := range list {
		if e.Seq != uint64(i+1) {
			return fmt.Errorf("number %d stands at place %d", e.Seq, i+1)
		}
		if e.State == vault.Missing || e.State == vault.Making {
			return fmt.Errorf("recording %d is %s after a restart", e.Seq, e.State)
		}
		byID[e.ID] = e
	}
	if strict {
		for _, l := range v.Check(context.Background(), false).Lines {
			if !strings.Contains(l, "aside") && !strings.Contains(l, "header") {
				return fmt.Errorf("check: %s", l)
			}
		}
	}
	for _, m := range acks {
		if err := m.verify(v, byID, strict); err != nil {
			return fmt.Errorf("recording %d: %w", m.seq, err)
		}
	}
	if !goOn {
		return nil
	}
	// And it goes on.
	r, err := v.Create(keys().to)
	if err != nil {
		return fmt.Errorf("no further recording: %w", err)
	}
	r.Facts([]byte("next"))
	m, err := r.Close(context.Background())
	if err != nil || m.End != fleet.EndClosed || m.Seq != uint64(len(list)+1) {
		return fmt.Errorf("further recording: %+v: %w", m, err)
	}
	return nil
}

func (m *made) verify(v *vault.Vault, byID map[string]vault.Entry, strict bool) error {
	e, ok := byID[m.id]
	switch {
	case !ok && m.seq > 0:
		return errors.New("its number was given and is forgotten")
	case !ok:
		return nil
	case m.seq > 0 && e.Seq != m.seq:
		return fmt.Errorf("its number is %d now", e.Seq)
	case m.manifest != "" && e.ManifestSHA256 != m.manifest:
		return errors.New("its manifest has changed")
	case m.receipt && e.State != vault.Receipted && e.State != vault.Deleted:
		return fmt.Errorf("its receipt is forgotten: %s", e.State)
	case m.hold && !e.Hold:
		return errors.New("its hold is forgotten")
	case e.State == vault.Deleted && !m.mayGo:
		return errors.New("it is deleted")
	case m.gone && e.State != vault.Deleted:
		return errors.New("its deletion is forgotten")
	case e.State == vault.Deleted:
		return nil
	}
	doc, err := v.Manifest(m.id)
	if err != nil {
		return err
	}
	var man fleet.Manifest
	if err := signed.Open([]crypto.PublicKey{keys().signer.Public()}, signed.Manifest, doc, &man); err != nil {
		return err
	}
	if m.receipt {
		if _, err := v.Receipt(m.id); err != nil {
			return err
		}
	}
	facts, err := readAll(v, man, fleet.Facts, keys().facts)
	if err != nil {
		return err
	}
	voice, err := readAll(v, man, fleet.Voice, keys().escrow)
	if err != nil {
		return err
	}
	return m.compare(facts, voice, strict)
}

// opened remembers parts by hash: a sweep meets the same ones over and over.
var opened sync.Map

// readAll opens every part of a kind and returns its segments.
func readAll(v *vault.Vault, man fleet.Manifest, kind fleet.Kind, key *sealed.PrivateKey) (out [][]string, err error) {
	for _, p := range man.Parts {
		if p.Kind != kind {
			continue
		}
		f, err := v.OpenPart(man.ID, p.N, p.Kind)
		if err != nil {
			return nil, err
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return nil, err
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != p.SHA256 {
			return nil, fmt.Errorf("part %d %s is not what its manifest says", p.N, kind)
		}
		segs, ok := opened.Load(p.SHA256) // the same bytes read the same
		if !ok {
			got, err := readPart(f, f.Size(), key)
			if err != nil {
				return nil, fmt.Errorf("part %d %s: %w", p.N, kind, err)
			}
			segs = got
			opened.Store(p.SHA256, segs)
		}
		out = append(out, segs.([]string))
		f.Close()
	}
	return out, nil
}

func readPart(f io.ReaderAt, size int64, key *sealed.PrivateKey) (out []string, err error) {
	r, err := sealed.Open(f, size, key)
	if err != nil {
		return nil, err
	}
	for {
		s, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, string(s.Data))
	}
}

// compare what was read with what was handed over.
func (m *made) compare(facts, voice [][]string, strict bool) error {
	var lines []string
	for _, p := range facts {
		for _, s := range p {
			lines = append(lines, strings.FieldsFunc(s, func(r rune) bool { return r == '\n' })...)
		}
	}
	for i, want := range m.facts[:m.ackF] {
		if !slices.Contains(lines, want) {
			return fmt.Errorf("fact %d of %d acknowledged is lost", i, m.ackF)
		}
	}
	found := map[int]bool{}
	for _, p := range voice {
		next := -1
		for i, s := range p {
			if i == 0 && s != "" {
				t, ok := strings.CutPrefix(s, head)
				if !ok {
					return errors.New("a voice part begins without its head")
				}
				s = t
			}
			if s == "" {
				continue // end mark
			}
			n := slices.Index(m.pages, s)
			old := n
			for k, t := range m.amended {
				if t == s {
					n = k
				}
			}
			switch {
			case n < 0:
				return fmt.Errorf("segment %d holds what was never handed over", i)
			case next >= 0 && n != next && strict:
				return fmt.Errorf("page %d follows where %d should", n, next)
			case old == n && m.amended[n] != "" && m.ackA && strict:
				return fmt.Errorf("page %d lost its amendment", n)
			}
			found[n], next = true, n+1
		}
	}
	for n := range m.ackP {
		if !found[n] {
			return fmt.Errorf("page %d of %d acknowledged is lost", n, m.ackP)
		}
	}
	return nil
}
