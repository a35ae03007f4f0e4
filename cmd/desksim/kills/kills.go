// Package kills kills seats: again and again, at random moments of recorded
// calls, and then looks whether anything is missing that was on the disk.
package kills

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"deskset/audio/audiotest"
	"deskset/audio/pcm"
	"deskset/cmd/desksim/rig"
)

// Options of a run.
type Options struct {
	Kills int
	Seats int // killed in parallel
	Seed  uint64
	Dir   string // for state and logs; must exist
	Bin   string // where deskset and deskfleet are
	Log   *slog.Logger
	Done  func() // after each kill; may be nil
}

// Report of a run. OK says that nothing was lost that must not be.
type Report struct {
	OK         bool     `json:"ok"`
	Kills      int      `json:"kills"`
	Seats      int      `json:"seats"`
	Seed       uint64   `json:"seed"`
	Ms         int64    `json:"ms"`
	InCall     int      `json:"in_call"`     // killed while it was being recorded
	AfterCall  int      `json:"after_call"`  // killed while it was being sealed or uploaded
	Recordings int      `json:"recordings"`  // made, all of them delivered
	Recovered  int      `json:"recovered"`   // of those, without an end of their own
	Segments   int      `json:"segments"`    // seen on disk before the kills, all there afterwards
	MedianLost int64    `json:"median_lost"` // ms of a call's end that was not recorded
	MaxLost    int64    `json:"max_lost"`
	MedianBack int64    `json:"median_back"` // ms from the kill until the seat answers
	MaxBack    int64    `json:"max_back"`
	Exported   int      `json:"exported"` // opened with the offline key
	Faults     []string `json:"faults"`
}

// cut is one kill and what was known right before it.
type cut struct {
	desk     *rig.Desk
	id       string
	seq      uint64
	inCall   bool
	spoken   time.Duration // from the answer to the kill or the hang-up
	segments map[string]int
	back     time.Duration
}

// run is a run in progress.
type run struct {
	o     Options
	floor *rig.Floor
	begin time.Time

	mu   sync.Mutex
	cuts []cut
}

// Run kills. The error is of what could not even be tried; what was lost is in
// the report.
func Run(ctx context.Context, o Options) (rep Report, err error) {
	began := time.Now()
	mic := filepath.Join(o.Dir, "mic.wav")
	if err := writeMic(mic); err != nil {
		return rep, err
	}
	r := &run{o: o, begin: began}
	if r.floor, err = rig.OpenFloor(ctx, o.Dir, o.Bin, mic, o.Seats, o.Log); err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, r.floor.Close()) }()
	rep = Report{Kills: o.Kills, Seats: o.Seats, Seed: o.Seed, Faults: []string{}}
	err = r.killAll(ctx)
	if err == nil {
		err = r.settle(ctx)
	}
	if err == nil {
		err = r.floor.StopSeats()
	}
	if err == nil {
		err = r.check(ctx, &rep)
	}
	r.figures(&rep)
	rep.Ms = time.Since(began).Milliseconds()
	rep.OK = err == nil && len(rep.Faults) == 0 && len(r.cuts) == o.Kills
	return rep, err
}

// writeMic gives the agents something to say.
func writeMic(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(pcm.WriteWAV(f, pcm.WAV{Rate: pcm.Rate, Channels: 1, Samples: audiotest.Speech(0, 10*time.Second)}), f.Close())
}

// killAll lets every desk be killed until there were enough kills.
func (r *run) killAll(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var left atomic.Int64
	left.Store(int64(r.o.Kills))
	var wg sync.WaitGroup
	for i := range r.floor.Desks {
		d := &r.floor.Desks[i]
		rnd := rand.New(rand.NewPCG(r.o.Seed, uint64(i)))
		wg.Go(func() {
			if err := d.Seat.Start(ctx); err != nil {
				stop(fmt.Errorf("seat %s: %w: %s", d.Seat.Name, err, d.Seat.Log(5)))
				return
			}
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				c, err := one(ctx, d, rnd)
				if err != nil {
					stop(fmt.Errorf("seat %s: %w: %s", d.Seat.Name, err, d.Seat.Log(5)))
					return
				}
				r.mu.Lock()
				r.cuts = append(r.cuts, c)
				r.mu.Unlock()
				if r.o.Done != nil {
					r.o.Done()
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (r *run) figures(rep *Report) {
	var back []int64
	for _, c := range r.cuts {
		back = append(back, c.back.Milliseconds())
		if c.inCall {
			rep.InCall++
		} else {
			rep.AfterCall++
		}
	}
	if len(back) > 0 {
		slices.Sort(back)
		rep.MedianBack, rep.MaxBack = back[len(back)/2], back[len(back)-1]
	}
}
