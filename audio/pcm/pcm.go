// Package pcm holds the one sound format that flows through a seat, 16-bit
// signed mono at 48 kHz in frames of 20 ms, and the few sums done on it:
// levels, gain, mixing, bytes on the wire, WAV files.
package pcm

import (
	"encoding/binary"
	"math"
	"time"
)

const (
	// Rate is the sample rate of everything between codec and headset, in Hz.
	Rate = 48000
	// FrameMs is the length of one frame in milliseconds (the ptime of a call).
	FrameMs = 20
	// Frame is the number of samples in one frame.
	Frame = Rate * FrameMs / 1000
	// FrameTime is the length of one frame.
	FrameTime = FrameMs * time.Millisecond
	// Floor is the level reported for digital silence, in dBFS: below the
	// quietest 16-bit sound, and finite so that it can be put in JSON.
	Floor = -120.0
)

// fullScale is the amplitude of 0 dBFS. A sine that just reaches it reads
// 0 dBFS as a peak and -3.01 dBFS as RMS.
const fullScale = 32768.0

// Peak returns the greatest magnitude in s, in dBFS (Floor for silence).
func Peak(s []int16) float64 {
	var m int32
	for _, v := range s {
		m = max(m, abs(v))
	}
	return ToDB(float64(m) / fullScale)
}

// RMS returns the root mean square of s in dBFS (Floor for silence or no
// samples at all).
func RMS(s []int16) float64 {
	if len(s) == 0 {
		return Floor
	}
	var sum int64
	for _, v := range s {
		sum += int64(v) * int64(v)
	}
	return ToDB(math.Sqrt(float64(sum)/float64(len(s))) / fullScale)
}

// ToDB turns an amplitude ratio into decibels, never less than Floor.
func ToDB(ratio float64) float64 {
	if !(ratio > 0) {
		return Floor
	}
	return max(Floor, 20*math.Log10(ratio))
}

// FromDB turns decibels into an amplitude ratio.
func FromDB(db float64) float64 { return math.Pow(10, db/20) }

// Gain multiplies s by a linear factor in place; what would leave the 16-bit
// range is clamped.
func Gain(s []int16, factor float64) {
	if factor == 1 {
		return
	}
	f := float32(factor)
	for i, v := range s {
		s[i] = Clamp32(f * float32(v))
	}
}

// Mix adds src onto dst in place, clamped, over the shorter of the two.
func Mix(dst, src []int16) {
	for i := range min(len(dst), len(src)) {
		dst[i] = Clamp(int32(dst[i]) + int32(src[i]))
	}
}

// Clamp brings v into the range of a 16-bit sample.
func Clamp(v int32) int16 {
	return int16(min(max(v, math.MinInt16), math.MaxInt16))
}

// Clamp32 rounds v to the nearest 16-bit sample within range; NaN becomes 0.
func Clamp32(v float32) int16 {
	switch {
	case v >= math.MaxInt16:
		return math.MaxInt16
	case v <= math.MinInt16:
		return math.MinInt16
	case v > 0:
		return int16(v + 0.5)
	case v < 0:
		return int16(v - 0.5)
	}
	return 0
}

// Decode copies little-endian samples from b into dst and returns how many
// were copied: the lesser of len(dst) and len(b)/2.
func Decode(dst []int16, b []byte) int {
	n := min(len(dst), len(b)/2)
	for i := range n {
		dst[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return n
}

// Encode copies samples into b as little-endian bytes and returns how many
// samples were copied: the lesser of len(s) and len(b)/2.
func Encode(b []byte, s []int16) int {
	n := min(len(s), len(b)/2)
	for i := range n {
		binary.LittleEndian.PutUint16(b[2*i:], uint16(s[i]))
	}
	return n
}

// Append appends samples to b as little-endian bytes.
func Append(b []byte, s []int16) []byte {
	for _, v := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}

// abs is wide because -(-32768) is no int16.
func abs(v int16) int32 {
	if v < 0 {
		return -int32(v)
	}
	return int32(v)
}
