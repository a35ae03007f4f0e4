package vault

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"

	"deskset/firmware/fleet"
)

// Slabs are files made ready while the seat is idle. A part that begins in one
// overwrites blocks that the file system has allocated and written before, so
// that a synced segment costs its own bytes and next to no metadata: measured,
// 8 kB a segment instead of 32 kB.
type Slabs struct {
	Voice, Facts         int64 // size of each, bytes
	VoiceKeep, FactsKeep int   // how many stand ready; 0: none, parts grow plainly
}

// DefaultSlabs are ready for two calls that begin together, of 4 minutes each
// before they grow.
func DefaultSlabs() Slabs {
	return Slabs{Voice: 2 << 20, Facts: 128 << 10, VoiceKeep: 2, FactsKeep: 3}
}

const (
	voiceGrow = 256 << 10 // a part that outgrows its slab grows by so much
	factsGrow = 32 << 10
	slabChunk = 128 << 10 // written at a time while idle
)

type pool struct {
	fs  FS
	cfg Slabs
	log *slog.Logger

	mu   sync.Mutex
	free []Info // ready, synced
	next int
	bad  map[string]bool // files of this run that failed a write: never used again
}

func newPool(disk FS, cfg Slabs, log *slog.Logger) *pool {
	return &pool{fs: disk, cfg: cfg, log: log, next: 1, bad: map[string]bool{}}
}

func slabName(n int) string { return fmt.Sprintf("slab.%06d", n) }

// load takes up the slabs that an earlier run left.
func (p *pool) load(all []Info) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range all {
		s, ok := strings.CutPrefix(i.Name, "slab.")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(s)
		if err != nil || slabName(n) != i.Name {
			continue
		}
		p.next = max(p.next, n+1)
		voice := p.isVoice(i)
		if i.Size < p.cfg.Facts || i.Size%4096 != 0 ||
			voice && p.count(true) >= p.cfg.VoiceKeep || !voice && p.count(false) >= p.cfg.FactsKeep {
			p.fs.Remove(i.Name)
			continue
		}
		p.free = append(p.free, i)
	}
}

func (p *pool) isVoice(i Info) bool { return i.Size >= p.cfg.Voice }

func (p *pool) count(voice bool) (n int) {
	for _, i := range p.free {
		if p.isVoice(i) == voice {
			n++
		}
	}
	return n
}

// take a slab for a part, or none.
func (p *pool) take(kind fleet.Kind) (Info, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	voice := kind == fleet.Voice
	if voice && p.cfg.VoiceKeep == 0 || !voice && p.cfg.FactsKeep == 0 {
		return Info{}, false
	}
	i := slices.IndexFunc(p.free, func(i Info) bool { return p.isVoice(i) == voice })
	if i < 0 {
		return Info{}, false
	}
	s := p.free[i]
	p.free = slices.Delete(p.free, i, i+1)
	return s, true
}

// short says which kind of slab is wanted next.
func (p *pool) short() (size int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.count(false) < p.cfg.FactsKeep:
		return p.cfg.Facts, true
	case p.count(true) < p.cfg.VoiceKeep:
		return p.cfg.Voice, true
	}
	return 0, false
}

// prepare one slab. It stops half way when ctx ends or busy says so.
func (p *pool) prepare(ctx context.Context, size int64, busy func() bool) (err error) {
	p.mu.Lock()
	name := slabName(p.next)
	p.next++
	p.mu.Unlock()
	f, err := p.fs.Open(name, true)
	if err != nil {
		return fmt.Errorf("prepare slab: %w", err)
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = cerr
		}
		if err != nil {
			p.fs.Remove(name)
			return
		}
		p.mu.Lock()
		p.free = append(p.free, Info{Name: name, Size: size})
		p.mu.Unlock()
	}()
	zeros := make([]byte, min(size, slabChunk))
	for off := int64(0); off < size; off += int64(len(zeros)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if busy() {
			return errBusy
		}
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off); err != nil {
			return fmt.Errorf("prepare slab: %w", err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("prepare slab: %w", err)
		}
	}
	return p.fs.SyncDir()
}

var errBusy = fmt.Errorf("a recording began")

// refuse a file for good.
func (p *pool) refuse(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bad[name] = true
}

// recycle makes a slab of a deleted part instead of giving its blocks back, so
// that the flash is not worn by zeros. Its header, with the wrapped keys, is
// overwritten; what is left of the segments opens with no key. It reports
// whether it took the file.
func (p *pool) recycle(i Info) (bool, error) {
	p.mu.Lock()
	voice := p.isVoice(i)
	want := voice && p.count(true) < p.cfg.VoiceKeep ||
		!voice && i.Size == p.cfg.Facts && p.count(false) < p.cfg.FactsKeep
	want = want && !p.bad[i.Name]
	name := slabName(p.next)
	if want {
		p.next++
	}
	p.mu.Unlock()
	if !want {
		return false, nil
	}
	f, err := p.fs.Open(i.Name, false)
	if err != nil {
		return false, err
	}
	_, err = f.WriteAt(make([]byte, min(i.Size, 32<<10)), 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = p.fs.Rename(i.Name, name)
	}
	if err != nil {
		return false, err
	}
	p.mu.Lock()
	p.free = append(p.free, Info{Name: name, Size: i.Size})
	p.mu.Unlock()
	return true, nil
}
