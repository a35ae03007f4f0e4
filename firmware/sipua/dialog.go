package sipua

import (
	"slices"
	"strings"
)

// dialog is RFC 3261 section 12's state.
type dialog struct {
	callID              string
	localTag, remoteTag string
	local, remote       string // From and To values, without their tags
	target              string // the peer's Contact
	routes              []string
	seq, remoteSeq      uint32
}

// request makes the next request within the dialog.
func (d *dialog) request(method string) *request {
	d.seq++
	r := &request{
		method: method, uri: d.target,
		from: d.local + ";tag=" + d.localTag, to: d.remote,
		callID: d.callID, seq: d.seq, routes: d.routes,
		next: func() uint32 { d.seq++; return d.seq },
	}
	if d.remoteTag != "" {
		r.to += ";tag=" + d.remoteTag
	}
	// A strict router wants its own URI in front (section 12.2.1.1).
	if len(d.routes) > 0 {
		if a, err := parseAddress(d.routes[0]); err == nil && reachable(a.URI) && !looseRouter(a.URI) {
			r.uri = a.URI
			r.routes = append(slices.Clone(d.routes[1:]), "<"+d.target+">")
		}
	}
	return r
}

func looseRouter(uri string) bool {
	_, rest := cutKeep(uri, ';')
	_, ok := lookup(parseParams(rest), "lr")
	return ok
}

// ack is the ACK to a 2xx, with the number and credentials of its INVITE.
func (d *dialog) ack(invite *request) *request {
	seq := d.seq
	r := d.request("ACK")
	d.seq = seq
	r.seq = invite.seq
	r.auth = invite.auth
	r.branch = newBranch()
	return r
}

// fromAnswer makes the dialog that a 2xx to our INVITE stands for.
func (d dialog) fromAnswer(m *message) dialog {
	d.remoteTag = m.ToTag
	d.routes = slices.Clone(m.list("Record-Route"))
	slices.Reverse(d.routes)
	if c := m.contact(); c != "" {
		d.target = c
	}
	return d
}

// fromInvite makes the dialog that answering m opens.
func fromInvite(m *message, tag string) dialog {
	return dialog{
		callID: m.CallID, localTag: tag, remoteTag: m.FromTag,
		local: withoutTag(m.get("To")), remote: withoutTag(m.get("From")),
		target: m.contact(), routes: m.list("Record-Route"),
		seq: 0, remoteSeq: m.Seq,
	}
}

// withoutTag takes the tag out of a From or To value and leaves the rest as
// it is.
func withoutTag(v string) string {
	var keep []string
	for i, p := range splitOutside(v, ';') {
		name, _, _ := strings.Cut(p, "=")
		if i > 0 && strings.EqualFold(strings.TrimSpace(name), "tag") {
			continue
		}
		keep = append(keep, p)
	}
	return strings.Join(keep, ";")
}
