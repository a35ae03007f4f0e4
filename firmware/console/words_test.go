package console_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"deskset/firmware/console"
	"deskset/firmware/panel"
)

func catalogue(t *testing.T, lang string) map[string]string {
	t.Helper()
	b, err := os.ReadFile("page/i18n/" + lang + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%s: %v", lang, err)
	}
	if n := strings.Count(string(b), "\": \""); n != len(m) {
		t.Errorf("%s: %d lines, %d keys: one is there twice", lang, n, len(m))
	}
	return m
}

func texts[T ~string](all ...T) (out []string) {
	for _, x := range all {
		out = append(out, string(x))
	}
	return out
}

// families are the keys that the page puts together: every member must have
// its sentence. A family marked open has a sentence to fall back on.
var families = map[string][]string{
	"error.":     append(slices.Clone(console.Codes), "lost"),
	"notice.":    console.Notices,
	"part.":      console.Parts,
	"health.":    console.HealthCodes,
	"state.":     texts(panel.SignedOut, panel.Ready, panel.Ringing, panel.Dialling, panel.Talking, panel.Hold, panel.WrapUp, panel.BusyState, panel.DNDState, panel.Offline),
	"calm.":      texts(panel.SignedOut, panel.Ready, panel.Ringing, panel.Dialling, panel.Talking, panel.Hold, panel.WrapUp, panel.BusyState, panel.DNDState, panel.Offline),
	"colour.":    texts(panel.On, panel.White, panel.Green, panel.Blue, panel.Red, panel.RedAmber, panel.Amber, panel.Yellow, panel.Purple, panel.Cyan),
	"light.":     append(texts(panel.Steady, panel.Slow, panel.Hz1, panel.Hz2, panel.Short, panel.Double), "off"),
	"reason.":    append(slices.Clone(console.Reasons), "none"),
	"phase.":     {"ringing", "dialling", "talking", "held", "consult", "ended"},
	"recording.": {"none", "sealed", "uploading", "receipted"},
	"key.":       texts(panel.Keys...),
	"ended.":     {console.ReasonSignedOut, console.ReasonExpired, console.ReasonReplaced, console.ReasonUnpaired, console.ReasonClosing},
	"theme.":     {"auto", "light", "dark"},
	"pair.":      {"none", "waiting", "confirmed", "busy", "lost"},
	"meter.":     {"mic", "ear"},
	// Lamps: the rows of the panel's table.
	"lamp.": {"answer.off", "answer.steady", "answer.1hz", "answer.2hz", "busy.off", "busy.steady", "busy.1hz", "busy.short",
		"acw.off", "acw.steady", "acw.1hz", "acw.short", "dnd.off", "dnd.steady", "dnd.short", "mute.off", "mute.steady",
		"rec.off", "rec.steady", "rec.1hz", "rec.2hz", "link.off", "link.steady", "link.slow"},
	"link.": {"pbx.ok", "pbx.lost", "centre.ok", "centre.lost"},
}

// Forms and buttons whose words are made of their own name.
var named = []string{"transfer.placeholder", "transfer.hint", "dial.placeholder", "dial.hint"}

var (
	whole   = regexp.MustCompile(`\b(?:t|has)\('([^']+)'`)
	choice  = regexp.MustCompile("\\bt\\(([^`;]*?\\?[^;]*?)[,)]")
	quoted  = regexp.MustCompile(`'([a-z][a-z0-9-]*(?:\.[a-z0-9.-]+)*)'`)
	pattern = regexp.MustCompile("`([a-z]+\\.)\\$\\{")
	button  = regexp.MustCompile(`\bbutton\('([a-z-]+)'`)
	word    = regexp.MustCompile("word: '([^']+)'")

	compared = regexp.MustCompile("=== '[^']*'")
	holes    = regexp.MustCompile(`\{\w+\}`)
)

func TestCataloguesAgree(t *testing.T) {
	zh, en := catalogue(t, "zh-CN"), catalogue(t, "en")
	for key := range zh {
		if _, ok := en[key]; !ok {
			t.Errorf("en lacks %q", key)
		}
	}
	han := regexp.MustCompile(`\p{Han}`)
	for key, s := range en {
		other, ok := zh[key]
		if !ok {
			t.Errorf("zh-CN lacks %q", key)
			continue
		}
		if strings.TrimSpace(s) == "" || strings.TrimSpace(other) == "" {
			t.Errorf("%q is empty", key)
		}
		a, b := holes.FindAllString(s, -1), holes.FindAllString(other, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Errorf("%q has %v in English, %v in Chinese", key, a, b)
		}
		if han.MatchString(s) {
			t.Errorf("%q is Chinese in en.json", key)
		}
		if strings.ContainsAny(holes.ReplaceAllString(other, ""), ",;:()?") {
			t.Errorf("%q has half-width punctuation in zh-CN.json: %s", key, other)
		}
	}
}

// Every key that the page uses has a sentence, and every sentence is used.
func TestEveryKeyHasItsSentence(t *testing.T) {
	en := catalogue(t, "en")
	used := map[string]bool{}
	for _, n := range named {
		used[n] = true
	}
	for prefix, members := range families {
		for _, m := range members {
			used[prefix+m] = true
		}
	}
	files, err := filepath.Glob("page/js/*.js")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d scripts: %v", len(files), err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		js := string(b)
		bare := compared.ReplaceAllString(js, "")
		for _, re := range []*regexp.Regexp{whole, button, word} {
			for _, m := range re.FindAllStringSubmatch(js, -1) {
				used[m[1]] = true
			}
		}
		for _, m := range choice.FindAllStringSubmatch(bare, -1) {
			for _, q := range quoted.FindAllStringSubmatch(m[1][strings.Index(m[1], "?"):], -1) {
				used[q[1]] = true
			}
		}
		for _, m := range pattern.FindAllStringSubmatch(js, -1) {
			if families[m[1]] == nil {
				t.Errorf("%s makes keys %s..., which this test does not know", name, m[1])
			}
		}
		if regexp.MustCompile(`\p{Han}`).MatchString(strings.ReplaceAll(js, "'中文'", "")) {
			t.Errorf("%s speaks Chinese by itself", name)
		}
		if regexp.MustCompile(`https?://[^w]|innerHTML|eval\(|insertAdjacentHTML|document\.write`).MatchString(js) {
			t.Errorf("%s reaches outside, or makes markup of text", name)
		}
	}
	for key := range used {
		if _, ok := en[key]; !ok {
			t.Errorf("%q is used and has no sentence", key)
		}
	}
	for key := range en {
		if !used[key] {
			t.Errorf("%q is never used", key)
		}
	}
}

// The lists that the page's tests and the seat rely on name each word once.
func TestWordLists(t *testing.T) {
	for name, list := range map[string][]string{"codes": console.Codes, "notices": console.Notices, "parts": console.Parts,
		"health codes": console.HealthCodes, "kinds": texts(console.Kinds...), "reasons": console.Reasons} {
		sorted := slices.Sorted(slices.Values(list))
		if len(slices.Compact(sorted)) != len(list) {
			t.Errorf("%s: one is there twice", name)
		}
	}
	b, err := os.ReadFile("words.go")
	if err != nil {
		t.Fatal(err)
	}
	for prefix, n := range map[string]int{"Code": len(console.Codes), "Notice": len(console.Notices)} {
		if got := len(regexp.MustCompile(`(?m)^\t`+prefix+`\w+ += "`).FindAll(b, -1)); got != n {
			t.Errorf("%d constants %s..., %d in their list", got, prefix, n)
		}
	}
}
