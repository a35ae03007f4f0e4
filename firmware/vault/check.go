package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"deskset/firmware/fleet"
)

// Report of Check, in words for a person. Lines is empty when all is well.
type Report struct {
	Recordings int // in the index
	Parts      int // looked at
	Lines      []string
}

// OK says that nothing was found.
func (r Report) OK() bool { return len(r.Lines) == 0 }

// Check the store against its index: what Open found, and for every recording
// that is not deleted whether each part is there in its length. With deep each
// byte is read and hashed.
func (v *Vault) Check(ctx context.Context, deep bool) Report {
	v.mu.Lock()
	rep := Report{Lines: append([]string(nil), v.faults...)}
	v.mu.Unlock()
	if all, err := v.fs.List(); err != nil {
		rep.Lines = append(rep.Lines, fmt.Sprintf("the directory cannot be read: %v", err))
	} else {
		for _, i := range all {
			if strings.HasPrefix(i.Name, "aside.") {
				rep.Lines = append(rep.Lines, i.Name+" was set aside because its header is damaged; ask IT before it is removed")
			}
		}
	}
	for _, e := range v.List() {
		if ctx.Err() != nil {
			rep.Lines = append(rep.Lines, "the check was stopped before its end")
			return rep
		}
		rep.Recordings++
		if e.State == Missing {
			rep.Lines = append(rep.Lines, fmt.Sprintf("recording %d: lost by the index; report it to the centre", e.Seq))
		}
		if e.State != Sealed && e.State != Receipted {
			continue
		}
		for _, p := range e.Parts {
			rep.Parts++
			if err := v.checkPart(e, p.N, p.Kind, p.SHA256, deep); err != nil {
				next := "the centre has its own copy"
				if e.State == Sealed {
					next = "it is not at the centre yet: keep this seat's storage and tell IT"
				}
				rep.Lines = append(rep.Lines, fmt.Sprintf("recording %d: %v; %s", e.Seq, err, next))
			}
		}
	}
	return rep
}

func (v *Vault) checkPart(e Entry, n int, kind fleet.Kind, want string, deep bool) error {
	f, err := v.OpenPart(e.ID, n, kind)
	if err != nil || !deep {
		if err == nil {
			err = f.Close()
		}
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("part %d %s is damaged: its hash is not the manifest's", n, kind)
	}
	return nil
}
