package console

// ParseAction reads the JSON object of an action as API.md describes it, and
// checks it.
func ParseAction(b []byte) (Action, error) {
	_, a, err := decodeAction(b)
	if err != nil {
		return a, &Error{Code: CodeBadRequest, Text: err.Error()}
	}
	return a, a.Check()
}

// MarshalAction is the JSON object that ParseAction reads.
func MarshalAction(a Action) []byte { return encodeAction("", a) }
