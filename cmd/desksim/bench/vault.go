package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/vault"
	"deskset/firmware/vault/sealed"
)

// vaultSeconds of voice are stored in one run, as fast as the disk takes them.
const vaultSeconds = 120

// pageBytes is what a second of both ways at 24 kbit/s comes to in Ogg.
const pageBytes = 6300

// Vault is the benchmark "vault": a recording sealed and synced page by page
// beside a plain file to which the same pages are appended and synced.
func Vault(ctx context.Context, o Options) (r Report, err error) {
	d, derr := mountDisk(ctx, o.Dir)
	if derr != nil {
		r.note("no disk of its own (%v): bytes to the device are missing", derr)
	}
	defer func() { err = errors.Join(err, d.unmount()) }()
	dir := filepath.Join(o.Dir, "seat")
	v, stop, err := openVault(ctx, filepath.Join(dir, "vault"))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := pause(ctx, 3*time.Second); err != nil { // slabs are made
		return r, err
	}
	var ms, plainMs, bytes, plainBytes, padded []float64
	for i := range o.Runs {
		o.Say("run %d", i+1)
		w0 := d.written()
		t, p, err := sealPages(ctx, v)
		if err != nil {
			return r, err
		}
		ms, padded = append(ms, t), append(padded, p)
		bytes = append(bytes, (d.written()-w0)/vaultSeconds)
		w0 = d.written()
		if t, err = plainPages(filepath.Join(dir, fmt.Sprintf("plain-%d", i))); err != nil {
			return r, err
		}
		plainMs, plainBytes = append(plainMs, t), append(plainBytes, (d.written()-w0)/vaultSeconds)
		if err := pause(ctx, 3*time.Second); err != nil { // new slabs
			return r, err
		}
	}
	const peer = "plain file, appended and fdatasync"
	r.add("a second of voice on the disk", "ms", ms, peer, plainMs)
	if d != nil {
		r.add("written to the device, a second of voice", "byte", bytes, peer, plainBytes)
		r.add("written to the device, a second of voice", "byte", bytes, "padded segments", padded)
	}
	r.note("%d pages of %d bytes a run, one sync each, on an ext4 of its own", vaultSeconds, pageBytes)
	return r, nil
}

func openVault(ctx context.Context, dir string) (*vault.Vault, func() error, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	v, err := vault.Open(vault.Config{Dir: dir, Seat: "S-0001", Firmware: "bench", Signer: key, Now: time.Now})
	if err != nil {
		return nil, nil, err
	}
	run, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- v.Run(run) }()
	return v, func() error {
		end, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		err := v.Close(end)
		stop()
		<-ran
		return err
	}, nil
}

// sealPages stores a recording and returns the ms and the padded bytes a page.
func sealPages(ctx context.Context, v *vault.Vault) (ms, padded float64, err error) {
	var to vault.Recipients
	for _, x := range []struct {
		use  sealed.Use
		list *[]fleet.Recipient
	}{{sealed.Online, &to.Facts}, {sealed.Offline, &to.Voice}, {sealed.Offline, &to.Voice}} {
		k, err := sealed.GenerateKey(x.use)
		if err != nil {
			return 0, 0, err
		}
		*x.list = append(*x.list, k.Public().Recipient())
	}
	rec, err := v.Create(to)
	if err != nil {
		return 0, 0, err
	}
	rec.VoiceHead(func() []byte { return make([]byte, 100) })
	page := make([]byte, pageBytes)
	began := time.Now()
	for range vaultSeconds {
		rec.Voice(page, time.Second)
		for rec.Backlog() > 0 { // one at a time, as a call brings them
			if err := ctx.Err(); err != nil {
				return 0, 0, err
			}
			time.Sleep(20 * time.Microsecond)
		}
	}
	took := time.Since(began)
	m, err := rec.Close(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, p := range m.Parts {
		padded += float64(p.Size)
	}
	return float64(took) / float64(time.Millisecond) / vaultSeconds, padded / vaultSeconds, nil
}

func plainPages(name string) (ms float64, err error) {
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	page := make([]byte, pageBytes)
	began := time.Now()
	for range vaultSeconds {
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := fdatasync(f); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(began)) / float64(time.Millisecond) / vaultSeconds, nil
}
