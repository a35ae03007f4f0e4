package board

import "testing"

func TestNoLineIsUsedTwice(t *testing.T) {
	for _, b := range Models {
		used := map[string]string{}
		take := func(chip string, line int, by string) {
			at := chip + "/" + string(rune('0'+line/10)) + string(rune('0'+line%10))
			if other, taken := used[at]; taken {
				t.Errorf("%s: %s is used by %s and %s", b.Model, at, other, by)
			}
			used[at] = by
		}
		for _, k := range b.Keys {
			take(k.Chip, k.Line, k.Name)
		}
		for _, l := range b.Lamps {
			take(l.Chip, l.Line, l.Name+l.Part)
		}
		if len(b.Keys) != 11 || len(b.Lamps) != 10 {
			t.Errorf("%s has %d keys and inputs and %d lamp lines", b.Model, len(b.Keys), len(b.Lamps))
		}
	}
}

func TestFind(t *testing.T) {
	if _, err := Find("cm4"); err != nil {
		t.Error(err)
	}
	if _, err := Find("toaster"); err == nil {
		t.Error("found a toaster")
	}
}
