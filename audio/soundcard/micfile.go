package soundcard

import (
	"bufio"
	"fmt"
	"os"

	"deskset/audio/pcm"
	"deskset/audio/resample"
)

// loadMic reads a WAV file of any rate as 48 kHz mono.
func loadMic(name string) ([]int16, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	w, err := pcm.ReadWAV(bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if w.Rate == pcm.Rate {
		return w.Mono(), nil
	}
	mic, err := resample.Whole(w.Mono(), w.Rate, pcm.Rate)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return mic, nil
}
