package phone

import (
	"fmt"
	"strings"
	"time"

	"deskset/cmd/desksim/smallpbx/rtplite"
)

// Say plays PCM (48 kHz mono) from the next frame on, instead of what was being
// said; nil falls silent. The channel is closed when it has all been sent, was
// replaced, or the call ended. What is said during hold is lost, as in life.
func (c *Call) Say(pcm []int16) (spoken <-chan struct{}) { return c.media.say(pcm) }

// Heard is everything that was received so far as one time line at 48 kHz, and
// the time of its first sample. What was lost is concealed for a moment, then
// silent; what was not sent is silent.
func (c *Call) Heard() (pcm []int16, start time.Time) { return c.media.heard.render() }

// Said is everything that was sent so far (before the network spoiled it) as one
// time line at 48 kHz, and the time of its first sample.
func (c *Call) Said() (pcm []int16, start time.Time) { return c.media.said.render() }

// DTMF is the telephone-event keys that were received so far.
func (c *Call) DTMF() string { return c.media.heard.dtmf() }

// Held tells whether the far end has put us on hold.
func (c *Call) Held() bool { return c.media.held() }

// Stats is what came in.
func (c *Call) Stats() Stats { return c.media.heard.stats() }

// Codec is the negotiated codec's SDP name, "" before.
func (c *Call) Codec() string {
	c.media.mu.Lock()
	defer c.media.mu.Unlock()
	if c.media.enc == nil {
		return ""
	}
	return c.media.format.Codec.Name()
}

// Impair makes the network from this call towards the PBX worse, from now on.
func (c *Call) Impair(i rtplite.Impairment) { c.media.impair.Set(i) }

// SendDTMF presses keys (0-9 * # A-D), 100 ms each; the channel is closed when
// the last has been sent.
func (c *Call) SendDTMF(digits string) (sent <-chan struct{}, err error) {
	for _, d := range []byte(digits) {
		if _, err := rtplite.EventOf(d); err != nil {
			return nil, err
		}
	}
	m := c.media
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.hasEv || m.closed {
		return nil, fmt.Errorf("send DTMF: no telephone-event in this call")
	}
	m.digits = append(m.digits, strings.ToUpper(digits)...)
	if m.keyed == nil {
		m.keyed = make(chan struct{})
	}
	return m.keyed, nil
}
