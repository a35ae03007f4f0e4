// How much PulseAudio asks of the ear at a time.
//
// miniaudio asks for a buffer of one period and leaves the least request to the
// server, which then makes it a quarter of that: the ear's thread wakes 400
// times a second at 10 ms periods. Asked for whole periods it wakes 100 times,
// and the server wants two of them in its buffer: 15 ms more delay.
//
// miniaudio looks the function up in libpulse by name; dlsym is wrapped by the
// linker (soundcard's LDFLAGS) so that it finds ours.

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// pa_buffer_attr of libpulse's def.h, in bytes.
typedef struct {
	uint32_t maxlength, tlength, prebuf, minreq, fragsize;
} buffer_attr;

typedef int connect_playback_fn(void *stream, const char *dev, const buffer_attr *attr, int flags,
                                const void *volume, void *sync);

static connect_playback_fn *real_connect_playback;

static int connect_playback(void *stream, const char *dev, const buffer_attr *attr, int flags, const void *volume,
                            void *sync) {
	connect_playback_fn *f = __atomic_load_n(&real_connect_playback, __ATOMIC_ACQUIRE);
	if (attr == NULL || attr->tlength > UINT32_MAX / 4)
		return f(stream, dev, attr, flags, volume, sync);
	// Half of what is beyond two requests is the sink's own buffer: a quarter of
	// a period, as it was before.
	buffer_attr a = *attr;
	a.minreq = attr->tlength;
	a.tlength = attr->tlength * 5 / 2;
	a.tlength -= a.tlength % 4; // whole frames of two channels
	a.maxlength = UINT32_MAX;
	return f(stream, dev, &a, flags, volume, sync);
}

void *__real_dlsym(void *lib, const char *name);

void *__wrap_dlsym(void *lib, const char *name) {
	void *f = __real_dlsym(lib, name);
	if (f == NULL || strcmp(name, "pa_stream_connect_playback") != 0)
		return f;
	__atomic_store_n(&real_connect_playback, (connect_playback_fn *)f, __ATOMIC_RELEASE);
	return (void *)connect_playback;
}
