// What the audio threads of the sound library do for a stream; see callback.c.
#ifndef DESKSET_CALLBACK_H
#define DESKSET_CALLBACK_H

#include <stdint.h>

enum {
	deskset_ring_size = 8192, // 170 ms: more than any delay the controller would keep
	deskset_ramp = 240,       // 5 ms: the fade against clicks at both ends of a gap
	deskset_frame = 960,      // 20 ms: one tick of the clock
};

// The positions of a ring: ring.Counters of package audio/ring.
typedef struct {
	uint64_t written, dropped;
	char pad1[48];
	uint64_t read;
	char pad2[56];
} deskset_counters;

// The clock of a card: the frames its microphone has completed, and who waits
// for one. An eventfd is written only for one who does: a headset that lies on
// the desk between calls wakes nobody but its own threads.
typedef struct {
	uint64_t frames;  // not yet taken
	uint32_t waiting; // somebody sleeps on fd; whoever clears it must write
	int32_t fd;
} deskset_clock;

// One opening of the headset, as far as its callbacks touch it. What Go reads or
// writes at the same time is touched with atomics on both sides.
typedef struct {
	deskset_counters mic, ear;

	uint64_t mic_calls, ear_calls, underruns;
	int64_t last_mic, last_ear; // ns since base, of the newest callback; 0 before the first
	uint32_t dead;              // given up: touch nothing any more
	uint32_t primed;            // the ear has been given something to play
	uint32_t moved;             // the server has moved the stream to another device
	uint32_t direct;            // how many devices call C without a detour through Go

	// Set before the devices are started.
	int64_t base; // CLOCK_MONOTONIC, ns
	deskset_clock *clock; // that is told of each frame, or NULL
	int32_t channels, trim;

	// Of the capture thread alone.
	uint32_t partial;
	// Of the playback thread alone.
	int32_t playing, last;

	int16_t mic_buf[deskset_ring_size], ear_buf[deskset_ring_size];
} deskset_stream;

// One direction of a stream: what a device is given as its user data.
typedef struct {
	deskset_stream *stream;
	int32_t capture;
} deskset_side;

uint32_t deskset_capture(deskset_stream *s, const int16_t *in, uint32_t n, int64_t now);
void deskset_playback(deskset_stream *s, int16_t *out, uint32_t n, int64_t now);
void *deskset_notification(void);

#endif
