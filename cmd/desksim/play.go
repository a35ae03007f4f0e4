package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"deskset/audio/audiotest"
	"deskset/cmd/desksim/phone"
	"deskset/cmd/desksim/rig"
	"deskset/firmware/panel"
)

// play runs the floor for a person until Ctrl-C. Now and then a customer
// calls, so that there is something to answer.
func play(ctx context.Context, opt rig.Options) error {
	tell := func(f string, a ...any) { fmt.Fprintf(os.Stdout, f+"\n", a...) }
	tell("starting PBX (%s), centre, seat and customer ...", opt.PBX)
	r, err := rig.Open(ctx, opt)
	if err != nil {
		return err
	}
	defer func() {
		tell("\nstopping")
		if cerr := r.Close(); cerr != nil && err == nil {
			err = cerr
		}
	}()
	page, err := rig.NewPage(r.Seat)
	if err != nil {
		return err
	}
	tell(`
The seat is running.

  panel    %s
           Open it in a browser (the certificate is the seat's own), let it show
           its code, then press Enter here: that is the HELP key on the desk,
           which no page can press. Sign in as any number, for example %s.
  phone    sip:%s@%s  calls this seat's queue from any softphone
           sip:%s@%s  calls the seat itself
  asking   %s/deskset status --config %s

A customer calls 5 s after you are ready, and again a while after each call.
Ctrl-C ends everything and leaves nothing behind.
`, page.URL(), "7041", rig.Queue, r.PBX.SIP(), rig.SeatUser, r.PBX.SIP(), opt.Bin, r.Seat.Path)
	go keys(ctx, r, tell)
	for ctx.Err() == nil {
		customer(ctx, r, tell)
	}
	return nil
}

// keys lets Enter be the HELP key of the desk.
func keys(ctx context.Context, r *rig.Rig, tell func(string, ...any)) {
	b := make([]byte, 1)
	for ctx.Err() == nil {
		if _, err := os.Stdin.Read(b); err != nil {
			return
		}
		if b[0] != '\n' {
			continue
		}
		if err := r.Seat.Press(panel.Help); err != nil {
			tell("HELP: %v", err)
			return
		}
		tell("HELP was pressed on the desk")
	}
}

// customer calls once when the agent is ready, and talks.
func customer(ctx context.Context, r *rig.Rig, tell func(string, ...any)) {
	if _, err := r.Seat.Control.Await(ctx, func(v panel.View) bool { return v.State == panel.Ready }); err != nil {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-time.After(5 * time.Second):
	}
	call, err := r.Customer.Call(ctx, rig.Queue)
	if err != nil {
		return
	}
	tell("a customer calls: press ANSWER on the page")
	if call.Wait(ctx) != nil {
		tell("the customer gave up: %s", call.Reason())
		return
	}
	tell("the customer talks")
	talk(ctx, r, call)
	tell("the call is over (%s)", call.EndedBy())
}

// talk lets the customer speak, and the agent too where nobody else does.
func talk(ctx context.Context, r *rig.Rig, call *phone.Call) {
	if r.Headset != nil {
		_, _ = r.Headset.Say(ctx, audiotest.Speech(0, 30*time.Second))
	}
	said := call.Say(audiotest.Speech(1, 30*time.Second))
	select {
	case <-ctx.Done():
	case <-call.Done():
	case <-said:
		select {
		case <-ctx.Done():
		case <-call.Done():
		case <-time.After(30 * time.Second):
		}
	}
	call.Hangup()
	<-call.Done()
}
