#include <sys/prctl.h>

// Sleeps may last up to a millisecond longer than asked for (timer slack, see
// prctl(2)). Threads inherit it from their maker, so it must be set before the
// Go runtime makes its first; and it is for the runtime's monitor thread, which
// polls every 20 us for as long as a goroutine runs: some 400 wakings a second
// in a call. What keeps time in a call sleeps on a timerfd, which knows no slack.
__attribute__((constructor)) static void loosen(void) {
	prctl(PR_SET_TIMERSLACK, 1000000, 0, 0, 0);
}
