package agent

import (
	"time"

	"deskset/firmware/panel"
)

// Kind of an event.
type Kind uint8

const (
	Tick           Kind = iota // time passed; send one at State.Deadline
	Touch                      // Key: first edge
	Untouch                    // Key: it was a glitch
	Press                      // Key: held for 5 ms
	LongPress                  // Key: a hold key reached its time
	KeyStuck                   // Key: held for 30 s
	KeyFree                    // Key: a stuck one came back
	SignIn                     // Agent
	SignOut                    //
	Want                       // Avail, Reason: asked for on the page; asking twice is asking once
	Confirmed                  // Avail: PBX or centre did it
	Refused                    // Avail: it did not
	LinkUp                     // registered
	LinkDown                   //
	Offered                    // Call: an INVITE came
	Dial                       // Call, Target: an allowed target
	RingBack                   // Call: first 18x of an outbound call
	PickedUp                   // Call: the far end took it, media is being agreed
	CallUp                     // Call: answered, either way; media agreed
	CallHeld                   // Call
	CallResumed                // Call
	ResumeBad                  // Call: the PBX keeps the customer on hold
	CallEnded                  // Call; Code of a failure, 0 after an ordered end
	AskAnswer                  // the page's keys
	AskReject                  //
	AskHangUp                  // twice for a live customer, R27
	AskHold                    //
	AskResume                  //
	AskConsult                 // Target
	AskTransfer                // finish the consultation's transfer
	AskBlind                   // Target
	AskBack                    // end the consultation, stay with the customer
	ConsultDialled             // Call: id of the second call
	ConsultUp                  // Call
	ConsultEnded               // Call
	TransferOK                 //
	TransferBad                //
	SetVolume                  // Volume
	RecOn                      //
	RecOff                     //
	RecFailed                  //
	RecHealthy                 //
	HeadsetLost                //
	HeadsetBack                //
	numKinds
)

// Event is one thing that happened. At is on the caller's monotonic clock and
// never falls; members beside Kind and At are set as the Kind says.
type Event struct {
	Kind   Kind
	At     time.Duration
	Key    panel.Key
	Avail  Availability
	Agent  string
	Call   string
	Target string
	Code   int
	Volume int
	Reason string
}

// EffectKind is something the seat must do.
type EffectKind uint8

const (
	ShowLamps     EffectKind = iota // from Lamps(State)
	TellPBX                         // Avail
	StartRing                       // ring tone in ear and on the desk
	StopRing                        //
	AnswerCall                      // Call
	RejectCall                      // Call with Code
	HangUpCall                      // Call: BYE or CANCEL
	HoldCall                        //
	ResumeCall                      //
	StartDial                       // Call to Target
	DialConsult                     // Target
	HangUpConsult                   // Call
	SendTransfer                    // REFER: Blind to Target, else Call replaces Consult
	MuteMic                         // On
	SetGain                         // dB
	CueHold                         // R22, 15 s
	AlarmHold                       // R22, 30 s
	CueMute                         // R23
	CueUnmute                       // R23
	PauseRec                        //
	ResumeRec                       //
	AlarmRec                        // start or stop the REC-failed alarm: On
	AskHelp                         // tell the supervisor
	ShowView                        // something the page shows changed
)

// Effect is a value, so tests can compare it.
type Effect struct {
	Kind   EffectKind
	Call   string
	Target string
	Avail  Availability
	Code   int
	DB     int
	On     bool
	Blind  bool
}
