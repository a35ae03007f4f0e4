package media

// EventKind is what happened to a leg.
type EventKind uint8

const (
	LegConnected    EventKind = iota + 1 // keys are agreed; as the channel Connected
	LegDisconnected                      // no answer to ICE checks for some seconds
	LegReconnected                       // they are answered again
	LegFailed                            // for good: Err says why; as the channel Failed
	LegSilent                            // no RTP for Config.Silence though it should come
	LegHeard                             // the first RTP, and RTP after LegSilent
	LegBye                               // the far end's RTCP said goodbye
)

// String is for logs.
func (k EventKind) String() string {
	switch k {
	case LegConnected:
		return "connected"
	case LegDisconnected:
		return "disconnected"
	case LegReconnected:
		return "reconnected"
	case LegFailed:
		return "failed"
	case LegSilent:
		return "silent"
	case LegHeard:
		return "heard"
	case LegBye:
		return "bye"
	}
	return "unknown"
}

// Event is a change in a leg's life.
type Event struct {
	Kind EventKind
	Err  error // of LegFailed
}

// Events tells what happens to the leg, in order. The channel is never closed;
// if nobody reads it, later events are dropped.
func (l *Leg) Events() <-chan Event { return l.events }

func (l *Leg) tell(k EventKind, err error) {
	select {
	case l.events <- Event{k, err}:
	default:
		l.log.Debug("media event dropped", "event", k)
	}
}
