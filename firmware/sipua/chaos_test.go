package sipua_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"deskset/firmware/sipua"
	"deskset/firmware/sipua/sipuatest"
)

// TestChaos lets a moody PBX and a restless seat at each other for ten minutes
// of virtual time, the connection breaking again and again. Whatever happens:
// each call ends exactly once and tells nothing afterwards, and when all is
// quiet the user agent holds nothing of any call. DESKSET_CHAOS=n tries n seeds.
func TestChaos(t *testing.T) {
	seeds := 3
	if n, err := strconv.Atoi(os.Getenv("DESKSET_CHAOS")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { chaos(t, uint64(seed)) })
	}
}

func chaos(t *testing.T, seed uint64) {
	run(t, nil, func(r *rig) {
		ctx, cancel := context.WithCancel(r.t.Context())
		var wg sync.WaitGroup
		p := &moody{r: r, rnd: rand.New(rand.NewPCG(seed, 1)), wild: true}
		s := &restless{r: r, rnd: rand.New(rand.NewPCG(seed, 2)), live: map[*sipua.Call]bool{}, over: map[*sipua.Call]bool{}, wild: true}
		wg.Go(func() { p.run(ctx) })
		wg.Go(func() { s.run(ctx, &wg) })
		if seed%3 == 2 { // the seat ends in the middle of it all
			time.Sleep(2 * time.Minute)
			r.stop()
			cancel()
			wg.Wait()
			if len(s.live) > 0 {
				t.Errorf("%d calls outlived Run", len(s.live))
			}
			return
		}
		time.Sleep(10 * time.Minute)
		p.tame()
		s.tame()
		time.Sleep(5 * time.Minute)
		if left := r.ua.Leftovers(); left != "" {
			t.Errorf("left over: %s", left)
		}
		if !r.ua.Registered() {
			t.Error("not registered in the end")
		}
		s.mu.Lock()
		if len(s.live) > 0 || len(s.over) < 20 {
			t.Errorf("%d calls live, %d over", len(s.live), len(s.over))
		}
		s.mu.Unlock()
		cancel()
		wg.Wait()
	})
}

// moody is the PBX.
type moody struct {
	r   *rig
	rnd *rand.Rand // used by run alone
	n   int

	mu   sync.Mutex
	wild bool

	theirs  map[string]*sipuatest.Dialog // by Call-ID: dialogs it knows
	invites map[string]*sipuatest.Msg    // by branch: INVITEs not finally answered
}

func (p *moody) tame() { p.mu.Lock(); p.wild = false; p.mu.Unlock() }

func (p *moody) isWild() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.wild }

func (p *moody) run(ctx context.Context) {
	p.theirs, p.invites = map[string]*sipuatest.Dialog{}, map[string]*sipuatest.Msg{}
	for ctx.Err() == nil {
		l, ok := p.r.pbx.TryAccept(time.Second)
		if !ok {
			continue
		}
		for _, d := range p.theirs {
			d.Move(l)
		}
		for !l.Over() && ctx.Err() == nil {
			if m, ok := l.Try(time.Duration(p.rnd.IntN(500)+1) * time.Millisecond); ok {
				p.answer(l, m)
			}
			if !p.isWild() {
				continue
			}
			switch p.rnd.IntN(60) {
			case 0:
				l.Cut()
			case 1:
				l.Deafen()
			case 2, 3, 4:
				p.n++
				id := fmt.Sprint("in-", p.n)
				p.theirs[id] = l.Offer(id, "<sip:5551234@pbx.test>", offer, "Supported: timer", "Session-Expires: 120")
			case 5:
				l.Send([]byte("rubbish"))
			default:
				p.nudge(l)
			}
		}
	}
}

// nudge does something to one of the calls.
func (p *moody) nudge(l *sipuatest.Link) {
	for id, d := range p.theirs {
		switch p.rnd.IntN(14) {
		case 0:
			d.Request("BYE", "")
			delete(p.theirs, id)
		case 1:
			d.Cancel()
		case 2:
			d.Request("INVITE", "changed")
		case 3:
			d.Request("UPDATE", "")
		case 4:
			d.Request("UPDATE", "changed")
		case 5:
			d.Request("NOTIFY", "SIP/2.0 200 OK", "Event: refer", "Subscription-State: terminated", "Content-Type: message/sipfrag")
		case 6:
			d.Ack()
		case 7:
			d.Request("OPTIONS", "", "P-Asserted-Identity: <sip:777@pbx.test>")
		}
		return
	}
}

