package vault_test

import (
	"testing"

	"deskset/firmware/vault"
	"deskset/firmware/vault/crashfs"
)

// FuzzIndex opens a vault on an index of any bytes: it must open, keep its
// numbers gap-free and go on.
func FuzzIndex(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		d := crashfs.New()
		d.WriteFile("index.000001", b)
		v, err := vault.Open(config(d))
		if err != nil {
			return // a number beyond all reason
		}
		l := v.List()
		for i := 1; i < len(l); i++ {
			if l[i].Seq != l[i-1].Seq+1 {
				t.Fatalf("number %d follows %d", l[i].Seq, l[i-1].Seq)
			}
		}
		if err := v.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
