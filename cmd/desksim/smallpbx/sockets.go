package smallpbx

import (
	"fmt"
	"net"

	"deskset/cmd/desksim/smallpbx/siplite"
)

// sockets are what a PBX listens on.
type sockets struct {
	ws, wss net.Listener
	udp     *siplite.UDP
}

func listen(cfg Config) (s *sockets, err error) {
	s = &sockets{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if cfg.WS != "" {
		if s.ws, err = net.Listen("tcp", cfg.WS); err != nil {
			return s, fmt.Errorf("listen for ws: %w", err)
		}
	}
	if cfg.WSS != "" {
		if s.wss, err = net.Listen("tcp", cfg.WSS); err != nil {
			return s, fmt.Errorf("listen for wss: %w", err)
		}
	}
	if cfg.UDP != "" {
		if s.udp, err = siplite.ListenUDP(cfg.UDP); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *sockets) addrs() (ws, wss, udp string) {
	if s.ws != nil {
		ws = s.ws.Addr().String()
	}
	if s.wss != nil {
		wss = s.wss.Addr().String()
	}
	if s.udp != nil {
		udp = s.udp.Addr()
	}
	return ws, wss, udp
}

func (s *sockets) close() {
	if s.ws != nil {
		s.ws.Close()
	}
	if s.wss != nil {
		s.wss.Close()
	}
	if s.udp != nil {
		s.udp.Close()
	}
}
