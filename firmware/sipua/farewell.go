package sipua

import "time"

// farewell brings the end of a call to the PBX: it is sent again on every new
// flow until it is answered, or until farewellTime after a recovery, so that
// no call is left there that the seat has forgotten.
type farewell struct {
	u    *UA
	send func() error // one attempt; ErrFlowLost: wait for the next flow
	gone func()       // all is over
	tick *time.Timer  // runs from the first recovery on
	done bool
}

const farewellTime = timerB

// bye hangs up the dialog; then is called when that is over.
func (u *UA) bye(d *dialog, then func()) {
	f := &farewell{u: u, gone: then}
	f.send = func() error {
		_, err := u.do(d.request("BYE"), func(m *message, err error) {
			if err != ErrFlowLost {
				// Every answer will do, 481 as well: the PBX has no such
				// call. So will none on a living flow.
				f.finish()
			}
		})
		return err
	}
	u.part(f)
}

// cancel ends an INVITE whose flow broke before it was answered.
func (u *UA) cancelLater(e *exchange, then func()) {
	f := &farewell{u: u, gone: then}
	f.send = func() error {
		_, err := u.start(e.cancelRequest(), func(m *message, err error) {
			if err != ErrFlowLost {
				f.finish()
			}
		})
		return err
	}
	u.part(f)
}

func (u *UA) part(f *farewell) {
	u.farewells[f] = struct{}{}
	if u.bound {
		f.send()
	}
}

// resend is called on every recovery.
func (f *farewell) resend() {
	if f.tick == nil {
		f.tick = f.u.after(farewellTime, f.finish)
	}
	f.send()
}

func (f *farewell) finish() {
	if f.done {
		return
	}
	f.done = true
	if f.tick != nil {
		f.tick.Stop()
	}
	delete(f.u.farewells, f)
	f.gone()
	f.u.checkQuiet()
}
