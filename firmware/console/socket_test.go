package console_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"deskset/firmware/console"
	"deskset/firmware/panel"
)

type message struct {
	Type   string
	Seq    uint64
	Now    time.Time
	View   panel.View
	ID     string
	Error  *console.Error
	Reason string
	MicDB  float64 `json:"mic_db"`
}

// socket is a paired browser's WebSocket.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
}

func (c *client) dial(h http.Header) (*websocket.Conn, int, error) {
	conn, res, err := websocket.Dial(c.t.Context(), "wss"+c.base[5:]+"/api/ws", &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: h})
	status := 0
	if res != nil {
		status = res.StatusCode
	}
	return conn, status, err
}

// handshake is the status that a socket with these headers gets.
func (c *client) handshake(h http.Header) int {
	conn, status, err := c.dial(h)
	if err == nil {
		conn.CloseNow()
	}
	return status
}

func (c *client) socket() *socket {
	c.t.Helper()
	conn, status, err := c.dial(http.Header{"Origin": {c.base}})
	if err != nil {
		c.t.Fatalf("socket: %d %v", status, err)
	}
	c.t.Cleanup(func() { conn.CloseNow() })
	return &socket{c.t, conn}
}

func (s *socket) send(text string) {
	s.t.Helper()
	if err := s.conn.Write(s.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) next() (message, error) {
	kind, b, err := s.conn.Read(s.t.Context())
	if err != nil {
		return message{}, err
	}
	var m message
	if err := json.Unmarshal(b, &m); err != nil || kind != websocket.MessageText {
		s.t.Fatalf("%v: %s", err, b)
	}
	return m, nil
}

// reply reads on until the answer to an action.
func (s *socket) reply(id string) message {
	s.t.Helper()
	for {
		m, err := s.next()
		if err != nil {
			s.t.Fatal(err)
		}
		if m.Type == "reply" && m.ID == id {
			return m
		}
	}
}

// view reads on until a view is as wanted.
func (s *socket) view(ok func(message) bool) message {
	s.t.Helper()
	for {
		m, err := s.next()
		if err != nil {
			s.t.Fatal(err)
		}
		if m.Type == "view" && ok(m) {
			return m
		}
	}
}

// bye reads on until the end, which must come with this reason, and gives the
// views before it.
func (s *socket) bye(reason string) (views []message) {
	s.t.Helper()
	said := ""
	for {
		m, err := s.next()
		if err != nil {
			var closed websocket.CloseError
			if !errors.As(err, &closed) || closed.Code != 4001 || closed.Reason != reason || said != reason {
				s.t.Errorf("ended with %v after %q; want %q", err, said, reason)
			}
			return views
		}
		switch m.Type {
		case "view":
			views = append(views, m)
		case "bye":
			said = m.Reason
		}
	}
}

func TestSocketShowsAndActs(t *testing.T) {
	f := signedIn(t)
	s := serve(t, f, nil)
	c := newClient(t, s)
	c.pair(s)
	ws := c.socket()
	first := ws.view(func(message) bool { return true })
	if first.Seq != 1 || first.Now.IsZero() || first.View.Seat != "S-0001" || first.View.Lamps[panel.Beacon].Colour != panel.Green {
		t.Errorf("%+v", first)
	}
	ws.send(`{"id":"a","kind":"busy","reason":"meal"}`)
	m := ws.view(func(m message) bool { return m.View.State == panel.BusyState })
	if m.View.Reason != "meal" || m.Seq <= first.Seq {
		t.Errorf("%+v", m)
	}
	for text, code := range map[string]string{
		`{"id":"1","kind":"hold"}`:                                                         console.CodeNoCall,
		`{"id":"2","kind":"jump"}`:                                                         console.CodeUnknownAction,
		`{"id":"3","kind":"dial","target":"a b"}`:                                          console.CodeBadTarget,
		`{"id":"4","kind":"press-key","key":"cradle"}`:                                     console.CodeBadRequest,
		`{"id":"5","kind":"ready","target":"1"}`:                                           console.CodeBadRequest,
		`{"id":"6","kind":"sign-in","agent":"1"}`:                                          console.CodeAlreadyIn,
		`{"id":"7","kind":"volume","db":99}`:                                               console.CodeBadRequest,
		`{"id":"8","kind":"dtmf","digit":"55"}`:                                            console.CodeBadRequest,
		`{"id":"9","kind":"answer","call":"` + strings.Repeat("x", 256) + `"}`:             console.CodeNoCall,
		`{"id":"10","kind":"sign-in","agent":"1","pin":"` + strings.Repeat("1", 33) + `"}`: console.CodeBadAgent,
	} {
		ws.send(text)
		var id struct{ ID string }
		json.Unmarshal([]byte(text), &id)
		if m := ws.reply(id.ID); m.Error == nil || m.Error.Code != code {
			t.Errorf("%.60s: %+v, want %s", text, m.Error, code)
		}
	}
}

// Actions of one page are done one after the other, as they were asked.
func TestActionsKeepTheirOrder(t *testing.T) {
	f := signedIn(t)
	s := serve(t, f, nil)
	c := newClient(t, s)
	c.pair(s)
	ws := c.socket()
	before := len(f.Actions())
	for i := range 30 {
		ws.send(fmt.Sprintf(`{"id":"%d","kind":"volume","db":%d}`, i, i-24))
	}
	ws.reply("29")
	for i, a := range f.Actions()[before:] {
		if a.DB != i-24 {
			t.Fatalf("action %d is %+v", i, a)
		}
	}
}

func TestTooManyActions(t *testing.T) {
	f, at := signedIn(t), newClock()
	s := serve(t, f, func(c *console.Config) { c.Now = at.now })
	c := newClient(t, s)
	c.pair(s)
	ws := c.socket()
	refused := 0
	for i := range 60 {
		ws.send(fmt.Sprintf(`{"id":"%d","kind":"lang","lang":"en"}`, i))
		if m := ws.reply(fmt.Sprint(i)); m.Error != nil {
			if m.Error.Code != console.CodeRate {
				t.Fatalf("%+v", m.Error)
			}
			refused++
		}
	}
	if refused != 20 {
		t.Errorf("%d of 60 at once were refused", refused)
	}
	at.advance(time.Second)
	if a := c.ask("POST", "/api/do", `{"kind":"ready"}`); a.status != 200 {
		t.Errorf("a second later: %d %s", a.status, a.body)
	}
}

func TestSocketEndsOnNonsense(t *testing.T) {
	s := serve(t, signedIn(t), nil)
	c := newClient(t, s)
	c.pair(s)
	for text, want := range map[string]websocket.StatusCode{
		"hello": websocket.StatusPolicyViolation, "": websocket.StatusPolicyViolation, "[]": websocket.StatusPolicyViolation,
		`{"kind":"ready","kind":"busy"}`: websocket.StatusPolicyViolation, `{"kind":"ready"}{}`: websocket.StatusPolicyViolation,
		`{"Kind":"ready"}`: websocket.StatusPolicyViolation, `{"kind":null}`: websocket.StatusPolicyViolation,
		`{"id":"` + strings.Repeat("x", 5000) + `"}`: websocket.StatusMessageTooBig,
	} {
		ws := c.socket()
		ws.send(text)
		for {
			if _, err := ws.next(); err != nil {
				if got := websocket.CloseStatus(err); got != want {
					t.Errorf("%.30q: closed with %v (%v), want %v", text, got, err, want)
				}
				break
			}
		}
	}
	ws := c.socket()
	if err := ws.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"kind":"ready"}`)); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := ws.next(); err != nil {
			if got := websocket.CloseStatus(err); got != websocket.StatusUnsupportedData {
				t.Errorf("binary: %v", err)
			}
			break
		}
	}
}

func TestTabsAreCounted(t *testing.T) {
	s := serve(t, signedIn(t), nil)
	c := newClient(t, s)
	c.pair(s)
	tabs := []*socket{c.socket(), c.socket(), c.socket(), c.socket()}
	for _, ws := range tabs {
		ws.view(func(message) bool { return true })
	}
	if status := c.handshake(http.Header{"Origin": {c.base}}); status != 429 {
		t.Errorf("a fifth tab: %d", status)
	}
	tabs[0].conn.Close(websocket.StatusNormalClosure, "")
	for end := time.Now().Add(5 * time.Second); c.handshake(http.Header{"Origin": {c.base}}) != 101; {
		if time.Now().After(end) {
			t.Fatal("a closed tab still counts")
		}
	}
}

// Run ends soon, whatever pages are open.
func TestRunEndsWithOpenPages(t *testing.T) {
	t.Run("open", func(t *testing.T) {
		s := serve(t, signedIn(t), nil) // its cleanup waits for Run
		c := newClient(t, s)
		c.pair(s)
		c.socket()
		c.socket().view(func(message) bool { return true })
	})
}

func TestDoOverPost(t *testing.T) {
	f := signedIn(t)
	s := serve(t, f, nil)
	c := newClient(t, s)
	c.pair(s)
	for body, want := range map[string]int{
		`{"kind":"dnd"}`:                        200,
		`{"id":"7","kind":"hold"}`:              409,
		`{"kind":"dnd","x":1}`:                  400,
		`{"kind":"dnd"} {}`:                     400,
		`{"kind":7}`:                            400,
		``:                                      400,
		`{"kind":"` + strings.Repeat("x", 5000): 413,
	} {
		if a := c.ask("POST", "/api/do", body); a.status != want {
			t.Errorf("%.40s: %d %s", body, a.status, a.body)
		}
	}
	c.change = func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }
	if a := c.ask("POST", "/api/do", `{"kind":"ready"}`); a.status != 415 {
		t.Errorf("text/plain, as a form could send it: %d", a.status)
	}
}
