package seat

import (
	"log/slog"
	"time"

	"deskset/firmware/panel"
)

// blinker drives the lamps: it knows what each shall show and sets what it
// shows at this moment. All lamps blink in phase, counted from the moment the
// light was asked for, so a key is answered on its edge's own tick.
type blinker struct {
	out   Lamps
	log   *slog.Logger
	want  map[panel.Lamp]panel.Light
	since map[panel.Lamp]time.Duration
	shown map[panel.Lamp]panel.Colour
	bad   bool // the last Set failed
}

func newBlinker(out Lamps, log *slog.Logger) *blinker {
	return &blinker{
		out: out, log: log, want: map[panel.Lamp]panel.Light{},
		since: map[panel.Lamp]time.Duration{}, shown: map[panel.Lamp]panel.Colour{},
	}
}

// show takes a new table of lights.
func (b *blinker) show(lights map[panel.Lamp]panel.Light, now time.Duration) {
	for l, x := range lights {
		if b.want[l] != x {
			b.want[l], b.since[l] = x, now
		}
	}
	b.tick(now)
}

// tick sets every lamp as it is at this moment.
func (b *blinker) tick(now time.Duration) {
	bad := false
	for _, l := range panel.Lamps {
		x, ok := b.want[l]
		if !ok {
			continue
		}
		c, lit := panel.Lit(x, now-b.since[l])
		if !lit {
			c = panel.Off
		}
		if b.shown[l] == c {
			continue
		}
		if err := b.out.Set(l, c); err != nil {
			if !b.bad && !bad {
				b.log.Error("a lamp does not obey", "lamp", l, "err", err)
			}
			bad = true
			continue
		}
		b.shown[l] = c
	}
	b.bad = bad
}

// dark is the end: a seat that does not run shows nothing.
func (b *blinker) dark() {
	clear(b.want)
	for _, l := range panel.Lamps {
		b.want[l] = panel.Light{Colour: panel.Off, Blink: panel.Steady}
	}
	b.tick(0)
}

// retry is how often a lamp that did not obey is set again.
const retry = time.Second

// deadline is when a lamp is to be set next; 0: none blinks.
func (b *blinker) deadline(now time.Duration) time.Duration {
	var soon time.Duration
	if b.bad {
		soon = now + retry
	}
	for l, x := range b.want {
		d := panel.Next(x, now-b.since[l])
		if d <= 0 {
			continue
		}
		if at := now + d; soon == 0 || at < soon {
			soon = at
		}
	}
	return soon
}
