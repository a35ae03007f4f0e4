package vault_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/vault"
)

// sectorsWritten to a block device since the machine started, 512 bytes each
// (Documentation/admin-guide/iostats.rst, field 7).
func sectorsWritten(t *testing.T, dev string) int64 {
	t.Helper()
	b, err := os.ReadFile("/sys/block/" + dev + "/stat")
	if err != nil {
		t.Skip(err)
	}
	n, err := strconv.ParseInt(strings.Fields(string(b))[6], 10, 64)
	if err != nil {
		t.Skip(err)
	}
	return n
}

// TestDeviceBytes measures what one minute of voice costs the disk, against its
// padded segments. It needs a quiet machine: DESKSET_DEVICE names the block
// device under DESKSET_DIR.
func TestDeviceBytes(t *testing.T) {
	dev, dir := os.Getenv("DESKSET_DEVICE"), os.Getenv("DESKSET_DIR")
	if dev == "" || dir == "" {
		t.Skip("set DESKSET_DEVICE and DESKSET_DIR to measure")
	}
	for _, slabs := range []vault.Slabs{vault.DefaultSlabs(), {Voice: 1, Facts: 1}} {
		cfg := osConfig(dir + "/v" + strconv.Itoa(slabs.VoiceKeep))
		cfg.Slabs = slabs
		v, err := vault.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() { ran <- v.Run(t.Context()) }()
		for range 2 { // the first call makes the index
			time.Sleep(3 * time.Second) // slabs are made
			wrote, padded := oneMinute(t, v, dev)
			t.Logf("slabs %d: %d bytes to the device, %d in padded segments and headers: %.2f",
				slabs.VoiceKeep, wrote, padded, float64(wrote)/float64(padded))
		}
		if err := v.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// oneMinute of voice, ten times as fast, in bytes.
func oneMinute(t *testing.T, v *vault.Vault, dev string) (wrote, padded int64) {
	r, err := v.Create(keys().to)
	if err != nil {
		t.Fatal(err)
	}
	before := sectorsWritten(t, dev)
	r.Facts([]byte("offered"))
	for range 60 {
		r.Voice(make([]byte, 6300), time.Second)
		time.Sleep(100 * time.Millisecond)
	}
	m, err := r.Close(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wrote = (sectorsWritten(t, dev) - before) * 512
	for _, p := range m.Parts {
		padded += p.Size
		if p.Kind == fleet.Voice && p.Segments < 60 {
			t.Fatalf("%+v", p)
		}
	}
	return wrote, padded
}
