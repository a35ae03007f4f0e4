package centre_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"deskset/firmware/centre"
	"deskset/firmware/centre/audit"
	"deskset/firmware/centre/centretest"
)

// A centre that burnt down comes back: the same keys, the seats connect by
// themselves and take its new policies, and old recordings open.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	for name, pass := range map[string]string{"encrypted": "correct horse", "plain": ""} {
		t.Run(name, func(t *testing.T) {
			e := centretest.New(t)
			s := e.Enrol(t, "S-0001")
			unused := e.Token(t, "S-0002")
			d := centretest.NewDisk()
			rec := centretest.Make(t, centretest.SpecFor(s, 1))
			d.Add(rec)
			deliver(t, e, s, d)
			var b bytes.Buffer
			if err := e.Centre.Backup(t.Context(), &b, centre.BackupOptions{Passphrase: pass, WorkFactor: 4}); err != nil {
				t.Fatal(err)
			}
			if encrypted := !bytes.Contains(b.Bytes(), []byte("PRIVATE KEY")); encrypted != (pass != "") {
				t.Fatal("encrypted:", encrypted)
			}
			// A policy is given out after the backup; then the machine burns.
			f, err := e.Centre.Settings()
			if err != nil {
				t.Fatal(err)
			}
			f.Dial.Internal = []string{"8001"}
			if err := centre.WriteSettings(e.Dir, f); err != nil {
				t.Fatal(err)
			}
			v, _, err := e.Centre.Roster.Policy(t.Context(), "S-0001")
			if err != nil {
				t.Fatal(err)
			}
			e.Stop()

			log := centretest.Log(t)
			if _, err := centre.Restore(t.Context(), e.Dir, bytes.NewReader(b.Bytes()), pass, time.Now, log); err == nil {
				t.Fatal("restored over a centre")
			}
			dir := filepath.Join(t.TempDir(), "new")
			if pass != "" {
				for _, wrong := range []string{"", "wrong"} {
					if _, err := centre.Restore(t.Context(), dir, bytes.NewReader(b.Bytes()), wrong, time.Now, log); !errors.Is(err, centre.ErrPassphrase) {
						t.Fatalf("passphrase %q: %v", wrong, err)
					}
				}
			}
			for _, n := range []int{0, 10, b.Len() / 2, b.Len() - 1} {
				if _, err := centre.Restore(t.Context(), dir, bytes.NewReader(b.Bytes()[:n]), pass, time.Now, log); err == nil {
					t.Fatalf("restored from %d of %d bytes", n, b.Len())
				}
				if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
					t.Fatal("something is left over", err)
				}
			}
			c, err := centre.Restore(t.Context(), dir, bytes.NewReader(b.Bytes()), pass, time.Now, log)
			if err != nil {
				t.Fatal(err)
			}
			if c.Keys.Fingerprint() == "" || !bytes.Equal(c.Keys.CA(), e.CA) {
				t.Fatal("another CA")
			}
			if err := os.CopyFS(filepath.Join(dir, "data", "rec"), os.DirFS(filepath.Join(e.Dir, "data", "rec"))); err != nil {
				t.Fatal(err)
			}
			again := &centretest.Env{Dir: dir, CA: e.CA, Key: e.Key, Voice: e.Voice}
			again.Default(t)
			again.Serve(t, "127.0.0.1:0")
			s.Connect(t, again)
			ln := stream(t, again, s)
			p := recv(t, "policy after the restore", ln.policies)
			if p.Version <= v {
				t.Errorf("version %d after %d: the seat would refuse it", p.Version, v)
			}
			if err := enrol(t, again, unused, newKey(t)); err == nil {
				t.Error("a token came alive again")
			}
			next := centretest.Make(t, centretest.SpecFor(s, 2))
			d.Add(next)
			deliver(t, again, s, d)
			ok, err := audit.Verify(t.Context(), again.Centre.Audit(), e.Key, audit.Filter{}, nil)
			if err != nil || len(ok.Faults) > 0 || ok.Recordings != 2 || len(ok.Warnings) > 0 {
				t.Errorf("%+v %v", ok, err)
			}
			x, err := audit.Export(t.Context(), audit.ExportConfig{Source: again.Centre.Audit(), Centre: e.Key, Key: e.Voice, Out: t.TempDir()}, rec.Manifest.ID)
			if err != nil || !x.Clean {
				t.Errorf("%+v %v", x, err)
			}
		})
	}
}

// A backup is not trusted with where its files go.
func TestHostileBackups(t *testing.T) {
	t.Parallel()
	head := `{"format":"deskset-centre-backup/1","centre":"c","ca_sha256":"","made":"2026-01-01T00:00:00Z"}`
	for name, entries := range map[string][]tar.Header{
		"outside":      {{Name: "../evil", Typeflag: tar.TypeReg}},
		"absolute":     {{Name: "/etc/evil", Typeflag: tar.TypeReg}},
		"strange name": {{Name: "keys/../../evil.key", Typeflag: tar.TypeReg}},
		"link":         {{Name: "keys/ca.key", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}},
		"twice":        {{Name: "centre.toml", Typeflag: tar.TypeReg}, {Name: "centre.toml", Typeflag: tar.TypeReg}},
		"a recording":  {{Name: "data/rec/aa/x", Typeflag: tar.TypeReg}},
		"not a centre": {},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		add := func(h tar.Header, text string) {
			h.Size, h.Mode = int64(len(text)), 0o600
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		add(tar.Header{Name: "backup.json", Typeflag: tar.TypeReg}, head)
		for _, h := range entries {
			add(h, "")
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "a", "b")
		if _, err := centre.Restore(t.Context(), dir, &b, "", time.Now, centretest.Log(t)); err == nil {
			t.Errorf("%s: restored", name)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "*")); len(left) > 0 {
			t.Errorf("%s: left over %v", name, left)
		}
	}
}

func FuzzRestore(f *testing.F) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := `{"format":"deskset-centre-backup/1"}`
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "backup.json", Size: int64(len(text)), Typeflag: tar.TypeReg})); err != nil {
		f.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("age-encryption.org/v1\n-> scrypt"))
	f.Fuzz(func(t *testing.T, b []byte) {
		top := t.TempDir()
		dir := filepath.Join(top, "a", "centre")
		if _, err := centre.Restore(t.Context(), dir, bytes.NewReader(b), "x", time.Now, centretest.Log(t)); err == nil {
			t.Fatal("restored a centre without keys")
		}
		if left, _ := filepath.Glob(filepath.Join(top, "*")); len(left) > 1 {
			t.Fatal(left)
		}
	})
}