func (p *moody) answer(l *sipuatest.Link, m *sipuatest.Msg) {
	wild := p.isWild()
	if wild && p.rnd.IntN(15) == 0 {
		return // not heard
	}
	pick := func(codes ...int) int {
		if !wild {
			return codes[0]
		}
		return codes[p.rnd.IntN(len(codes))]
	}
	switch m.Method() {
	case "REGISTER":
		l.Respond(m, pick(200, 200, 200, 200, 200, 503, 401), "", "", "Contact: "+m.ContactURI()+";expires=120", wwwAuthenticate("MD5", m.Branch()))
	case "INVITE":
		code := pick(486, 0, 180, 183, 200, 200, 200, 401, 302, 491, 481, 408, 500)
		if m.Tag("To") != "" {
			code = pick(200, 200, 200, 491, 481, 488, 401)
		}
		body := ""
		if code == 200 || code == 183 {
			body = answer
		}
		if code == 0 {
			return
		}
		if code < 200 {
			p.invites[m.Branch()] = m
		}
		l.Respond(m, code, "far", body, toPBX, wwwAuthenticate("SHA-256", m.Branch()), "Session-Expires: 120;refresher="+[]string{"uac", "uas"}[p.rnd.IntN(2)])
		if code == 200 && m.Tag("To") == "" {
			p.theirs[m.Get("Call-ID")] = l.On(m, "far")
			if wild && p.rnd.IntN(4) == 0 {
				l.Respond(m, 200, "fork", answer, "Contact: <sip:fork@192.0.2.9>")
			}
		}
	case "CANCEL":
		inv := p.invites[m.Branch()]
		delete(p.invites, m.Branch())
		switch {
		case inv == nil:
			l.Respond(m, 481, "", "")
		case wild && p.rnd.IntN(3) == 0: // it was answered before
			l.Respond(inv, 200, "far", answer, toPBX)
			l.Respond(m, 200, "", "")
		default:
			l.Respond(m, 200, "", "")
			l.Respond(inv, 487, "far", "")
		}
	case "BYE":
		delete(p.theirs, m.Get("Call-ID"))
		l.Respond(m, pick(200, 200, 481, 401), "", "", wwwAuthenticate("MD5", m.Branch()))
	case "REFER":
		l.Respond(m, pick(202, 202, 603, 481), "", "")
	case "UPDATE":
		l.Respond(m, pick(200, 481, 405, 422), "", "", "Session-Expires: 120", "Min-SE: 120")
	case "": // a response
		d := p.theirs[m.Get("Call-ID")]
		_, method := m.CSeq()
		if d == nil || method != "INVITE" {
			return
		}
		switch {
		case m.Code() >= 300:
			d.AckRefusal()
		case m.Code() >= 200:
			d.Settle(m)
			if !wild || p.rnd.IntN(5) > 0 {
				d.Ack()
			}
		}
	}
}

// restless is the seat.
type restless struct {
	r    *rig
	rnd  *rand.Rand // used by run alone
	mu   sync.Mutex
	live map[*sipua.Call]bool
	over map[*sipua.Call]bool
	wild bool
}

func (s *restless) tame() { s.mu.Lock(); s.wild = false; s.mu.Unlock() }

func (s *restless) run(ctx context.Context, wg *sync.WaitGroup) {
	for ctx.Err() == nil {
		select {
		case e, open := <-s.r.ua.Events():
			if !open {
				return
			}
			s.event(e)
		case <-time.After(time.Duration(s.rnd.IntN(1500)+1) * time.Millisecond):
			s.act(wg)
		}
	}
}

// begin and end keep the books; any event of a call that is over is an error.
func (s *restless) event(e sipua.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	check := func(c *sipua.Call) {
		if s.over[c] {
			s.r.t.Errorf("%T %+v of a call that is over", e, e)
		}
	}
	end := func(c *sipua.Call) {
		check(c)
		s.over[c] = true
		delete(s.live, c)
	}
	switch e := e.(type) {
	case sipua.Incoming:
		check(e.Call)
		s.live[e.Call] = true
	case sipua.Progress:
		check(e.Call)
	case sipua.Answered:
		check(e.Call)
	case sipua.Confirmed:
		check(e.Call)
	case sipua.Identity:
		check(e.Call)
	case sipua.ReferStatus:
		check(e.Call)
	case sipua.Reoffer:
		check(e.Call)
		switch s.rnd.IntN(3) {
		case 0:
			e.Call.AnswerReoffer([]byte("agreed"))
		case 1:
			e.Call.RejectReoffer(488)
		}
	case sipua.Failed:
		end(e.Call)
	case sipua.Ended:
		end(e.Call)
	}
}

func (s *restless) act(wg *sync.WaitGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.wild {
		for c := range s.live {
			c.Hangup()
		}
		return
	}
	if s.rnd.IntN(4) == 0 && len(s.live) < 10 {
		if c, err := s.r.ua.Invite("600", []byte(offer)); err == nil {
			s.live[c] = true
		}
	}
	for c := range s.live {
		switch s.rnd.IntN(9) {
		case 0:
			c.Ringing()
		case 1, 2:
			c.Answer([]byte(answer))
		case 3:
			c.Reject(486)
		case 4:
			c.Hangup()
		case 5:
			c.Refer("102")
		case 6:
			for other := range s.live {
				c.ReferReplaces(other)
				break
			}
		case 7, 8:
			patience := time.Duration(s.rnd.IntN(5000)+1) * time.Millisecond
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(s.r.t.Context(), patience)
				defer cancel()
				c.Reinvite(ctx, []byte("hold"))
			})
		}
	}
}
