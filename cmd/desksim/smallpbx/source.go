package smallpbx

import (
	"context"
	"math"
	"time"

	"deskset/audio/codec"
)

const (
	frameTime = 20 * time.Millisecond
	// maxLag is how late a made frame may be and still be made up for.
	maxLag = 400 * time.Millisecond
)

// sound is a made sound: the amplitude -1..1 at a sample number.
type sound func(n int64) float64

// tones are the PBX's own sounds, in the manner of ITU-T E.180: 450 Hz is what
// the network here uses for ring-back and busy.
func steady(hz, level float64) sound {
	return func(n int64) float64 { return level * math.Sin(2*math.Pi*hz*float64(n)/codec.Rate) }
}

// onOff lets a sound through for on, then not for off, again and again.
func onOff(s sound, on, off time.Duration) sound {
	a := int64(on) * codec.Rate / int64(time.Second)
	b := int64(off) * codec.Rate / int64(time.Second)
	return func(n int64) float64 {
		if n%(a+b) >= a {
			return 0
		}
		return s(n)
	}
}

// holdTone is what stands for music: a slow broken chord, quiet.
func holdTone(n int64) float64 {
	chord := [...]float64{392, 494, 587, 494}
	i := n / (codec.Rate / 2)
	t := float64(n%(codec.Rate/2)) / codec.Rate
	return 0.08 * math.Exp(-3*t) * math.Sin(2*math.Pi*chord[i%4]*t)
}

func silence(int64) float64 { return 0 }

var (
	ringBack     = onOff(steady(450, 0.1), time.Second, 4*time.Second)
	announcement = onOff(steady(660, 0.2), 300*time.Millisecond, 200*time.Millisecond)
)

// play sends a sound to a leg until ctx ends: a frame each 20 ms, each at its own
// time from the start, so that nothing drifts.
func play(ctx context.Context, to *sender, s sound) {
	src := new(byte) // a source of its own
	var enc codec.Encoder
	var with codec.Codec
	pcm := make([]int16, codec.Frame)
	buf := make([]byte, codec.MaxPayload)
	timer := time.NewTimer(0)
	defer timer.Stop()
	start := time.Now()
	for k := int64(0); ; k++ {
		timer.Reset(time.Until(start.Add(time.Duration(k) * frameTime)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if lag := time.Since(start) - time.Duration(k)*frameTime; lag > maxLag {
			k += int64(lag / frameTime) // the machine stalled: a pause, not a burst
		}
		a, ok := to.format()
		if !ok {
			continue
		}
		if a.send.Codec != with {
			e, err := a.send.Codec.NewEncoder(0)
			if err != nil {
				return
			}
			enc, with = e, a.send.Codec
		}
		for i := range pcm {
			pcm[i] = int16(32000 * s(k*codec.Frame+int64(i)))
		}
		n, err := enc.Encode(buf, pcm)
		if err != nil {
			return
		}
		to.send(src, outPacket{seq: uint16(k), ts: uint32(k * int64(a.send.Codec.FrameTicks())), payload: buf[:n]})
	}
}
