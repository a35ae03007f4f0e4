package soundcard

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// asound is where the kernel lists its sound cards.
const asound = "/proc/asound"

// alsaThere tells whether the card of an id exists: the kernel keeps a link
// named by the card's id for as long as it does.
func alsaThere(dir, id string) bool {
	m := alsaID.FindStringSubmatch(id)
	if m == nil {
		return false
	}
	_, err := os.Lstat(filepath.Join(dir, m[1]))
	return err == nil
}

// " 1 [Headset        ]: USB-Audio - Jabra EVOLVE 20"
var cardLine = regexp.MustCompile(`^ *([0-9]{1,3}) \[([^\] ]{1,15}) *\]: [^ ]+ - (.+)$`)

// "01-00: USB Audio : USB Audio : playback 1 : capture 1"
var pcmLine = regexp.MustCompile(`^([0-9]+)-([0-9]+): `)

// parseALSA reads /proc/asound/cards and /proc/asound/pcm. Lines it does not
// understand are passed over: the kernel adds some for people to read.
func parseALSA(cards, pcms io.Reader) ([]Device, error) {
	type card struct{ id, name string }
	known := map[int]card{}
	sc := bufio.NewScanner(cards)
	for sc.Scan() {
		if m := cardLine.FindStringSubmatch(sc.Text()); m != nil {
			n, _ := strconv.Atoi(m[1])
			known[n] = card{m[2], m[3]}
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read the list of sound cards: %w", err)
	}
	var out []Device
	sc = bufio.NewScanner(pcms)
	for sc.Scan() {
		m := pcmLine.FindStringSubmatch(sc.Text())
		if m == nil {
			continue
		}
		n, err1 := strconv.Atoi(m[1])
		dev, err2 := strconv.Atoi(m[2])
		c, ok := known[n]
		if err1 != nil || err2 != nil || !ok {
			continue
		}
		d := Device{ID: fmt.Sprintf("hw:CARD=%s,DEV=%d", c.id, dev), Name: c.name}
		if checkID(ALSA, d.ID) != nil {
			continue
		}
		for _, part := range strings.Split(sc.Text(), " : ") {
			d.Capture = d.Capture || strings.HasPrefix(part, "capture ")
			d.Playback = d.Playback || strings.HasPrefix(part, "playback ")
		}
		if d.Capture || d.Playback {
			out = append(out, d)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read the list of PCM devices: %w", err)
	}
	return out, nil
}

func listALSA() ([]Device, error) {
	cards, err := os.Open(asound + "/cards")
	if os.IsNotExist(err) {
		return nil, nil // a kernel without sound has no sound cards
	}
	if err != nil {
		return nil, fmt.Errorf("list sound cards: %w", err)
	}
	defer cards.Close()
	pcms, err := os.Open(asound + "/pcm")
	if err != nil {
		return nil, fmt.Errorf("list sound cards: %w", err)
	}
	defer pcms.Close()
	return parseALSA(cards, pcms)
}
