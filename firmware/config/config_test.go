package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const good = `board = "virtual"
state_dir = "state"
[centre]
url = "https://127.0.0.1:7443"
ca = "ca.pem"
[headset]
backend = "virtual"
`

func TestFaultsNameTheLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown", good + "colour = 1\n", `f.toml:8: unknown setting "headset.colour"`},
		{"syntax", "board = \n", "f.toml:1: "},
		{"type", "board = 3\n", "f.toml:1: "},
		{"bad centre", strings.Replace(good, "https", "http", 1), "f.toml:4: centre.url"},
		{"no centre", "board = \"virtual\"\n", "f.toml: centre.url: is missing"},
		{"no default microphone", strings.Replace(good, `"virtual"`+"\n", `"pulse"`+"\n", 2), "f.toml: headset.capture: is missing"},
		{"language", "language = \"fr\"\n" + good, "f.toml:1: language"},
		{"period", good + "period_ms = 500\n", "f.toml:8: headset.period_ms"},
		{"page without a port", good + "[console]\nlisten = \"127.0.0.1:panel\"\n", "f.toml:9: console.listen"},
		{"media from anywhere", good + "[media] # net\ninterface = \"0.0.0.0\"\n", "f.toml:9: media.interface"},
		{"huge", strings.Repeat("#", MaxSize+1), "bytes that a configuration can have"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f.toml", []byte(c.text))
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestEffectiveFileReadsBack(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f.toml")
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if f.StateDir != filepath.Join(dir, "state") || f.Console.Listen != "127.0.0.1:8443" {
		t.Errorf("%+v", f)
	}
	text, err := f.Text()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("effective", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if again.StateDir != f.StateDir || again.Headset != f.Headset || again.Centre != f.Centre {
		t.Errorf("effective file differs: %+v", again)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("[headset]\nperiod_ms = -1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse("f", b)
		if err != nil {
			return
		}
		text, err := file.Text()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse("g", text); err != nil {
			t.Fatalf("accepted file does not read back: %v\n%s", err, text)
		}
	})
}
