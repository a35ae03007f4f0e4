package kills

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"deskset/audio/audiotest"
	"deskset/cmd/desksim/rig"
	"deskset/firmware/console"
	"deskset/firmware/panel"
	"deskset/firmware/vault/sealed"
)

const (
	agentNumber = "7041"
	longest     = 3 * time.Second        // from the answer to the kill
	afterCall   = 150 * time.Millisecond // from a hang-up to the kill
	shareAfter  = 0.2                    // of kills that come after the hang-up
	patience    = 30 * time.Second
)

// speech is what every customer says.
var speech = audiotest.Speech(1, longest+time.Second)

// one calls a seat, lets it answer, kills it at a random moment and starts it
// again.
func one(ctx context.Context, d *rig.Desk, rnd *rand.Rand) (c cut, err error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	c.desk = d
	answered, hangUp, err := answer(ctx, d)
	if err != nil {
		return c, err
	}
	time.Sleep(time.Duration(rnd.Int64N(int64(longest)))) // the random moment
	c.inCall = rnd.Float64() >= shareAfter
	c.spoken = time.Since(answered)
	if !c.inCall {
		hangUp()
		time.Sleep(time.Duration(rnd.Int64N(int64(afterCall))))
	}
	if c.seq, c.id, c.segments, err = onDisk(d.Seat.Vault()); err != nil {
		return c, err
	}
	if c.inCall {
		c.spoken = time.Since(answered)
	}
	d.Seat.Kill()
	killed := time.Now()
	hangUp()
	if err := d.Seat.Start(ctx); err != nil {
		return c, fmt.Errorf("start after a kill: %w", err)
	}
	c.back = time.Since(killed)
	return c, nil
}

// answer has the customer call and the agent take it. hangUp ends it from the
// customer's side.
func answer(ctx context.Context, d *rig.Desk) (at time.Time, hangUp func(), err error) {
	s := d.Seat
	v, err := s.Await(ctx, "registration", patience, func(v panel.View) bool { return v.Links.PBX && len(v.Calls) == 0 })
	if err != nil {
		return at, nil, err
	}
	if v.Agent == "" {
		if err := s.Ask(ctx, console.Action{Kind: console.SignIn, Agent: agentNumber}); err != nil {
			return at, nil, err
		}
	}
	call, err := d.Customer.Call(ctx, d.Extension)
	if err != nil {
		return at, nil, err
	}
	hangUp = func() {
		call.Hangup()
		<-call.Done()
	}
	defer func() {
		if err != nil {
			hangUp()
		}
	}()
	if _, err = s.Await(ctx, "a ringing call", patience, func(v panel.View) bool { return v.State == panel.Ringing }); err != nil {
		return at, nil, err
	}
	if err = s.Ask(ctx, console.Action{Kind: console.Answer}); err != nil {
		return at, nil, err
	}
	v, err = s.Await(ctx, "a recorded call", patience, func(v panel.View) bool {
		return v.State == panel.Talking && v.Rec.On && len(v.Calls) == 1
	})
	if err != nil {
		return at, nil, err
	}
	call.Say(speech)
	return v.Calls[0].Answered, hangUp, nil
}

var partName = regexp.MustCompile(`^(\d+)-([0-9a-f-]{36})\.(\d+)\.(facts|voice)$`)

// onDisk counts the whole segments of each part of a vault's newest recording.
func onDisk(dir string) (seq uint64, id string, segments map[string]int, err error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return 0, "", nil, err
	}
	for _, e := range all {
		m := partName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		n, err := strconv.ParseUint(m[1], 10, 64)
		if err != nil || n < seq {
			continue
		}
		if n > seq {
			seq, id, segments = n, m[2], map[string]int{}
		}
		count, err := whole(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // its header is not written yet
		}
		segments[m[3]+"/"+m[4]] = count
	}
	return seq, id, segments, nil
}

func whole(name string) (int, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	l, err := sealed.Scan(f, info.Size())
	if err != nil {
		return 0, err
	}
	return l.Segments, nil
}
