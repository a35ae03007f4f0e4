package console

import (
	"log/slog"
	"slices"
	"strings"

	"deskset/firmware/panel"
)

// Kind of an action.
type Kind string

// The kinds, with the members of Action that each needs.
const (
	PressKey         Kind = "press-key"         // Key, Held: as if pressed, or held for its time, on the desk
	Answer           Kind = "answer"            // Call, or the one that rings
	Reject           Kind = "reject"            // Call, or the one that rings
	Hangup           Kind = "hangup"            // Call, or the current one; a live customer needs it twice, R27
	Hold             Kind = "hold"              //
	Resume           Kind = "resume"            //
	Mute             Kind = "mute"              //
	Unmute           Kind = "unmute"            //
	DTMF             Kind = "dtmf"              // Digit
	Dial             Kind = "dial"              // Target
	TransferBlind    Kind = "transfer-blind"    // Target
	Consult          Kind = "consult"           // Target
	TransferComplete Kind = "transfer-complete" // join the customer to the consulted
	TransferCancel   Kind = "transfer-cancel"   // back to the customer
	SignIn           Kind = "sign-in"           // Agent, PIN if the centre wants one
	SignOut          Kind = "sign-out"          //
	Ready            Kind = "ready"             //
	Busy             Kind = "busy"              // Reason
	WrapUp           Kind = "wrap-up"           //
	DND              Kind = "dnd"               //
	Lang             Kind = "lang"              // Lang
	Volume           Kind = "volume"            // DB
	RecPause         Kind = "rec-pause"         // resumes by itself, see View.Rec.Until
	RecResume        Kind = "rec-resume"        //
)

// Kinds in the order above.
var Kinds = []Kind{PressKey, Answer, Reject, Hangup, Hold, Resume, Mute, Unmute, DTMF, Dial, TransferBlind,
	Consult, TransferComplete, TransferCancel, SignIn, SignOut, Ready, Busy, WrapUp, DND, Lang, Volume, RecPause, RecResume}

// Reasons for being busy, R19.
var Reasons = []string{"break", "meal", "training", "meeting", "helping", "other"}

// Languages of the page and of the seat's own words.
var Languages = []string{"zh-CN", "en"}

// Action is one thing that a page asks of the seat.
type Action struct {
	Kind   Kind
	Key    panel.Key
	Held   bool
	Call   string // panel.Call.ID
	Digit  string // one of 0-9 * # A-D
	Target string // number or extension, as typed
	Agent  string
	PIN    string // never logged, never kept
	Lang   string
	Reason string
	DB     int // volume against normal
}

// Check refuses an action that no seat could take: members that are missing,
// too long, of another kind or of the wrong alphabet. The error is an *Error.
func (a Action) Check() error {
	ok := true
	need := map[string]bool{}
	switch a.Kind {
	case PressKey:
		need["key"], need["held"] = true, true
		ok = isKey(a.Key)
	case Answer, Reject, Hangup:
		need["call"] = true
		ok = len(a.Call) <= 256
	case DTMF:
		need["digit"] = true
		ok = len(a.Digit) == 1 && strings.Contains("0123456789*#ABCD", a.Digit)
	case Dial, TransferBlind, Consult:
		need["target"] = true
		if !isTarget(a.Target) {
			return &Error{Code: CodeBadTarget}
		}
	case SignIn:
		need["agent"], need["pin"] = true, true
		if !isAgent(a.Agent) || len(a.PIN) > 32 {
			return &Error{Code: CodeBadAgent}
		}
	case Busy:
		need["reason"] = true
		ok = a.Reason == "" || slices.Contains(Reasons, a.Reason)
	case Lang:
		need["lang"] = true
		ok = slices.Contains(Languages, a.Lang)
	case Volume:
		need["db"] = true
		ok = a.DB >= -24 && a.DB <= 6
	default:
		if !slices.Contains(Kinds, a.Kind) {
			return &Error{Code: CodeUnknownAction}
		}
	}
	if !ok || a.strays(need) {
		return &Error{Code: CodeBadRequest}
	}
	return nil
}

// strays tells whether a member is set that the kind has no use for.
func (a Action) strays(need map[string]bool) bool {
	return a.Key != "" && !need["key"] || a.Held && !need["held"] || a.Call != "" && !need["call"] ||
		a.Digit != "" && !need["digit"] || a.Target != "" && !need["target"] ||
		a.Agent != "" && !need["agent"] || a.PIN != "" && !need["pin"] ||
		a.Lang != "" && !need["lang"] || a.Reason != "" && !need["reason"] || a.DB != 0 && !need["db"]
}

// LogValue leaves out what a log must not hold: numbers, digits, PINs.
func (a Action) LogValue() slog.Value {
	at := []slog.Attr{slog.String("kind", string(a.Kind))}
	if a.Key != "" {
		at = append(at, slog.String("key", string(a.Key)), slog.Bool("held", a.Held))
	}
	return slog.GroupValue(at...)
}

func isKey(k panel.Key) bool { return slices.Contains(panel.Keys, k) }

// isTarget takes what a person types for a number, an extension or a feature
// code. Whether it may be called is the policy's matter.
func isTarget(s string) bool {
	return s != "" && len(s) <= 32 && only(s, "0123456789+*#abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-")
}

func isAgent(s string) bool {
	return s != "" && len(s) <= 32 && only(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-")
}

func only(s, alphabet string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(alphabet, r) })
}
