// Package panel is the desk's panel in words: its keys, its lamps and how they
// blink, and the view of a seat that status, page and stream all show. Pure.
package panel

import "time"

// Key is one of the nine keys or two inputs of the panel.
type Key string

const (
	Answer   Key = "answer" // ANSWER / HANG-UP
	Busy     Key = "busy"
	ACW      Key = "acw"
	DND      Key = "dnd"
	Mute     Key = "mute"
	RecPause Key = "rec-pause" // held 1 s
	VolUp    Key = "vol-up"
	VolDown  Key = "vol-down"
	Help     Key = "help" // held 3 s
	CaseOpen Key = "case-open"
	Cradle   Key = "cradle"
)

// Keys in the panel's order.
var Keys = []Key{Answer, Busy, ACW, DND, Mute, RecPause, VolUp, VolDown, Help}

// Inputs are no keys: the panel's switches.
var Inputs = []Key{CaseOpen, Cradle}

// Lamp is one output of the panel.
type Lamp string

const (
	Beacon     Lamp = "beacon" // RGB
	LampAnswer Lamp = "answer"
	LampBusy   Lamp = "busy"
	LampACW    Lamp = "acw"
	LampDND    Lamp = "dnd"
	LampMute   Lamp = "mute"
	LampRec    Lamp = "rec"
	LampLink   Lamp = "link"
)

// Lamps in the panel's order.
var Lamps = []Lamp{Beacon, LampAnswer, LampBusy, LampACW, LampDND, LampMute, LampRec, LampLink}

// Colour of a lamp that is lit; single-colour lamps are On.
type Colour string

const (
	Off      Colour = "off"
	On       Colour = "on"
	White    Colour = "white"
	Green    Colour = "green"
	Blue     Colour = "blue"
	Red      Colour = "red"
	RedAmber Colour = "red-amber" // alternates
	Amber    Colour = "amber"
	Yellow   Colour = "yellow"
	Purple   Colour = "purple"
	Cyan     Colour = "cyan"
)

// Blink is the rhythm of a lamp. None is faster than 2 Hz.
type Blink string

const (
	Steady Blink = "steady"
	Slow   Blink = "slow"   // 0.5 Hz, 50 %
	Hz1    Blink = "1hz"    // 50 %
	Hz2    Blink = "2hz"    // 50 %
	Short  Blink = "short"  // 2 Hz, 100 ms on
	Double Blink = "double" // two flashes a 2 s period
)

// Light is what a lamp shows.
type Light struct {
	Colour Colour `json:"colour"`
	Blink  Blink  `json:"blink"`
}

// State is the agent's state as the panel, the page and the floor name it.
type State string

const (
	SignedOut State = "signed-out"
	Ready     State = "ready"
	Ringing   State = "ringing"
	Dialling  State = "dialling"
	Talking   State = "talking"
	Hold      State = "hold"
	WrapUp    State = "wrap-up"
	BusyState State = "busy"
	DNDState  State = "dnd"
	Offline   State = "offline"
)

// View is a seat at one moment, as the panel's page and `deskset status` show
// it. It is a value: nobody changes a View once it was given out.
type View struct {
	Seat     string         `json:"seat"`
	Firmware string         `json:"firmware"`
	Lang     string         `json:"lang"` // "zh-CN" or "en"
	State    State          `json:"state"`
	Since    time.Time      `json:"since"`             // when State began
	Pending  State          `json:"pending,omitempty"` // asked for, not yet confirmed or waiting for the call's end
	Agent    string         `json:"agent,omitempty"`
	Lamps    map[Lamp]Light `json:"lamps"`
	Links    Links          `json:"links"`
	Headset  Headset        `json:"headset"`
	Calls    []Call         `json:"calls"` // 0, 1, or 2 in a consultation; the first is the customer's
	Rec      Rec            `json:"rec"`
	Shift    []Item         `json:"shift"` // the signed-in agent's own calls, newest first; empty when signed out
	Health   []Health       `json:"health"`
	Notice   string         `json:"notice,omitempty"` // a sentence key for the agent, see console

	Until        time.Time `json:"until,omitzero"`         // when State ends by itself: wrap-up, a granted break
	Reason       string    `json:"reason,omitempty"`       // of busy: "break", "meal", "training", "meeting", "helping", "other"
	OverLimit    bool      `json:"over_limit,omitempty"`   // State has lasted longer than the floor allows
	ConfirmUntil time.Time `json:"confirm_until,omitzero"` // a second ANSWER press before this hangs up on a live customer, R27
	Limits       Limits    `json:"limits"`
}

// Limits are what the agent must know of the policy. Durations in seconds, 0
// where there is none.
type Limits struct {
	HoldCue       int  `json:"hold_cue"`       // tell the customer how it goes, R22
	HoldMax       int  `json:"hold_max"`       // longest hold, R22
	WrapUp        int  `json:"wrap_up"`        // whole length of wrap-up, R21
	WrapUpWarn    int  `json:"wrap_up_warn"`   // seconds before its end at which ACW blinks
	Rings         int  `json:"rings"`          // rings before the call goes back, R25
	Talk          int  `json:"talk"`           // soft hint only, R24
	Dial          bool `json:"dial"`           // some target may be dialled
	BlindTransfer bool `json:"blind_transfer"` // transfer without consultation
	PIN           bool `json:"pin"`            // signing in takes one
}

// Links the seat depends on.
type Links struct {
	PBX    bool   `json:"pbx"`
	Centre bool   `json:"centre"`
	PBXErr string `json:"pbx_err,omitempty"`
}

// Headset as the agent cares for it. Levels are dBFS peak, -96 when silent.
type Headset struct {
	Present bool    `json:"present"`
	Muted   bool    `json:"muted"`
	Volume  int     `json:"volume"` // dB against normal, -24..+6
	MicDB   float64 `json:"mic_db"`
	EarDB   float64 `json:"ear_db"`
}

// Call as the agent sees it.
type Call struct {
	ID        string    `json:"id"`
	Direction string    `json:"direction"` // "in" or "out"
	Peer      string    `json:"peer"`      // number as the PBX gave it
	Name      string    `json:"name,omitempty"`
	Queue     string    `json:"queue,omitempty"`
	Phase     string    `json:"phase"` // "ringing", "dialling", "talking", "held", "consult", "ended"
	Began     time.Time `json:"began"`
	Answered  time.Time `json:"answered,omitzero"`
	HeldSince time.Time `json:"held_since,omitzero"`
	Rings     int       `json:"rings,omitempty"`
	Digits    int       `json:"digits,omitempty"` // DTMF sent, a count only
}

// Rec is what is being recorded right now.
type Rec struct {
	On     bool      `json:"on"`
	Paused bool      `json:"paused"`
	Failed string    `json:"failed,omitempty"` // why, for a person
	Source string    `json:"source,omitempty"` // "taps" or "module"
	Until  time.Time `json:"until,omitzero"`   // end of a pause
}

// Item is one call of the agent's own shift and where its recording stands.
type Item struct {
	ID        string    `json:"id"`
	Direction string    `json:"direction"`
	Peer      string    `json:"peer"`
	Began     time.Time `json:"began"`
	Seconds   int       `json:"seconds"`
	Recording string    `json:"recording"` // "none", "sealed", "uploading", "receipted"
	KeptUntil time.Time `json:"kept_until,omitzero"`
}

// Health is one part of the seat, in words.
type Health struct {
	Part string `json:"part"`
	OK   bool   `json:"ok"`
	Code string `json:"code,omitempty"` // a sentence key of console, when there is one
	Text string `json:"text,omitempty"` // what is wrong and what to do
}
