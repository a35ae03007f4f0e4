package roster_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deskset/firmware/centre"
	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/centretest"
	"deskset/firmware/centre/roster"
	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
)

func TestCSVErrorsNameThePlace(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		says string
	}{
		"empty":            {"", "line 1: the file is empty"},
		"unknown column":   {"seat,colour\nS-1,red\n", `line 1, column 2: unknown column "colour"`},
		"column twice":     {"seat,pbx_user,seat\n", "line 1, column 3: column \"seat\" is there twice"},
		"no seat column":   {"pbx_user\n1\n", `line 1: there is no column "seat"`},
		"no seats":         {"seat\n", "line 2: there is no seat"},
		"bad name":         {"seat\nS-1\nS 2\n", "line 3, column 1: seat name"},
		"bad url":          {"seat,pbx_url\nS-1,http://x\n", "line 2, column 2: "},
		"bad agents":       {"agents,seat\n70-41,S-1\n", "line 2, column 1: agents"},
		"too few":          {"seat,pbx_user\nS-1\n", "line 2: 1 fields, the first line has 2"},
		"too many":         {"seat\nS-1,x\n", "line 2: 2 fields"},
		"twice":            {"seat\nS-1\nS-2\nS-1\n", `line 4, column 1: seat "S-1" stands in line 2 already`},
		"blanks":           {"seat,pbx_user\nS-1, 8001\n", "line 2, column 2: blanks"},
		"quote":            {"seat,pbx_user\nS-1,a\"b\n", "line 2, column 6"},
		"not UTF-8":        {"seat\n\xff\n", "line 1: the file is not UTF-8"},
		"bad password":     {"seat,pbx_password\nS-1,\"top\tsecret\"\n", "line 2, column 2: too long, or has blanks"},
		"quoted new lines": {"seat,pbx_user\n\"S-1\",\"8\n001\"\nS-2,x\n", "line 2, column 2"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := roster.ParseCSV([]byte(c.in))
			var ce *roster.CSVError
			if !errors.As(err, &ce) || !strings.HasPrefix(err.Error(), c.says) {
				t.Fatalf("%+v, %v; want %s", got, err, c.says)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Error("the error repeats the password")
			}
		})
	}
	got, err := roster.ParseCSV([]byte("\xef\xbb\xbfpbx_user,seat,agents,pbx_password\r\n8001,S-1,7041 7042,\"p\"\"w,x\"\r\n8002,S-2,,\r\n"))
	if err != nil || len(got) != 2 || got[0].Name != "S-1" || got[0].Password != `p"w,x` || len(got[0].Agents) != 2 || got[1].User != "8002" {
		t.Fatalf("%+v, %v", got, err)
	}
}

