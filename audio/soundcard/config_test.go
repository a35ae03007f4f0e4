package soundcard

import (
	"errors"
	"strings"
	"testing"
)

func TestIDs(t *testing.T) {
	for _, c := range []struct {
		backend, id string
		ok          bool
	}{
		{ALSA, "hw:CARD=Headset,DEV=0", true},
		{ALSA, "plughw:CARD=C-Media_1,DEV=12", true},
		{ALSA, "hw:CARD=20,DEV=0", false}, // a number, not a name
		{ALSA, "hw:1,0", false},
		{ALSA, ":0,0", false},
		{ALSA, "hw", false},
		{ALSA, "hw:CARD=Headset", false},
		{ALSA, "default", false},
		{ALSA, "sysdefault:CARD=Headset", false},
		{ALSA, "dsnoop:CARD=Headset,DEV=0", false},
		{ALSA, "pulse", false},
		{ALSA, "null", false},
		{ALSA, "", false},
		{ALSA, "hw:CARD=../../x,DEV=0", false},
		{Pulse, "alsa_input.usb-Jabra_EVOLVE_20-00.mono-fallback", true},
		{Pulse, "mic", true},
		{Pulse, "monitor", true},
		{Pulse, "alsa_output.usb-Jabra-00.analog-stereo.monitor", false},
		{Pulse, "x.MONITOR", false},
		{Pulse, "x.monitor.2", false},
		{Pulse, "@DEFAULT_SOURCE@", false},
		{Pulse, "@DEFAULT_MONITOR@", false},
		{Pulse, "Default", false},
		{Pulse, "3", false},
		{Pulse, "", false},
		{Pulse, "a b", false},
		{Pulse, strings.Repeat("x", 200), false},
	} {
		for _, cfg := range []Config{
			{Backend: c.backend, Capture: c.id, Playback: good[c.backend]},
			{Backend: c.backend, Capture: good[c.backend], Playback: c.id},
		} {
			_, err := New(cfg, quiet)
			if c.ok != (err == nil) || !c.ok && !errors.Is(err, ErrID) {
				t.Errorf("%s %q: %v", c.backend, c.id, err)
			}
		}
	}
}

var good = map[string]string{ALSA: "hw:CARD=H,DEV=0", Pulse: "mic"}

func TestConfig(t *testing.T) {
	for _, cfg := range []Config{
		{},
		{Backend: "jack"},
		{Backend: Virtual, PeriodMs: 4},
		{Backend: Virtual, PeriodMs: -10},
		{Backend: Virtual, EarChannels: 3},
		{Backend: Virtual, MicFile: "/nonexistent.wav"},
	} {
		if _, err := New(cfg, quiet); err == nil {
			t.Errorf("%+v taken", cfg)
		}
	}
	c, err := New(Config{Backend: Pulse, Capture: "mic", Playback: "ear"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if c.Unplug() == nil || c.Plug() == nil {
		t.Error("a real headset was unplugged by software")
	}
	if _, err := List("jack"); err == nil {
		t.Error("List of an unknown backend")
	}
	if all, err := List(Virtual); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := List(ALSA); err != nil { // a machine without cards is no error
		t.Error(err)
	}
}

func TestSocketPath(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		server string
		env    map[string]string
		want   string
		known  bool
	}{
		{"unix:/run/p/native", nil, "/run/p/native", true},
		{"/run/p/native", nil, "/run/p/native", true},
		{"tcp:host", nil, "", false},
		{"{abc}unix:/x", nil, "", false},
		{"unix:/a tcp:b", nil, "", false},
		{"", nil, "", false},
		{"", map[string]string{"PULSE_SERVER": "unix:/y"}, "/y", true},
		{"", map[string]string{"XDG_RUNTIME_DIR": dir}, "", false}, // nothing there
	} {
		got, known := socketPath(c.server, func(k string) string { return c.env[k] })
		if known != c.known || known && got != c.want {
			t.Errorf("%q %v: %q %v", c.server, c.env, got, known)
		}
	}
}
