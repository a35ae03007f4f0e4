package sipua

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseAddress(t *testing.T) {
	for _, c := range []struct {
		in   string
		want address
	}{
		{`<sip:a@b>`, address{URI: "sip:a@b"}},
		{`sip:a@b;tag=x`, address{URI: "sip:a@b", Params: []param{{"tag", "x"}}}},
		{`"A; \"B\" <c>" <sip:a@b;user=phone> ; TAG = "q;r" ; lr`, address{`A; "B" <c>`, "sip:a@b;user=phone", []param{{"TAG", "q;r"}, {"lr", ""}}}},
		{`Plain Name <tel:+49;phone-context=x>`, address{"Plain Name", "tel:+49;phone-context=x", nil}},
		{`*`, address{URI: "*"}},
	} {
		if got, err := parseAddress(c.in); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.in, got, err)
		}
	}
	for _, s := range []string{"", `"open <sip:a@b>`, `"x" sip:a@b`, "<sip:a@b", "<>", "a b <", "sip:a b"} {
		if a, err := parseAddress(s); err == nil {
			t.Errorf("%q read as %+v", s, a)
		}
	}
	if got := splitList(`"a, b" <sip:c,d@e>, <sip:f>;x="1,2",,g`); !reflect.DeepEqual(got, []string{`"a, b" <sip:c,d@e>`, `<sip:f>;x="1,2"`, "g"}) {
		t.Errorf("%q", got)
	}
	if got := withoutTag(`"a;tag=1" <sip:x;tag=2>;y=1 ; tag=3;z`); got != `"a;tag=1" <sip:x;tag=2>;y=1 ;z` && got != `"a;tag=1" <sip:x;tag=2>;y=1;z` {
		t.Errorf("%q", got)
	}
}

func TestUserPart(t *testing.T) {
	for in, want := range map[string]string{
		"sip:%2b49301@pbx;x=y": "+49301", "SIPS:a:b@h": "a", "tel:+49-30;ext=1": "+49-30", "sip:host": "",
		"mailto:a@b": "", "sip:+49;phone-context=x@h": "+49", "sip:%zz@h": "%zz", "": "",
	} {
		if got := userPart(in); got != want {
			t.Errorf("%s: %q", in, got)
		}
	}
}

func TestMaskAndClean(t *testing.T) {
	for in, want := range map[string]string{"+4930123456": "**56", "sip:5551234@x": "**34", "12": "**", "": ""} {
		if got := mask(in); got != want {
			t.Errorf("%s: %q", in, got)
		}
	}
	if got := clean(" a\x00\u202eb\nc\xff ", 64); got != "abc\ufffd" {
		t.Errorf("%q", got)
	}
	if got := clean(strings.Repeat("é", 100), 64); len([]rune(got)) != 64 {
		t.Errorf("%d runes", len([]rune(got)))
	}
}

func TestTargetURI(t *testing.T) {
	for in, want := range map[string]string{
		"600": "sip:600@d", "+49 30": "", "*78#": "sip:*78%23@d", "sip:a@b": "sip:a@b", "sip:b": "", "": "",
		"sip:a@b\r\nX: y": "", "a@b": "", "600>": "", "sip:a@b?Replaces=x": "",
	} {
		if got, err := targetURI(in, "d"); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestCompactAndFolded(t *testing.T) {
	m, err := parseMessage([]byte("OPTIONS sip:a@b SIP/2.0\r\nv: SIP/2.0/WS h;branch=z9hG4bK1\r\nVIA: SIP/2.0/WS g;branch=2\r\n" +
		"f: <sip:a@b>\r\n ;tag=1\r\nt: <sip:a@b>\r\ni: x\r\nCSEQ: 7  OPTIONS\r\nk: timer,\r\n\tpath\r\nl: 2\r\n\r\nhello"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Branch != "z9hG4bK1" || len(m.all("Via")) != 2 || m.FromTag != "1" || m.Seq != 7 || !m.lists("Supported", "PATH") || string(m.Body) != "he" {
		t.Errorf("%+v", m)
	}
}

func TestBackoffBounds(t *testing.T) {
	for n := range 100 {
		for _, long := range []bool{false, true} {
			limit := 4 * time.Second
			if long {
				limit = 60 * time.Second
			}
			if d := backoff(n, long, 0.999999); d > limit || n > 10 && d < limit*9/10 {
				t.Errorf("try %d: %v", n, d)
			}
			if d := backoff(n, long, 0); d != backoffLeast {
				t.Errorf("try %d: %v", n, d)
			}
		}
	}
}

func TestEncodeKeepsLines(t *testing.T) {
	b := encode("A sip:b\r\nX: y SIP/2.0", []header{{"H", "v\r\nEvil: 1"}}, []byte("body"))
	if strings.Contains(string(b), "\r\nEvil") || strings.Contains(string(b), "\r\nX:") || !strings.HasSuffix(string(b), "Content-Length: 4\r\n\r\nbody") {
		t.Errorf("%q", b)
	}
}
