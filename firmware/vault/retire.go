package vault

import (
	"errors"
	"fmt"
	"slices"
)

const indexNew = "index.new"

var errTwoIndexes = errors.New("the disk failed while the index was archived: start again")

// retire begins the index anew when most of what it tells is of recordings
// long
// deleted, so that a seat starts as fast in its fifth year as on its first
// day. The old files stay as archive.NNNNNN. Any trouble leaves all as it was.
func (v *Vault) retire() error {
	gone := v.base
	for gone+1 < v.next && v.entries[gone+1].State == Deleted {
		gone++
	}
	if gone-v.base < uint64(v.cfg.Retire) {
		return nil
	}
	for seq := gone + 1; seq < v.next; seq++ {
		if v.entries[seq].Doubt {
			return nil // the damage stays in sight
		}
	}
	old := v.idx.gen
	if err := v.rewrite(gone); errors.Is(err, errTwoIndexes) {
		return err
	} else if err != nil {
		v.log.Warn("index is not archived", "err", err)
		return nil
	}
	for g := 1; g <= old; g++ {
		err := v.fs.Rename(indexName(g), fmt.Sprintf("archive.%06d", g))
		if err != nil && !missing(err) {
			v.log.Warn("old index stays", "file", indexName(g), "err", err)
		}
	}
	if err := v.fs.SyncDir(); err != nil {
		v.log.Warn("old index may come back", "err", err)
	}
	for seq := v.base + 1; seq <= gone; seq++ {
		delete(v.byID, v.entries[seq].ID)
		delete(v.entries, seq)
	}
	v.log.Info("index archived", "numbers up to", gone)
	v.base = gone
	return nil
}

// rewrite puts every entry above gone into a new index file, which stands for
// all older ones from the moment it has its name.
func (v *Vault) rewrite(gone uint64) error {
	f, err := v.fs.Open(indexNew, true)
	if err != nil {
		return err
	}
	x := &index{fs: v.fs, gen: v.idx.gen + 1, f: f, n: v.idx.n, base: gone, now: v.cfg.Now}
	refs := map[uint64][2]docRef{}
	fill := func() error {
		if err := f.Truncate(0); err != nil {
			return err
		}
		if _, err := x.put(indexRecord{What: whatStart, At: v.cfg.Now().UTC(), Seq: gone, On: true}); err != nil {
			return err
		}
		for seq := gone + 1; seq < v.next; seq++ {
			rs, err := v.records(v.entries[seq])
			if err != nil {
				return fmt.Errorf("entry %d: %w", seq, err)
			}
			var two [2]docRef
			for _, r := range rs {
				ref, err := x.put(r)
				if err != nil {
					return err
				}
				switch r.What {
				case whatSealed:
					two[0] = ref
				case whatReceipted:
					two[1] = ref
				}
			}
			refs[seq] = two
		}
		return nil
	}
	err = fill()
	if err == nil {
		err = v.fs.Rename(indexNew, indexName(x.gen))
	}
	if err != nil {
		v.fs.Remove(indexNew)
		return errors.Join(err, f.Close())
	}
	if err := v.fs.SyncDir(); err != nil {
		// Which of the two indexes the next start will find is not known, so
		// neither may be written.
		return errors.Join(fmt.Errorf("%w: %w", errTwoIndexes, err), f.Close())
	}
	if err := v.idx.close(); err != nil {
		v.log.Warn("old index", "err", err)
	}
	v.idx = x
	for seq, two := range refs {
		v.entries[seq].manifest, v.entries[seq].receipt = two[0], two[1]
	}
	return nil
}

// records that make an entry what it is.
func (v *Vault) records(e *entry) ([]indexRecord, error) {
	if e.State == Missing {
		return []indexRecord{{What: whatMissing, At: e.Started, Seq: e.Seq}}, nil
	}
	rs := []indexRecord{{What: whatCreated, At: e.Started, Seq: e.Seq, ID: e.ID}}
	add := func(r indexRecord) {
		r.At, r.Seq, r.ID = v.cfg.Now().UTC(), e.Seq, e.ID
		rs = append(rs, r)
	}
	for _, d := range []struct {
		what what
		ref  docRef
	}{{whatSealed, e.manifest}, {whatReceipted, e.receipt}} {
		if d.ref == (docRef{}) {
			continue
		}
		doc, err := v.idx.document(d.ref)
		if err != nil {
			return nil, err
		}
		r := indexRecord{What: d.what, Doc: string(doc)}
		if d.what == whatReceipted {
			r.Received, r.RetainUntil = &e.Received, &e.RetainUntil
		}
		add(r)
	}
	if e.Hold {
		add(indexRecord{What: whatHold, On: true})
	}
	if e.State == Deleted {
		add(indexRecord{What: whatDeleted})
	}
	return slices.Clip(rs), nil
}
