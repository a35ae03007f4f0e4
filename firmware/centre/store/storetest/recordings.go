package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/iotest"

	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
)

const (
	idA = "0f8fad5b-d9cb-469f-a165-70867728950e"
	idB = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
)

var voice = store.PartKey{N: 1, Kind: fleet.Voice}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want %v", err, target)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func recordings(t *testing.T, f Factory) {
	ctx := context.Background()
	body := bytes.Repeat([]byte("sealed bytes "), 20_000)

	t.Run("documents", func(t *testing.T) {
		open := f(t)
		r := open().Recordings
		_, err := r.Doc(ctx, idA, store.Manifest)
		want(t, err, store.ErrNotFound)
		ok(t, r.PutDoc(ctx, idA, store.Manifest, []byte("one")))
		ok(t, r.PutDoc(ctx, idA, store.Manifest, []byte("one")))
		want(t, r.PutDoc(ctx, idA, store.Manifest, []byte("two")), store.ErrConflict)
		got, err := open().Recordings.Doc(ctx, idA, store.Manifest)
		ok(t, err)
		if string(got) != "one" {
			t.Fatalf("got %q", got)
		}
		if r.PutDoc(ctx, idA, store.Doc("../../x"), nil) == nil {
			t.Fatal("a document of another name was taken")
		}
		if r.PutDoc(ctx, idA, store.VCon, make([]byte, store.MaxDoc+1)) == nil {
			t.Fatal("a document that is too large was taken")
		}
	})

	t.Run("ids", func(t *testing.T) {
		r := f(t)().Recordings
		for _, id := range []string{"", "x", "../../../etc/passwd", "0F8FAD5B-D9CB-469F-A165-70867728950E", idA + "/..", idA + "\x00", "{" + idA + "}", "urn:uuid:" + idA} {
			if r.PutDoc(ctx, id, store.Manifest, []byte("x")) == nil {
				t.Errorf("id %q was taken for a document", id)
			}
			if _, err := r.Append(ctx, id, voice, 0, bytes.NewReader(body)); err == nil {
				t.Errorf("id %q was taken for a part", id)
			}
			if _, err := r.Open(ctx, id, voice); err == nil {
				t.Errorf("id %q was opened", id)
			}
		}
		if _, err := r.Append(ctx, idA, store.PartKey{N: 1, Kind: "../x"}, 0, bytes.NewReader(body)); err == nil {
			t.Error("a part of an unknown kind was taken")
		}
		if _, err := r.Append(ctx, idA, store.PartKey{N: -1, Kind: fleet.Voice}, 0, bytes.NewReader(body)); err == nil {
			t.Error("a negative part number was taken")
		}
		got, err := r.List(ctx)
		ok(t, err)
		if len(got) != 0 {
			t.Fatalf("refused things are listed: %v", got)
		}
	})

	t.Run("append, finish, open", func(t *testing.T) {
		open := f(t)
		r := open().Recordings
		n, done, err := r.Have(ctx, idA, voice)
		if n != 0 || done || err != nil {
			t.Fatalf("have %d %v %v of nothing", n, done, err)
		}
		_, err = r.Open(ctx, idA, voice)
		want(t, err, store.ErrNotFound)
		_, err = r.Append(ctx, idA, voice, 5, bytes.NewReader(body))
		want(t, err, store.ErrOffset)
		half := int64(len(body) / 2)
		n, err = r.Append(ctx, idA, voice, 0, iotest.OneByteReader(bytes.NewReader(body[:1000])))
		if n != 1000 || err != nil {
			t.Fatal(n, err)
		}
		n, err = r.Append(ctx, idA, voice, 1000, bytes.NewReader(body[1000:half]))
		if n != half || err != nil {
			t.Fatal(n, err)
		}
		n, err = r.Append(ctx, idA, voice, 0, bytes.NewReader(body))
		want(t, err, store.ErrOffset)
		if n != half {
			t.Fatalf("held %d after a refused append", n)
		}
		r = open().Recordings
		n, done, err = r.Have(ctx, idA, voice)
		if n != half || done || err != nil {
			t.Fatalf("have %d %v %v after opening again", n, done, err)
		}
		_, err = r.Open(ctx, idA, voice)
		want(t, err, store.ErrNotFound)
		_, err = r.Append(ctx, idA, voice, half, bytes.NewReader(body[half:]))
		ok(t, err)
		ok(t, r.Finish(ctx, idA, voice, int64(len(body)), sum(body)))
		ok(t, r.Finish(ctx, idA, voice, int64(len(body)), sum(body)))
		want(t, r.Finish(ctx, idA, voice, int64(len(body)), sum(nil)), store.ErrConflict)
		_, err = r.Append(ctx, idA, voice, int64(len(body)), bytes.NewReader(body))
		want(t, err, store.ErrOffset)
		r = open().Recordings
		n, done, err = r.Have(ctx, idA, voice)
		if n != int64(len(body)) || !done || err != nil {
			t.Fatalf("have %d %v %v of a finished part", n, done, err)
		}
		p, err := r.Open(ctx, idA, voice)
		ok(t, err)
		defer p.Close()
		got, err := io.ReadAll(io.NewSectionReader(p, 0, p.Size()))
		ok(t, err)
		if !bytes.Equal(got, body) {
			t.Fatal("the bytes came back changed")
		}
	})

	t.Run("wrong hash drops the bytes", func(t *testing.T) {
		r := f(t)().Recordings
		want(t, r.Finish(ctx, idA, voice, 1, sum(nil)), store.ErrNotFound)
		_, err := r.Append(ctx, idA, voice, 0, bytes.NewReader(body))
		ok(t, err)
		want(t, r.Finish(ctx, idA, voice, int64(len(body)), sum([]byte("other"))), store.ErrHash)
		n, done, err := r.Have(ctx, idA, voice)
		if n != 0 || done || err != nil {
			t.Fatalf("have %d %v %v after a wrong hash", n, done, err)
		}
		_, err = r.Append(ctx, idA, voice, 0, bytes.NewReader(body))
		ok(t, err)
		want(t, r.Finish(ctx, idA, voice, int64(len(body))-1, sum(body)), store.ErrHash)
	})

	t.Run("a reader that breaks keeps what came", func(t *testing.T) {
		r := f(t)().Recordings
		boom := errors.New("line cut")
		n, err := r.Append(ctx, idA, voice, 0, io.MultiReader(bytes.NewReader(body[:100_000]), iotest.ErrReader(boom)))
		want(t, err, boom)
		have, _, herr := r.Have(ctx, idA, voice)
		ok(t, herr)
		if n != have || have > 100_000 {
			t.Fatalf("append said %d, have says %d", n, have)
		}
		_, err = r.Append(ctx, idA, voice, have, bytes.NewReader(body[have:]))
		ok(t, err)
		ok(t, r.Finish(ctx, idA, voice, int64(len(body)), sum(body)))
	})

	t.Run("two writers of one part", func(t *testing.T) {
		r := f(t)().Recordings
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 8 {
			wg.Go(func() {
				_, err := r.Append(ctx, idA, voice, 0, bytes.NewReader(body))
				if err != nil && !errors.Is(err, store.ErrOffset) {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					won++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Fatalf("%d writers won", won)
		}
		ok(t, r.Finish(ctx, idA, voice, int64(len(body)), sum(body)))
	})

	t.Run("list", func(t *testing.T) {
		r := f(t)().Recordings
		ok(t, r.PutDoc(ctx, idB, store.Manifest, []byte("b")))
		ok(t, r.PutDoc(ctx, idA, store.Manifest, []byte("a")))
		got, err := r.List(ctx)
		ok(t, err)
		if !slices.Equal(got, []string{idA, idB}) {
			t.Fatalf("listed %v", got)
		}
		if n, err := r.Free(ctx); n <= 0 || err != nil {
			t.Fatal(n, err)
		}
	})

	t.Run("erase", func(t *testing.T) {
		open := f(t)
		r := open().Recordings
		ok(t, r.PutDoc(ctx, idA, store.Manifest, []byte("m")))
		ok(t, r.PutDoc(ctx, idA, store.VCon, []byte("names persons")))
		ok(t, r.PutDoc(ctx, idA, store.Receipt, []byte("r")))
		_, err := r.Append(ctx, idA, voice, 0, bytes.NewReader(body))
		ok(t, err)
		ok(t, r.Finish(ctx, idA, voice, int64(len(body)), sum(body)))
		want(t, r.Erase(ctx, idA), store.ErrConflict)
		_, err = r.Doc(ctx, idA, store.VCon)
		ok(t, err)
		ok(t, r.PutDoc(ctx, idA, store.Tombstone, []byte("t")))
		ok(t, r.Erase(ctx, idA))
		ok(t, r.Erase(ctx, idA))
		r = open().Recordings
		_, err = r.Open(ctx, idA, voice)
		want(t, err, store.ErrNotFound)
		_, err = r.Doc(ctx, idA, store.VCon)
		want(t, err, store.ErrNotFound)
		for _, d := range []store.Doc{store.Manifest, store.Receipt, store.Tombstone} {
			if _, err := r.Doc(ctx, idA, d); err != nil {
				t.Errorf("%s is gone: %v", d, err)
			}
		}
	})
}
