package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"deskset/firmware/panel"
)

// maxMessage is the longest message from a page, in bytes.
const maxMessage = 4 << 10

// decodeAction reads one flat JSON object. It is stricter than encoding/json:
// names count exactly, none is unknown or there twice, nothing follows, no
// value is null or of another type. id is the page's own mark, given back with
// the reply; it is returned as far as it was read, for the error's reply.
func decodeAction(b []byte) (id string, a Action, err error) {
	if len(b) > maxMessage {
		return "", a, errors.New("too long")
	}
	if !utf8.Valid(b) {
		return "", a, errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return "", a, errors.New("not an object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return id, a, errors.New("broken object")
		}
		if seen[name] {
			return id, a, fmt.Errorf("%q is there twice", name)
		}
		seen[name] = true
		value, err := dec.Token()
		if err != nil {
			return id, a, errors.New("broken object")
		}
		if err := set(&id, &a, name, value); err != nil {
			return id, a, err
		}
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('}') {
		return id, a, errors.New("broken object")
	}
	if _, err := dec.Token(); err != io.EOF {
		return id, a, errors.New("something follows the object")
	}
	return id, a, nil
}

func set(id *string, a *Action, name string, value json.Token) error {
	texts := map[string]*string{"id": id, "kind": (*string)(&a.Kind), "key": (*string)(&a.Key), "call": &a.Call,
		"digit": &a.Digit, "target": &a.Target, "agent": &a.Agent, "pin": &a.PIN, "lang": &a.Lang, "reason": &a.Reason}
	switch p, ok := texts[name]; {
	case ok:
		s, isText := value.(string)
		if !isText || len(s) > 256 {
			return fmt.Errorf("%q is no short text", name)
		}
		*p = s
	case name == "held":
		v, isBool := value.(bool)
		if !isBool {
			return fmt.Errorf("%q is neither true nor false", name)
		}
		a.Held = v
	case name == "db":
		n, isNumber := value.(json.Number)
		v, err := n.Int64()
		if !isNumber || err != nil || v < math.MinInt32 || v > math.MaxInt32 {
			return fmt.Errorf("%q is no whole number", name)
		}
		a.DB = int(v)
	default:
		return fmt.Errorf("unknown member %q", name)
	}
	return nil
}

// encodeAction is the message that decodeAction reads.
func encodeAction(id string, a Action) []byte {
	b, err := json.Marshal(struct {
		ID     string    `json:"id,omitempty"`
		Kind   Kind      `json:"kind"`
		Key    panel.Key `json:"key,omitempty"`
		Held   bool      `json:"held,omitempty"`
		Call   string    `json:"call,omitempty"`
		Digit  string    `json:"digit,omitempty"`
		Target string    `json:"target,omitempty"`
		Agent  string    `json:"agent,omitempty"`
		PIN    string    `json:"pin,omitempty"`
		Lang   string    `json:"lang,omitempty"`
		Reason string    `json:"reason,omitempty"`
		DB     int       `json:"db,omitempty"`
	}{id, a.Kind, a.Key, a.Held, a.Call, a.Digit, a.Target, a.Agent, a.PIN, a.Lang, a.Reason, a.DB})
	if err != nil { // strings, bools and ints always marshal
		return nil
	}
	return b
}
