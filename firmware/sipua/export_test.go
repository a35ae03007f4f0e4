package sipua

import "fmt"

// Leftovers says what a user agent still holds of calls; "" for nothing.
func (u *UA) Leftovers() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := ""
	if len(u.calls) > 5 {
		return fmt.Sprintf("%d calls, %d servers", len(u.calls), len(u.servers))
	}
	for _, c := range u.calls {
		s += fmt.Sprintf("call %s out %v state %d parting %v; ", c.id, c.out, c.state, c.parting)
	}
	for k := range u.clients {
		s += "client " + k + "; "
	}
	for k := range u.servers {
		s += "server " + k + "; "
	}
	if n := len(u.farewells); n > 0 {
		s += fmt.Sprintf("%d farewells", n)
	}
	return s
}
