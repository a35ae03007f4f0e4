// Package soundcard is the seat's headset: one microphone and one ear, opened by
// explicit id, watched, given up when they vanish and opened again when the same
// ones return. It is also the clock of a call: Wait wakes its one caller when
// the headset has recorded another 20 ms, and when there is no headset it keeps
// the same pace from the monotonic clock, so that a call goes on.
//
// Capture and playback are two devices with a ring each. Their clocks and stalls
// are taken up by a fill controller which splices a few milliseconds out of (or
// into) the sound at a place where it repeats, with a cross-fade; so delay comes
// back to its target after a stall instead of adding up.
//
// What protects the caller's privacy: there is no default device. Ids that mean
// "whatever there is" (empty, default, @DEFAULT_SOURCE@, ALSA card numbers) and
// monitors of a loudspeaker are refused by New, a lost headset is looked for by
// the very ids it had, and under PulseAudio the streams carry
// PA_STREAM_DONT_MOVE (miniaudio sets it for every explicit id), so neither the
// server nor module-rescue-streams may move them to another microphone. Should
// one be moved nevertheless, it falls silent at once and counts as lost. What an
// id cannot tell apart is two headsets of one model in one socket.
//
// The callbacks are C (callback.c) and enter Go only for a first period: they
// copy between device and ring and, if Wait sleeps, write an eventfd once a
// frame. Wait sleeps in Go's network poller on that and on a timerfd, never on a
// timer of Go's: see fdClock.
//
// Backends: "alsa" and "pulse" through malgo (miniaudio, which loads libasound
// or libpulse at run time), and "virtual", which needs no sound hardware: it
// plays a WAV file as the microphone and writes another with what the ear got.
// The virtual one uses channels and timers only, so that it runs in virtual
// time (testing/synctest).
//
// Building for 32-bit ARM needs CGO_CFLAGS="-O2 -g -D_TIME_BITS=64
// -D_FILE_OFFSET_BITS=64"; without it miniaudio's clocks overflow.
package soundcard
