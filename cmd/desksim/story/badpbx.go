package story

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"deskset/cmd/desksim/rig"
	"deskset/cmd/desksim/smallpbx"
	"deskset/firmware/panel"
)

var badPBX = []Story{
	{Name: "bad-messages", What: "garbage, huge and half messages, unknown codecs: no crash, no ghost", Plot: badMessages, Only: "small"},
	{Name: "bad-server", What: "what answers at the PBX's address is no PBX: said so; fine when the PBX is back", Plot: badServer},
	{Name: "wrong-password", What: "the PBX refuses the password: said so; fine when it takes it again", Plot: wrongPassword},
	{Name: "bad-certificate", What: "wrong CA, expired certificate: said so; fine with the right one", Plot: badCertificate},
}

// registeredAgain is how long a seat may take to come back once the PBX is as
// it should be: its back-off ends at 4 s.
const registeredAgain = 5 * time.Second

// good sees that the seat is the same process, registered, and takes a call.
func good(ctx context.Context, t *Teller, pid int) error {
	err := t.Step("registered again, the seat never restarted", func() error {
		began := time.Now()
		v, err := t.Rig.Seat.Await(ctx, "registration", registeredAgain, func(v panel.View) bool { return v.Links.PBX && len(v.Calls) == 0 })
		if err != nil {
			return fmt.Errorf("%w (PBX: %s)", err, v.Links.PBXErr)
		}
		t.Note("after %d ms", time.Since(began).Milliseconds())
		select {
		case <-t.Rig.Seat.Done():
			return fmt.Errorf("the seat has ended: %s", t.Rig.Seat.Log(5))
		default:
		}
		if now := t.Rig.Seat.Pid(); now != pid {
			return fmt.Errorf("process %d, it was %d", now, pid)
		}
		return nil
	})
	if err != nil {
		return err
	}
	call, err := inCall(ctx, t, rig.SeatUser)
	if err != nil {
		return err
	}
	if err := t.Step("a call: both hear each other", func() error { return converse(ctx, t, agentPerson(t), customer(call)) }); err != nil {
		return err
	}
	return customerHangsUp(ctx, t, call)
}

