package soundcard

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const cardsText = ` 0 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0
                      vc4-hdmi-0
 1 [E20            ]: USB-Audio - Jabra EVOLVE 20
                      GN Netcom A/S Jabra EVOLVE 20 at usb-0000:01:00.0-1.2, full speed
 2 [3              ]: USB-Audio - called by a number
`

const pcmText = `00-00: MAI PCM i2s-hifi-0 : MAI PCM i2s-hifi-0 : playback 1
01-00: USB Audio : USB Audio : playback 1 : capture 1
02-00: USB Audio : USB Audio : capture 1
07-00: nobody : nobody : capture 1
`

func TestParseALSA(t *testing.T) {
	got, err := parseALSA(strings.NewReader(cardsText), strings.NewReader(pcmText))
	if err != nil {
		t.Fatal(err)
	}
	want := []Device{
		{ID: "hw:CARD=vc4hdmi0,DEV=0", Name: "vc4-hdmi-0", Playback: true},
		{ID: "hw:CARD=E20,DEV=0", Name: "Jabra EVOLVE 20", Capture: true, Playback: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	none, err := parseALSA(strings.NewReader("--- no soundcards ---\n"), strings.NewReader(""))
	if err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
}

func FuzzParseALSA(f *testing.F) {
	f.Add(cardsText, pcmText)
	f.Fuzz(func(t *testing.T, cards, pcms string) {
		all, err := parseALSA(strings.NewReader(cards), strings.NewReader(pcms))
		if err != nil {
			return
		}
		for _, d := range all {
			if err := checkID(ALSA, d.ID); err != nil {
				t.Errorf("listed, but %v", err)
			}
		}
	})
}

func TestAboutSound(t *testing.T) {
	for msg, want := range map[string]bool{
		"add@/devices/x/sound/card1\x00ACTION=add\x00SUBSYSTEM=sound\x00SEQNUM=1\x00": true,
		"add@/devices/x\x00ACTION=add\x00SUBSYSTEM=block\x00":                         false,
		"": false,
	} {
		if aboutSound([]byte(msg)) != want {
			t.Errorf("%q", msg)
		}
	}
}

// alsaLab lets libasound's "hw" lead to a lab's PulseAudio, and a directory
// stand for the kernel's list of cards.
func alsaLab(t *testing.T) (*pulseLab, *Card, string) {
	t.Helper()
	plugins, _ := filepath.Glob("/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so")
	if len(plugins) == 0 {
		if os.Getenv("DESKSET_FULL") == "1" {
			t.Fatal("libasound's pulse plug-in is needed (Debian: apt install libasound2-plugins)")
		}
		t.Skip("libasound2-plugins is not installed")
	}
	l := newPulseLab(t)
	conf := filepath.Join(l.dir, "asound.conf")
	text := `pcm.hw {
	@args [ CARD DEV ]
	@args.CARD { type string }
	@args.DEV { type integer }
	type pulse
	server "` + l.server + `"
	device $CARD
	fallback "none"
}
`
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ALSA_CONFIG_PATH", conf)
	cards := filepath.Join(l.dir, "asound")
	if err := os.Mkdir(cards, 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Backend: ALSA, Capture: "hw:CARD=mic,DEV=0", Playback: "hw:CARD=ear,DEV=0"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	c.opener.(*hardware).cards = cards
	return l, c, cards
}

func plugCard(t *testing.T, cards string, in bool) {
	t.Helper()
	for _, id := range []string{"mic", "ear"} {
		name := filepath.Join(cards, id)
		var err error
		if in {
			err = os.WriteFile(name, nil, 0o600)
		} else {
			err = os.Remove(name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestALSAUnplug takes the card away under libasound and gives it back.
func TestALSAUnplug(t *testing.T) {
	l, c, cards := alsaLab(t)
	l.sing()
	defer run(t, c)()
	expect(t, c, Lost) // not plugged in yet
	plugCard(t, cards, true)
	j := judgeCard(t, c)
	expect(t, c, Back)
	j.next(t, 5*time.Second)
	if n := c.cur.Load().direct.Load(); n != 2 {
		t.Errorf("%d devices call C directly", n)
	}
	var lost, back []time.Duration
	for range 3 {
		began := time.Now()
		plugCard(t, cards, false)
		l.unload(plugMic)
		l.unload(plugEar)
		expect(t, c, Lost)
		lost = append(lost, time.Since(began))
		j.after(20)
		l.load(plugMic)
		l.load(plugEar)
		began = time.Now()
		plugCard(t, cards, true)
		expect(t, c, Back)
		j.next(t, 5*time.Second)
		back = append(back, time.Since(began))
	}
	t.Logf("lost after %v; sound again after %v; %+v", lost, back, c.Stats())
	if n := c.Stats().Abandoned; n != 0 {
		t.Errorf("%d devices did not close", n)
	}
	if d := time.Duration(j.longest.Load()); d > time.Second {
		t.Errorf("the pace stood still for %v", d)
	}
}
