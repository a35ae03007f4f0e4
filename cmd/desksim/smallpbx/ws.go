package smallpbx

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/coder/websocket"
)

// pingEvery is how often a WebSocket is pinged; one lost pong ends it.
const pingEvery = 20 * time.Second

// wsFlow is one WebSocket connection. Messages go out through a queue, so that a
// peer that does not read cannot hold up the PBX.
type wsFlow struct {
	conn      *websocket.Conn
	raw       net.Conn
	transport string
	local     string
	out       chan wsMessage
	done      chan struct{}
	once      sync.Once
}

type wsMessage struct {
	kind websocket.MessageType
	data []byte
	// pieces writes the message in frames of this many bytes; 0 in one.
	pieces int
}

var errSlowPeer = errors.New("the peer does not read its WebSocket")

func (f *wsFlow) Send(msg []byte) error { return f.push(wsMessage{websocket.MessageText, msg, 0}) }

func (f *wsFlow) push(m wsMessage) error {
	select {
	case <-f.done:
		return siplite.ErrFlowGone
	default:
	}
	select {
	case f.out <- m:
		return nil
	default:
		f.cut()
		return errSlowPeer
	}
}

func (f *wsFlow) Reliable() bool        { return true }
func (f *wsFlow) Transport() string     { return f.transport }
func (f *wsFlow) Local() string         { return f.local }
func (f *wsFlow) Remote() string        { return f.raw.RemoteAddr().String() }
func (f *wsFlow) Done() <-chan struct{} { return f.done }

func (f *wsFlow) alive() bool {
	select {
	case <-f.done:
		return false
	default:
		return true
	}
}

// cut drops the connection as a broken network does: no close frame, no FIN.
func (f *wsFlow) cut() {
	f.once.Do(func() {
		close(f.done)
		c := f.raw
		if t, ok := c.(*tls.Conn); ok {
			c = t.NetConn()
		}
		if t, ok := c.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
		c.Close()
	})
}

type rawConnKey struct{}

// serveWS serves one listener until it is closed.
func (c *core) serveWS(l net.Listener, transport string, tlsCfg *tls.Config) {
	if tlsCfg != nil {
		tlsCfg = tlsCfg.Clone()
		tlsCfg.NextProtos = []string{"http/1.1"}
		l = tls.NewListener(l, tlsCfg)
	}
	srv := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          nil,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, rawConnKey{}, conn)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.upgrade(w, r, transport) }),
	}
	srv.ErrorLog = c.httpLog()
	c.wg.Go(func() {
		stop := context.AfterFunc(c.ctx, func() { srv.Close() })
		defer stop()
		srv.Serve(l)
	})
}

// upgrade turns a request into a flow and reads it until it ends.
func (c *core) upgrade(w http.ResponseWriter, r *http.Request, transport string) {
	offered := false
	for _, v := range r.Header.Values("Sec-WebSocket-Protocol") {
		for _, s := range splitList(v) {
			offered = offered || s == "sip"
		}
	}
	if !offered { // RFC 7118 section 4.1
		http.Error(w, "this WebSocket speaks the subprotocol sip", http.StatusBadRequest)
		return
	}
	raw, _ := r.Context().Value(rawConnKey{}).(net.Conn)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{"sip"},
		InsecureSkipVerify: true, // any origin: the digest is what lets in
	})
	if err != nil || raw == nil {
		c.log.Warn("WebSocket refused", "err", err)
		return
	}
	conn.SetReadLimit(siplite.MaxMessage)
	f := &wsFlow{conn: conn, raw: raw, transport: transport, local: raw.LocalAddr().String(),
		out: make(chan wsMessage, 256), done: make(chan struct{})}
	if !c.addFlow(f) {
		f.cut()
		return
	}
	defer c.removeFlow(f)
	defer conn.CloseNow()
	defer f.cut()
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.write(ctx) })
	for {
		_, data, err := conn.Read(ctx) // text or binary: RFC 7118 section 5.2
		if err != nil {
			c.log.Debug("WebSocket ended", "err", err)
			cancel()
			f.cut()
			return
		}
		if string(data) == "\r\n\r\n" { // keep-alive, RFC 5626 section 4.4.1
			f.Send([]byte("\r\n"))
			continue
		}
		c.ep.Receive(f, data)
	}
}

// write sends what is queued, and pings.
func (f *wsFlow) write(ctx context.Context) {
	defer f.cut()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		select {
		case m := <-f.out:
			if err := f.writeOne(ctx, m); err != nil {
				return
			}
		case <-ping.C:
			pctx, cancel := context.WithTimeout(ctx, pingEvery/2)
			err := f.conn.Ping(pctx)
			cancel()
			if err != nil {
				return
			}
		case <-f.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (f *wsFlow) writeOne(ctx context.Context, m wsMessage) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if m.pieces == 0 {
		return f.conn.Write(ctx, m.kind, m.data)
	}
	w, err := f.conn.Writer(ctx, m.kind)
	if err != nil {
		return err
	}
	for d := m.data; len(d) > 0; {
		n := min(m.pieces, len(d))
		if _, err := w.Write(d[:n]); err != nil {
			return err
		}
		d = d[n:]
	}
	return w.Close()
}
