package soundcard

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// The names of the backends.
const (
	ALSA    = "alsa"
	Pulse   = "pulse"
	Virtual = "virtual"
)

// Config says which headset to open and how.
type Config struct {
	// Backend is "alsa", "pulse" or "virtual".
	Backend string
	// Capture and Playback are ids as List gives them, for example
	// "hw:CARD=Headset,DEV=0". The virtual backend needs none.
	Capture, Playback string
	// PeriodMs is the length of one device period, 5 to 40; 0 means 10, and
	// 20 for the virtual backend, which gains nothing by waking more often.
	PeriodMs int
	// EarChannels is 1 or 2 (the same sound on both); 0 means 1, which the
	// backend spreads over the headset's channels itself.
	EarChannels int
	// Server is the PulseAudio server, for example "unix:/run/pulse/native";
	// empty means the user's own.
	Server string

	// MicFile is played as the microphone by the virtual backend: 16-bit WAV of
	// any rate. Empty means silence.
	MicFile string
	// MicOnce plays MicFile once, then silence, instead of in a loop.
	MicOnce bool
	// EarFile gets what the virtual ear heard, 48 kHz mono WAV. Empty: nowhere.
	EarFile string
}

// ErrID is wrapped by New's refusal of a device id.
var ErrID = errors.New("device id refused")

func (c *Config) check() error {
	if c.PeriodMs == 0 {
		c.PeriodMs = 10
		if c.Backend == Virtual {
			c.PeriodMs = 20
		}
	}
	if c.EarChannels == 0 {
		c.EarChannels = 1
	}
	if c.PeriodMs < 5 || c.PeriodMs > 40 {
		return fmt.Errorf("sound card period of %d ms: want 5 to 40", c.PeriodMs)
	}
	if c.EarChannels != 1 && c.EarChannels != 2 {
		return fmt.Errorf("sound card with %d ear channels: want 1 or 2", c.EarChannels)
	}
	switch c.Backend {
	case Virtual:
		return nil
	case ALSA, Pulse:
	default:
		return fmt.Errorf("sound backend %q: want %q, %q or %q", c.Backend, ALSA, Pulse, Virtual)
	}
	if err := checkID(c.Backend, c.Capture); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	if err := checkID(c.Backend, c.Playback); err != nil {
		return fmt.Errorf("playback: %w", err)
	}
	return nil
}

// An ALSA id must name its card: a number goes to whichever card comes first
// after a replug, and plug-ins other than hw lead elsewhere.
var alsaID = regexp.MustCompile(`^(?:plug)?hw:CARD=([A-Za-z0-9_-]{1,15}),DEV=([0-9]{1,2})$`)

// A PulseAudio name as the server itself allows it (pulsecore/namereg.c).
var pulseID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// A monitor's name, also with the number that the server appends to a twin.
var monitorID = regexp.MustCompile(`\.monitor(\.[0-9]+)?$`)

var digits = regexp.MustCompile(`^[0-9]+$`)

func checkID(backend, id string) error {
	refuse := func(why string) error {
		return fmt.Errorf("%w: %q %s; `deskset devices` lists the ids", ErrID, id, why)
	}
	switch {
	case id == "":
		return refuse("is empty, and no default device is ever used")
	case isDefault(id):
		return refuse("means whatever device there is")
	case isMonitor(id):
		return refuse("is the monitor of a loudspeaker, not a microphone")
	}
	if backend == ALSA {
		m := alsaID.FindStringSubmatch(id)
		if m == nil {
			return refuse("does not name its card: want hw:CARD=<name>,DEV=<n>")
		}
		if digits.MatchString(m[1]) {
			return refuse("names its card by a number, which changes when it is plugged in again")
		}
		return nil
	}
	if !pulseID.MatchString(id) {
		return refuse("is no PulseAudio name")
	}
	if digits.MatchString(id) {
		return refuse("is an index, which changes when the device is plugged in again")
	}
	return nil
}

func isDefault(id string) bool {
	l := strings.ToLower(id)
	return l == "default" || l == "null" || l == "pulse" || l == "pipewire" || l == "jack" ||
		strings.HasPrefix(l, "sysdefault") || strings.HasPrefix(l, "default:") || strings.HasPrefix(l, "@")
}

func isMonitor(id string) bool { return monitorID.MatchString(strings.ToLower(id)) }
