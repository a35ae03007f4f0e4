package smallpbx

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"deskset/cmd/desksim/smallpbx/siplite"

	"github.com/emiago/sipgo/sip"
)

const (
	defaultExpires = 300
	maxExpires     = 3600
)

// binding is one registered contact. Those with an instance (RFC 5626) are
// replaced by the same instance and reg-id, whatever their URI.
type binding struct {
	user     string
	contact  sip.Uri
	instance string
	regID    string
	flow     siplite.Flow
	expires  time.Time
	callID   string
}

func (b *binding) alive(now time.Time) bool {
	if !now.Before(b.expires) {
		return false
	}
	if done := b.flow.Done(); done != nil {
		select {
		case <-done:
			return false // a PBX drops the contact with its WebSocket
		default:
		}
	}
	return true
}

// register is the registrar (RFC 3261 section 10.3, RFC 5626 section 6).
func (c *core) register(in *siplite.Incoming) {
	user, challenges := c.verifier.Check(in.Req)
	if user == "" {
		in.Respond(sip.StatusUnauthorized, "", nil, challenges...)
		return
	}
	if user != in.Req.To().Address.User {
		in.Respond(sip.StatusForbidden, "", nil)
		return
	}
	wanted := defaultExpires
	if n, err := strconv.Atoi(siplite.HeaderText(in.Req, "Expires")); err == nil && n >= 0 {
		wanted = n
	}
	outbound := false
	now := time.Now()
	c.mu.Lock()
	for _, h := range in.Req.GetHeaders("Contact") {
		ct, ok := h.(*sip.ContactHeader)
		if !ok {
			continue
		}
		if ct.Address.Wildcard {
			if wanted != 0 {
				c.mu.Unlock()
				in.Respond(sip.StatusBadRequest, "", nil)
				return
			}
			c.bindings = slices.DeleteFunc(c.bindings, func(b *binding) bool { return b.user == user })
			continue
		}
		expires := wanted
		if n, err := strconv.Atoi(ct.Params.GetOr("expires", "")); err == nil && n >= 0 {
			expires = n
		}
		b := &binding{user: user, contact: *ct.Address.Clone(), flow: in.Flow, callID: in.Req.CallID().Value(),
			instance: strings.Trim(ct.Params.GetOr("+sip.instance", ""), `"<>`),
			regID:    ct.Params.GetOr("reg-id", ""),
			expires:  now.Add(time.Duration(min(expires, maxExpires)) * time.Second)}
		if b.instance != "" && b.regID != "" {
			outbound = true
		}
		c.bindings = slices.DeleteFunc(c.bindings, func(old *binding) bool { return old.replacedBy(b) || !old.alive(now) })
		if expires > 0 {
			c.bindings = append(c.bindings, b)
		}
	}
	var headers []sip.Header
	for _, b := range c.bindings {
		if b.user != user || !b.alive(now) {
			continue
		}
		h := &sip.ContactHeader{Address: *b.contact.Clone(), Params: sip.NewParams()}
		if b.instance != "" {
			h.Params.Add("+sip.instance", `"<`+b.instance+`>"`)
		}
		if b.regID != "" {
			h.Params.Add("reg-id", b.regID)
		}
		h.Params.Add("expires", strconv.Itoa(int(b.expires.Sub(now).Round(time.Second)/time.Second)))
		headers = append(headers, h)
	}
	c.mu.Unlock()
	for _, h := range in.Req.GetHeaders("Path") {
		headers = append(headers, sip.HeaderClone(h)) // RFC 3327 section 5.3
	}
	headers = append(headers, sip.NewHeader("Supported", "path, outbound"),
		sip.NewHeader("Date", now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")))
	if outbound {
		headers = append(headers, sip.NewHeader("Require", "outbound"))
	}
	in.Respond(sip.StatusOK, "", nil, headers...)
	c.pbx.bump()
}

// replacedBy tells whether a new binding takes the place of this one.
func (b *binding) replacedBy(n *binding) bool {
	if b.user != n.user {
		return false
	}
	if b.instance != "" || n.instance != "" {
		return b.instance == n.instance && b.regID == n.regID
	}
	return b.contact.Addr() == n.contact.Addr()
}

// find is the newest live binding of a user; with an instance, of that one only.
func (c *core) find(user, instance string) *binding {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.findLocked(user, instance)
}

func (c *core) findLocked(user, instance string) *binding {
	now := time.Now()
	for _, b := range slices.Backward(c.bindings) {
		if b.user == user && (instance == "" || b.instance == instance) && b.alive(now) {
			return b
		}
	}
	return nil
}

// instanceOf is the instance that registered over a flow.
func (c *core) instanceOf(flow siplite.Flow, user string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range slices.Backward(c.bindings) {
		if b.flow == flow && b.user == user {
			return b.instance
		}
	}
	return ""
}
