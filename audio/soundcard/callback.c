// The audio callbacks. They copy between the device and a ring, count, and
// return: no lock, no log, no allocation.
//
// They are C so that the sound library's threads need not enter Go: a period
// then costs no scheduler, cannot be held up by a garbage collection, and the
// runtime's monitor thread, which otherwise polls some 2,000 times a second for
// as long as foreign threads keep calling in every 10 ms, stays asleep.

#include "callback.h"

#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define LOAD(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)
#define COUNT(p, n) __atomic_fetch_add(&(p), (n), __ATOMIC_RELAXED)

static int64_t now(const deskset_stream *s) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	int64_t d = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec - s->base;
	return d > 0 ? d : 1;
}

static void put(deskset_counters *c, int16_t *buf, const int16_t *in, uint32_t n) {
	uint64_t w = c->written;
	uint64_t room = deskset_ring_size - (w - LOAD(c->read));
	if (n > room) {
		COUNT(c->dropped, n - room);
		n = (uint32_t)room;
	}
	uint32_t at = (uint32_t)(w % deskset_ring_size);
	uint32_t first = n < deskset_ring_size - at ? n : deskset_ring_size - at;
	memcpy(buf + at, in, first * sizeof *buf);
	memcpy(buf, in + first, (n - first) * sizeof *buf);
	STORE(c->written, w + n);
}

static uint32_t get(deskset_counters *c, const int16_t *buf, int16_t *out, uint32_t n) {
	uint64_t r = c->read;
	uint64_t there = LOAD(c->written) - r;
	if (n > there)
		n = (uint32_t)there;
	uint32_t at = (uint32_t)(r % deskset_ring_size);
	uint32_t first = n < deskset_ring_size - at ? n : deskset_ring_size - at;
	memcpy(out, buf + at, first * sizeof *buf);
	memcpy(out + first, buf, (n - first) * sizeof *buf);
	STORE(c->read, r + n);
	return n;
}

// tick counts frames first and looks for a sleeper then; who goes to sleep does
// it the other way round. All four are sequentially consistent: one sees the other.
static void tick(deskset_clock *c, uint64_t frames) {
	__atomic_fetch_add(&c->frames, frames, __ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&c->waiting, 0, __ATOMIC_SEQ_CST) == 0)
		return;
	const uint64_t one = 1;
	ssize_t ignored = write(c->fd, &one, sizeof one);
	(void)ignored; // full means that nobody has read for centuries
}

// deskset_capture takes n mono samples, at now in ns since the stream's base, and returns how many frames they
// completed. A frame is counted by what the device recorded, even if the ring
// had no room for it: the clock must not slow down because nobody listens.
uint32_t deskset_capture(deskset_stream *s, const int16_t *in, uint32_t n, int64_t now) {
	if (LOAD(s->dead))
		return 0;
	STORE(s->last_mic, now);
	if (COUNT(s->mic_calls, 1) == 0 && s->trim)
		return 0; // the first period of ALSA is not sound
	put(&s->mic, s->mic_buf, in, n);
	s->partial += n;
	uint64_t frames = s->partial / deskset_frame;
	s->partial %= deskset_frame;
	if (frames > 0 && s->clock != NULL)
		tick(s->clock, frames);
	return (uint32_t)frames;
}

// deskset_playback fills n frames of the device: sound as far as there is some,
// then a ramp down from the last sample, then silence.
void deskset_playback(deskset_stream *s, int16_t *out, uint32_t n, int64_t now) {
	if (LOAD(s->dead)) {
		memset(out, 0, (size_t)n * s->channels * sizeof *out);
		return;
	}
	STORE(s->last_ear, now);
	COUNT(s->ear_calls, 1);
	uint32_t got = LOAD(s->primed) ? get(&s->ear, s->ear_buf, out, n) : 0;
	if (got > 0) {
		s->playing = 1;
		s->last = out[got - 1];
	}
	if (got < n) {
		if (s->playing) {
			s->playing = 0;
			STORE(s->primed, 0); // the writer builds the reserve up again
			COUNT(s->underruns, 1);
		}
		for (uint32_t i = got; i < n; i++) {
			int32_t left = deskset_ramp - 1 - (int32_t)(i - got);
			out[i] = left > 0 ? (int16_t)(s->last * left / deskset_ramp) : 0;
		}
		s->last = 0;
	}
	if (s->channels == 2)
		for (uint32_t i = n; i-- > 0;)
			out[2 * i] = out[2 * i + 1] = out[i];
}

// The beginning of miniaudio's ma_device and ma_device_notification (0.11.23).
// malgo sets every device's data callback to its own, which enters Go; but it
// lets us have the notification callback and the user data.
typedef struct device device;
typedef struct {
	device *dev;
	int type; // 0 started, 1 stopped, 2 rerouted
} notification;
struct device {
	void *context;
	int type;
	uint32_t rate;
	int32_t state;
	void (*on_data)(device *, void *, const void *, uint32_t);
	void (*on_notification)(const notification *);
	void (*on_stop)(device *);
	deskset_side *user;
};

static void on_data(device *dev, void *out, const void *in, uint32_t n) {
	deskset_stream *s = dev->user->stream;
	if (dev->user->capture)
		deskset_capture(s, in, n, now(s));
	else
		deskset_playback(s, out, n, now(s));
}

// on_notification runs on the device's own thread before its first period (or
// between two), so it may exchange the data callback there. It does so only if
// the struct is laid out as expected; else the periods go on through Go.
static void on_notification(const notification *n) {
	device *dev = n->dev;
	if (dev->on_notification != on_notification || dev->user == NULL)
		return;
	deskset_stream *s = dev->user->stream;
	if (n->type == 0)
		prctl(PR_SET_TIMERSLACK, 50000, 0, 0, 0); // the kernel's own 50 us, whatever the process has
	if (n->type == 0 && dev->on_data != on_data) {
		dev->on_data = on_data;
		COUNT(s->direct, 1);
	} else if (n->type == 2) {
		STORE(s->moved, 1);
		STORE(s->dead, 1); // not a sample of another microphone
	}
}

void *deskset_notification(void) { return (void *)on_notification; }
