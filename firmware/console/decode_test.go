package console_test

import (
	"net/url"
	"testing"

	"deskset/firmware/console"
	"deskset/firmware/panel"
)

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestDecodeAction(t *testing.T) {
	id, a, err := console.DecodeAction([]byte(` {"id":"7","kind":"press-key","key":"rec-pause","held":true} `))
	if err != nil || id != "7" || a != (console.Action{Kind: console.PressKey, Key: panel.RecPause, Held: true}) {
		t.Errorf("%q %+v %v", id, a, err)
	}
	if _, a, err := console.DecodeAction([]byte(`{"kind":"volume","db":-24}`)); err != nil || a.DB != -24 {
		t.Errorf("%+v %v", a, err)
	}
	for _, bad := range []string{
		``, ` `, `null`, `true`, `1`, `"kind"`, `[]`, `[{"kind":"ready"}]`, `{`, `{"kind"`, `{"kind":`, `{"kind":"ready"`, `{"kind":"ready",}`,
		`{"kind":"ready"}x`, `{"kind":"ready"}{"kind":"ready"}`, `{"kind":"ready","kind":"ready"}`, `{"KIND":"ready"}`, `{"kind":1}`,
		`{"kind":["ready"]}`, `{"kind":{"a":1}}`, `{"kind":null}`, `{"held":"true"}`, `{"held":1}`, `{"db":1.5}`, `{"db":"1"}`, `{"db":1e3}`,
		`{"db":99999999999}`, `{"x":1}`, `{"":""}`, "{\"kind\":\"\xff\"}", `{"kind":"ready","view":{}}`,
	} {
		if _, _, err := console.DecodeAction([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// What decodes and passes Check encodes to the same again, and says nothing
// to a log that it must not.
func FuzzDecodeAction(f *testing.F) {
	for _, s := range []string{
		`{"id":"1","kind":"press-key","key":"help","held":true}`, `{"kind":"dial","target":"801"}`, `{"kind":"volume","db":-3}`,
		`{"kind":"sign-in","agent":"1024","pin":"0000"}`, `{"kind":"busy","reason":"meal"}`, `{"kind":"dtmf","digit":"#"}`, `{"kind":"x"}`, `{}`, `[`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		id, a, err := console.DecodeAction(b)
		if err != nil {
			return
		}
		if a.Check() != nil {
			return
		}
		id2, a2, err := console.DecodeAction(console.EncodeAction(id, a))
		if err != nil || id2 != id || a2 != a {
			t.Fatalf("%q %+v became %q %+v (%v)", id, a, id2, a2, err)
		}
		if a.Kind == console.PressKey && (a.Key == panel.CaseOpen || a.Key == panel.Cradle) {
			t.Fatalf("an input can be pressed: %+v", a)
		}
		if len(a.Target) > 32 || len(a.PIN) > 32 {
			t.Fatalf("too long: %+v", a)
		}
	})
}
