package whatsapp

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatchKey(t *testing.T) {
	// Pairs of a phone and the wa_id Meta may answer for the same person.
	pairs := map[string][2]string{}
	add := func(name, phone, waID string) { pairs[name] = [2]string{phone, waID} }
	add("us", "+12025550100", "12025550100")
	add("br example range", "+5511900000001", "5511900000001")
	for _, r := range liveNumbers(t) {
		d := strings.TrimPrefix(r.want, "+")
		switch {
		case r.name == "br mobile":
			add("br without the ninth digit", r.want, d[:4]+d[5:])
		case r.name == "mx":
			add("mx with the one", r.want, d[:2]+"1"+d[2:])
		case r.name == "ar mobile":
			add("ar without the nine", r.want, d[:2]+d[3:])
		}
	}
	if len(pairs) != 5 {
		t.Fatalf("%d pairs", len(pairs))
	}
	for name, p := range pairs {
		phone, waID := MatchKey(Phone(p[0]).Identity()), MatchKey(WaID(p[1]).Identity())
		if phone != waID || phone == "" {
			t.Errorf("%s: phone %q, wa_id %q", name, phone, waID)
		}
	}

	for _, c := range []struct{ in, want string }{
		{"+5511900000001", "5511900000001"}, // what remains starts with 0: no mobile of eight digits
		{"+551130000001", "551130000001"},
		{"", ""},
	} {
		if got := MatchKey(Identity{KindPhone, c.in}); got != c.want {
			t.Errorf("%s: %q, want %q", c.in, got, c.want)
		}
	}
	for _, kind := range []IdentityKind{KindBSUID, KindParentBSUID, ""} {
		if got := MatchKey(Identity{kind, "BR.5511900000001"}); got != "" {
			t.Errorf("%s: %q", kind, got)
		}
	}
}

// Whatever repair reads, the number before and after it is one person.
func TestMatchKeySurvivesRepairs(t *testing.T) {
	repaired := 0
	for _, r := range liveNumbers(t) {
		p, err := ParsePhone(r.in, r.region)
		if err != nil || len(p.Repairs) == 0 || !strings.HasPrefix(r.in, "+") {
			continue
		}
		repaired++
		if a, b := MatchKey(WaID(r.in).Identity()), MatchKey(p.Phone.Identity()); a != b {
			t.Errorf("%s: %q before, %q after", r.name, a, b)
		}
	}
	if repaired < 3 {
		t.Errorf("only %d repairs", repaired)
	}
}

func TestMatchKeyIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.StringMatching(`(55|52|54|1|49)?[0-9]{6,12}`).Draw(t, "digits")
		key := MatchKey(Identity{KindWaID, d})
		if again := MatchKey(Identity{KindWaID, key}); again != key {
			t.Errorf("%s: key %s, key of the key %s", d, key, again)
		}
		if p := MatchKey(Identity{KindPhone, "+" + d}); p != key {
			t.Errorf("%s: phone %s, wa_id %s", d, p, key)
		}
	})
}
