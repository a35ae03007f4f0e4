package soundcard

import (
	"errors"
	"fmt"
	"time"

	"github.com/gen2brain/malgo"
)

// Device is a sound device as a configuration may name it.
type Device struct {
	ID                string // the value for Config.Capture or Config.Playback
	Name              string // for people
	Capture, Playback bool
	// Monitor marks a capture device that hears a loudspeaker; New refuses it.
	Monitor bool
}

// listLimit bounds a listing: a stopped server answers never.
const listLimit = 3 * time.Second

// errNoAnswer is returned by List when the sound server does not answer in time.
var errNoAnswer = errors.New("the sound server does not answer")

// List returns the devices of a backend. For "pulse" it asks the user's server,
// as PULSE_SERVER and its like tell.
func List(backend string) ([]Device, error) {
	switch backend {
	case Virtual:
		return []Device{{ID: Virtual, Name: "virtual headset", Capture: true, Playback: true}}, nil
	case ALSA:
		return listALSA()
	case Pulse:
		type result struct {
			all []Device
			err error
		}
		got := make(chan result, 1)
		go func() {
			all, err := listPulse()
			got <- result{all, err}
		}()
		select {
		case r := <-got:
			return r.all, r.err
		case <-time.After(listLimit):
			return nil, errNoAnswer
		}
	}
	return nil, fmt.Errorf("sound backend %q: want %q, %q or %q", backend, ALSA, Pulse, Virtual)
}

func listPulse() ([]Device, error) {
	ctx, err := openContext(Pulse, "")
	if err != nil {
		return nil, err
	}
	defer closeContext(ctx)
	var out []Device
	for _, kind := range []malgo.DeviceType{malgo.Capture, malgo.Playback} {
		all, err := ctx.Devices(kind)
		if err != nil {
			return nil, fmt.Errorf("list PulseAudio's devices: %w", err)
		}
		for i := range all {
			id := idText(all[i].ID)
			out = append(out, Device{
				ID: id, Name: all[i].Name(),
				Capture: kind == malgo.Capture, Playback: kind == malgo.Playback,
				Monitor: isMonitor(id),
			})
		}
	}
	return out, nil
}
