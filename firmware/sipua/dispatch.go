package sipua

import "strings"

// understood option tags that a Require may name.
var understood = []string{"replaces", "timer", "outbound", "path"}

// request answers what the PBX sends us.
func (u *UA) request(m *message) {
	switch m.Method {
	case "ACK":
		u.ack(m)
		return
	case "CANCEL":
		u.cancelled(m)
		return
	case "INVITE":
		if t := u.servers[serverKey(m)]; t != nil {
			if t.last != nil {
				u.send(t.last)
			}
			return
		}
	}
	if unsupported := notUnderstood(m); unsupported != "" {
		h := header{"Unsupported", unsupported}
		if m.Method == "INVITE" {
			u.refuse(m, 420, h)
		} else {
			u.reply(m, 420, h)
		}
		return
	}
	if m.ToTag != "" {
		u.inDialog(m)
		return
	}
	switch m.Method {
	case "INVITE":
		u.incoming(m)
	case "OPTIONS":
		u.reply(m, 200, u.capabilities()...)
	case "REFER":
		u.tell(Referred{Target: clean(m.get("Refer-To"), 256)})
		u.reply(m, 603)
	case "BYE", "UPDATE", "INFO", "NOTIFY", "PRACK":
		u.reply(m, 481)
	case "SUBSCRIBE", "PUBLISH", "MESSAGE", "REGISTER":
		u.reply(m, 405, header{"Allow", allow})
	default:
		u.reply(m, 501, header{"Allow", allow})
	}
}

func notUnderstood(m *message) string {
	var odd []string
next:
	for _, tag := range m.list("Require") {
		for _, known := range understood {
			if strings.EqualFold(tag, known) {
				continue next
			}
		}
		odd = append(odd, tag)
	}
	return strings.Join(odd, ", ")
}

func (u *UA) capabilities() []header {
	return []header{{"Allow", allow}, {"Accept", "application/sdp"}, {"Supported", supported}}
}

// inDialog answers a request with a To tag.
func (u *UA) inDialog(m *message) {
	c := u.find(m)
	if c == nil || c.state == over && m.Method != "BYE" && m.Method != "NOTIFY" {
		u.refuseInDialog(m, 481)
		return
	}
	if c.state != calling { // each branch of a ringing call counts for itself
		if m.Seq < c.d.remoteSeq {
			u.refuseInDialog(m, 500) // out of order, section 12.2.2
			return
		}
		c.d.remoteSeq = m.Seq
	}
	switch m.Method {
	case "BYE":
		c.bye(m)
	case "INVITE":
		c.reInvited(m)
	case "UPDATE":
		c.updated(m)
	case "OPTIONS":
		u.reply(m, 200, u.capabilities()...)
	case "INFO", "MESSAGE":
		u.reply(m, 200)
	case "NOTIFY":
		c.notified(m)
	case "REFER":
		// Who is connected with whom is the agent's affair, not the PBX's.
		u.tell(Referred{Call: c, Target: clean(m.get("Refer-To"), 256)})
		u.reply(m, 603)
	case "PRACK":
		u.reply(m, 481)
	case "SUBSCRIBE", "PUBLISH", "REGISTER":
		u.reply(m, 405, header{"Allow", allow})
	default:
		u.reply(m, 501, header{"Allow", allow})
	}
}

func (u *UA) refuseInDialog(m *message, code int, hs ...header) {
	if m.Method == "INVITE" {
		u.refuse(m, code, hs...)
	} else {
		u.reply(m, code, hs...)
	}
}