// Whatever is read can be added as it is, and mistakes have a place.
func FuzzCSV(f *testing.F) {
	f.Add([]byte("seat,pbx_url,pbx_user,pbx_password,agents\nS-1,wss://p/ws,8001,pw,7041 7042\nS-2,,,,\n"))
	f.Add([]byte("seat\n\"S-1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := roster.ParseCSV(b)
		var ce *roster.CSVError
		if err != nil {
			if !errors.As(err, &ce) || ce.Line < 1 {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, n := range got {
			if fleet.SeatName(n.Name) != nil || filepath.Base(n.Name) != n.Name || seen[n.Name] || strings.ContainsAny(n.Password, "\n\r ") {
				t.Fatalf("%+v passes", n)
			}
			seen[n.Name] = true
		}
	})
}

func open(t *testing.T) *centre.Centre {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "c")
	if _, err := centre.Init(dir, "c1", nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	c, err := centre.Open(dir, time.Now, centretest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func addVoice(t *testing.T, c *centre.Centre) {
	t.Helper()
	v, err := authority.MakeVoiceKeys(filepath.Join(t.TempDir(), "v"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Keys.SetVoice(v); err != nil {
		t.Fatal(err)
	}
}

func TestImportIsAllOrNothing(t *testing.T) {
	c := open(t)
	ctx := t.Context()
	good := roster.New{Name: "S-1", URL: "wss://p/ws"}
	for name, list := range map[string][]roster.New{
		"no PBX anywhere": {good, {Name: "S-2"}},
		"bad name":        {good, {Name: "S 2", URL: "wss://p/ws"}},
	} {
		if _, err := c.Roster.Import(ctx, list, time.Hour); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	all, err := c.Seats.Seats(ctx)
	if err != nil || len(all) != 0 {
		t.Fatal("something was added", all, err)
	}
	if _, err := c.Roster.Import(ctx, []roster.New{good}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Roster.Import(ctx, []roster.New{{Name: "S-0", URL: "wss://p/ws"}, good}, time.Hour); err == nil {
		t.Error("a seat was added twice")
	}
	if all, _ := c.Seats.Seats(ctx); len(all) != 1 {
		t.Error("something was added")
	}
}

// The version rises with each change and only then, whoever asks.
func TestPolicyVersions(t *testing.T) {
	c := open(t)
	ctx := t.Context()
	if _, err := c.Roster.Add(ctx, roster.New{Name: "S-1", URL: "wss://pbx.example:8089/ws", Password: "hush"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Roster.Policy(ctx, "S-1"); !errors.Is(err, roster.ErrNotReady) {
		t.Fatalf("a policy without voice keys: %v", err)
	}
	addVoice(t, c)
	for range 3 {
		v, doc, err := c.Roster.Policy(ctx, "S-1")
		if err != nil || v != 1 {
			t.Fatal(v, err)
		}
		p, err := fleet.OpenPolicy(c.Public(), "S-1", doc)
		if err != nil || p.Version != 1 || p.PBX[0].Domain != "pbx.example" || p.PBX[0].User != "S-1" || p.PBX[0].Password != "hush" || p.PBX[0].Expires != 120 || len(p.Recording.Voice) != 2 {
			t.Fatalf("%+v %v", p, err)
		}
	}
	if err := c.Roster.Set(ctx, "S-1", roster.Own{Dial: &fleet.Dial{Internal: []string{"8002"}}}); err != nil {
		t.Fatal(err)
	}
	shown, err := c.Roster.Shown(ctx, "S-1")
	if err != nil || shown.Version != 2 || shown.Dial.Internal[0] != "8002" || shown.PBX[0].Password == "hush" {
		t.Fatalf("%+v %v", shown, err)
	}
	agents := []string{"7041"}
	if err := c.Roster.Set(ctx, "S-1", roster.Own{Agents: &agents}); err != nil {
		t.Fatal(err)
	}
	addVoice(t, c)
	if v, _, err := c.Roster.Policy(ctx, "S-1"); err != nil || v != 3 {
		t.Fatal(v, err)
	}
	bad := []string{"a b"}
	if c.Roster.Set(ctx, "S-1", roster.Own{Agents: &bad}) == nil || c.Roster.Set(ctx, "S-1", roster.Own{Dial: &fleet.Dial{Internal: []string{"0x"}}}) == nil {
		t.Error("nonsense was set")
	}
	if _, _, err := c.Roster.Policy(ctx, "S-2"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

func TestTokenRules(t *testing.T) {
	c := open(t)
	ctx := context.Background()
	a, err := c.Roster.Add(ctx, roster.New{Name: "S-1", URL: "wss://p/ws"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(a.Token, "dk1-") || len(a.Token) != 4+32 {
		t.Errorf("token %q", a.Token)
	}
	b, err := c.Roster.Token(ctx, "S-1", time.Hour)
	if err != nil || a.Token == b.Token {
		t.Fatal(b, err)
	}
	// The earlier one is over; nothing tells why.
	if _, err := c.Roster.Enrol(ctx, fleet.EnrolRequest{Token: a.Token, CSR: "x"}); !errors.Is(err, roster.ErrToken) {
		t.Error(err)
	}
	for _, life := range []time.Duration{0, time.Second, 365 * 24 * time.Hour} {
		if _, err := c.Roster.Token(ctx, "S-1", life); err == nil {
			t.Errorf("a token of %v", life)
		}
	}
	if _, err := c.Roster.Enrol(ctx, fleet.EnrolRequest{Token: strings.Repeat("x", 1000), CSR: "x"}); !errors.Is(err, roster.ErrToken) {
		t.Error(err)
	}
}