func badMessages(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	pid := t.Rig.Seat.Pid()
	// What deserves an answer gets this one.
	want := map[smallpbx.Misbehaviour]int{
		smallpbx.UnknownCodec: 488, smallpbx.BadSDP: 488, smallpbx.NoSDP: 488, smallpbx.Binary: 200, smallpbx.Fragmented: 200, smallpbx.StrayBye: 481,
	}
	for _, how := range smallpbx.Misbehaviours {
		err := t.Step(string(how), func() error {
			if _, err := t.Rig.Seat.Await(ctx, "registration", registeredAgain, func(v panel.View) bool { return v.Links.PBX }); err != nil {
				return err
			}
			ask, stop := context.WithTimeout(ctx, 3*time.Second)
			defer stop()
			code, err := rig.Small(t.Rig.PBX).Misbehave(ask, rig.SeatUser, how)
			t.Note("answered %d", code)
			if w := want[how]; w != 0 && (err != nil || code != w) {
				return fmt.Errorf("answered %d, not %d (%v)", code, w, err)
			}
			v, err := t.Rig.Seat.Control.View(ctx)
			if err == nil && len(v.Calls) > 0 {
				err = fmt.Errorf("the seat is %s", v.State)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	err := t.Step("no call is left of it", func() error {
		_, err := t.Rig.Seat.Await(ctx, "no call", 20*time.Second, func(v panel.View) bool { return len(v.Calls) == 0 })
		return err
	})
	if err != nil {
		return err
	}
	return good(ctx, t, pid)
}

// rogue is a server that is no PBX.
func rogue(handle func(net.Conn)) (addr string, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
	return ln.Addr().String(), func() { ln.Close() }, nil
}

func badServer(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	pid := t.Rig.Seat.Pid()
	for _, r := range []struct {
		name  string
		f     func(net.Conn)
		words []string
	}{
		{"garbage instead of TLS", func(c net.Conn) {
			fmt.Fprint(c, strings.Repeat("\x00\xffnot TLS", 1000))
			_, _ = io.Copy(io.Discard, c)
		}, []string{"tls"}},
		{"a web server without TLS", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 500 Internal Server Error\r\n\r\n") }, []string{"tls"}},
		{"a web server that is no PBX", func(c net.Conn) {
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{t.Rig.Good}})
			fmt.Fprint(s, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
			_, _ = io.Copy(io.Discard, s)
		}, []string{"404", "websocket"}},
		{"closes at once", func(net.Conn) {}, []string{"eof", "reset", "closed"}},
	} {
		addr, stop, err := rogue(r.f)
		if err != nil {
			return err
		}
		before := t.Rig.Wire.To(addr)
		err = t.Step(r.name+": said so", func() error { return saidSo(ctx, t, r.words...) })
		t.Rig.Wire.To(before)
		stop()
		if err != nil {
			return err
		}
		err = t.Step("the PBX is back: registered", func() error {
			_, err := t.Rig.Seat.Await(ctx, "registration", registeredAgain, func(v panel.View) bool { return v.Links.PBX })
			return err
		})
		if err != nil {
			return err
		}
	}
	return good(ctx, t, pid)
}

// saidSo waits until the seat is not registered and says why, with one of the
// words, in `deskset status` too.
func saidSo(ctx context.Context, t *Teller, words ...string) error {
	has := func(s string) bool {
		for _, w := range words {
			if strings.Contains(strings.ToLower(s), w) {
				return true
			}
		}
		return false
	}
	v, err := t.Rig.Seat.Await(ctx, "the error", 15*time.Second, func(v panel.View) bool { return !v.Links.PBX && has(v.Links.PBXErr) })
	if err != nil {
		return fmt.Errorf("%w: it says %q", err, v.Links.PBXErr)
	}
	t.Note("%s", v.Links.PBXErr)
	text, err := t.Rig.Seat.Status(ctx)
	if err == nil && (!strings.Contains(text, "DOWN") || !has(text)) {
		err = fmt.Errorf("deskset status says %q", text)
	}
	return err
}

// swap restarts the PBX, changed.
func swap(ctx context.Context, t *Teller, change func()) error {
	if err := t.Rig.PBX.Kill(); err != nil {
		return err
	}
	change()
	return t.Rig.PBX.Restart(ctx)
}

func wrongPassword(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	pid := t.Rig.Seat.Pid()
	err := t.Step("the PBX has another password: said so", func() error {
		if err := swap(ctx, t, func() { t.Rig.PBX.SetPassword(rig.SeatUser, "another") }); err != nil {
			return err
		}
		return saidSo(ctx, t, "password", "credential")
	})
	if err != nil {
		return err
	}
	err = t.Step("it has the right one again", func() error {
		return swap(ctx, t, func() { t.Rig.PBX.SetPassword(rig.SeatUser, rig.Password(rig.SeatUser)) })
	})
	if err != nil {
		return err
	}
	return good(ctx, t, pid)
}

func badCertificate(ctx context.Context, t *Teller) error {
	if err := t.Ready(ctx); err != nil {
		return err
	}
	pid := t.Rig.Seat.Pid()
	stranger, _, err := rig.Cert(time.Now().Add(-time.Hour), time.Hour*24)
	if err != nil {
		return err
	}
	err = t.Step("a certificate of a CA that nobody knows: said so", func() error {
		if err := swap(ctx, t, func() { t.Rig.PBX.SetCert(stranger) }); err != nil {
			return err
		}
		return saidSo(ctx, t, "authority", "not trusted", "ca")
	})
	if err != nil {
		return err
	}
	err = t.Step("an expired certificate: said so", func() error {
		if err := swap(ctx, t, func() { t.Rig.PBX.SetCert(t.Rig.Expired) }); err != nil {
			return err
		}
		return saidSo(ctx, t, "expired")
	})
	if err != nil {
		return err
	}
	err = t.Step("the right one again", func() error {
		return swap(ctx, t, func() { t.Rig.PBX.SetCert(t.Rig.Good) })
	})
	if err != nil {
		return err
	}
	return good(ctx, t, pid)
}
