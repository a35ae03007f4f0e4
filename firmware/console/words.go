package console

import "errors"

// Error is a refusal in words: the page shows the sentence "error.<Code>" of
// its language, and Text where it has no such sentence.
type Error struct {
	Code string `json:"code"`
	Text string `json:"text,omitempty"` // English, without numbers of people
}

func (e *Error) Error() string {
	if e.Text == "" {
		return e.Code
	}
	return e.Code + ": " + e.Text
}

// Codes of Error that the page has a sentence for.
const (
	CodeBadRequest    = "bad-request"    // the action is not well formed
	CodeUnknownAction = "unknown-action" // no such kind
	CodeBadTarget     = "bad-target"     // not a number or extension
	CodeBadAgent      = "bad-agent"      // not an agent's number
	CodeRate          = "rate"           // too many, too fast
	CodeNotPaired     = "not-paired"     //
	CodePairBusy      = "pair-busy"      // another browser waits for the key
	CodeForbidden     = "forbidden"      // Host, Origin or content type
	CodeTimeout       = "timeout"        // the seat did not answer in time
	CodeFailed        = "failed"         // anything that is not an *Error

	CodeNotNow          = "not-now"           // the state forbids it
	CodeNoCall          = "no-call"           // there is no such call
	CodeSignedOut       = "signed-out"        // somebody must sign in first
	CodeAlreadyIn       = "already-in"        // somebody is signed in
	CodeAgentUnknown    = "agent-unknown"     // not in the policy
	CodeAgentElsewhere  = "agent-elsewhere"   // signed in on another seat, R31
	CodePINWrong        = "pin-wrong"         //
	CodeDialRefused     = "dial-refused"      // in no list of the policy, R5
	CodeBlindRefused    = "blind-refused"     // policy wants a consultation first, R37
	CodeConfirmHangup   = "confirm-hangup"    // press again within 3 s, R27
	CodeTooSoon         = "too-soon"          // ANSWER within 1 s of a change
	CodeOffline         = "offline"           // no PBX
	CodeNoHeadset       = "no-headset"        //
	CodeNotRecording    = "not-recording"     // nothing to pause
	CodeTransferFailed  = "transfer-failed"   //
	CodeLastCallRunning = "last-call-running" // sign-out waits for the call's end
)

// Codes are all of them.
var Codes = []string{CodeBadRequest, CodeUnknownAction, CodeBadTarget, CodeBadAgent, CodeRate, CodeNotPaired,
	CodePairBusy, CodeForbidden, CodeTimeout, CodeFailed, CodeNotNow, CodeNoCall, CodeSignedOut, CodeAlreadyIn,
	CodeAgentUnknown, CodeAgentElsewhere, CodePINWrong, CodeDialRefused, CodeBlindRefused, CodeConfirmHangup,
	CodeTooSoon, CodeOffline, CodeNoHeadset, CodeNotRecording, CodeTransferFailed, CodeLastCallRunning}

// Notices that View.Notice may name; the page has a sentence "notice.<it>".
const (
	NoticeConfirmHangup  = "confirm-hangup"  // press again to hang up, R27
	NoticeRONA           = "rona"            // not answered: back to the queue, now not ready, R25
	NoticeNoAnswer       = "no-answer"       // the called one did not answer, R26
	NoticeCallFailed     = "call-failed"     // the call could not be made
	NoticeCallLost       = "call-lost"       // the call broke off
	NoticeHoldCue        = "hold-cue"        // tell the customer how it goes, R22
	NoticeHoldMax        = "hold-max"        // too long on hold, R22
	NoticeMuteCue        = "mute-cue"        // still muted, R23
	NoticeUnmuted        = "unmuted"         // say that you are back, R23
	NoticePending        = "pending"         // takes effect at the end of the call
	NoticeTransferred    = "transferred"     //
	NoticeTransferFailed = "transfer-failed" // the customer is back with you
	NoticeHeadsetLost    = "headset-lost"    //
	NoticeHeadsetBack    = "headset-back"    //
	NoticeHeadsetSwapped = "headset-swapped" // another headset, R48
	NoticeRecFailed      = "rec-failed"      //
	NoticeRecPaused      = "rec-paused"      //
	NoticeHelpSent       = "help-sent"       // the supervisor is called
	NoticeFaultSent      = "fault-sent"      // a fault is reported, R46
	NoticeKeyStuck       = "key-stuck"       // a key is held 30 s
	NoticeCaseOpen       = "case-open"       // R47
	NoticeOffline        = "offline"         // no PBX
	NoticeBack           = "back-online"     //
	NoticeNoPolicy       = "no-policy"       // not enrolled, or no policy yet
	NoticeUpdating       = "updating"        //
	NoticeBreakOver      = "break-over"      // R30
	NoticeWrapUpEnding   = "wrap-up-ending"  // R21
	NoticePairing        = "pairing"         // a browser asks for the HELP key
)

// Notices are all of them.
var Notices = []string{NoticeConfirmHangup, NoticeRONA, NoticeNoAnswer, NoticeCallFailed, NoticeCallLost,
	NoticeHoldCue, NoticeHoldMax, NoticeMuteCue, NoticeUnmuted, NoticePending, NoticeTransferred, NoticeTransferFailed,
	NoticeHeadsetLost, NoticeHeadsetBack, NoticeHeadsetSwapped, NoticeRecFailed, NoticeRecPaused, NoticeHelpSent,
	NoticeFaultSent, NoticeKeyStuck, NoticeCaseOpen, NoticeOffline, NoticeBack, NoticeNoPolicy, NoticeUpdating,
	NoticeBreakOver, NoticeWrapUpEnding, NoticePairing}

// Parts that View.Health may name; the page has a name "part.<it>" for each.
var Parts = []string{"pbx", "centre", "headset", "sound", "recording", "vault", "disk", "upload", "policy", "clock",
	"panel", "module", "update", "console", "seat"}

// HealthCodes that a Health may carry; the page has a sentence "health.<it>".
var HealthCodes = []string{"pbx-unreachable", "pbx-refused", "pbx-certificate", "centre-unreachable", "centre-refused",
	"headset-missing", "headset-wrong", "sound-stalled", "recording-failed", "recording-slow", "vault-damaged",
	"disk-full", "disk-low", "upload-waiting", "upload-refused", "policy-missing", "policy-invalid", "clock-untrusted",
	"key-stuck", "case-open", "module-missing", "update-waiting", "starting"}

// asError is what a page is told of a refusal. What is no *Error stays in the
// seat's log.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: CodeFailed}
}
