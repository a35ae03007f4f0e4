package settings_test

import (
	"strings"
	"testing"

	"deskset/firmware/centre/settings"
)

func TestRoundTripAndErrors(t *testing.T) {
	f := settings.Default("centre-1", []string{"centre.example", "10.0.0.5"})
	b, err := f.Text()
	if err != nil {
		t.Fatal(err)
	}
	got, err := settings.Parse(b)
	if err != nil || got.Name != "centre-1" || got.Recording.RetainDays != 30 || len(got.Dial.Emergency) != 4 {
		t.Fatalf("%+v %v", got, err)
	}
	text := string(b)
	for name, c := range map[string][2]string{
		"unknown":       {text + "colour = 1\n", "unknown setting"},
		"syntax":        {"name = \n", "line 1"},
		"short keeping": {strings.Replace(text, "retain_days = 30", "retain_days = 29", 1), "not within 30"},
		"bad host":      {strings.Replace(text, "centre.example", "centre.example:8443", 1), "without port"},
		"bad number":    {strings.Replace(text, "'110'", "'11x'", 1), "is not a number"},
		"bad basis":     {strings.Replace(text, "centre-policy'", "because'", 1), "recording.basis"},
		"bad name":      {strings.Replace(text, "'centre-1'", "'a b'", 1), "name"},
		"empty":         {"", "name"},
	} {
		if _, err := settings.Parse([]byte(c[0])); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v, want %q", name, err, c[1])
		}
	}
}

func FuzzParse(f *testing.F) {
	b, err := settings.Default("c", []string{"localhost"}).Text()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := settings.Parse(b)
		if err != nil {
			return
		}
		text, err := s.Text()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := settings.Parse(text); err != nil {
			t.Fatalf("what was good is not after writing: %v\n%s", err, text)
		}
	})
}
