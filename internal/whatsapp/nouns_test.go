package whatsapp

import (
	"testing"

	"pgregory.net/rapid"
)

func TestCallbackIDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := CallbackID{
			DB:      rapid.StringMatching(`[a-z0-9]{1,32}`).Draw(t, "db"),
			Message: rapid.Int64Min(1).Draw(t, "message"),
			Attempt: rapid.IntRange(1, 100).Draw(t, "attempt"),
		}
		if got, ok := ParseCallbackID(c.String()); !ok || got != c {
			t.Errorf("%s gives %+v, %t", c.String(), got, ok)
		}
		if len(c.String()) > 512 {
			t.Errorf("%s is longer than Meta allows", c.String())
		}
	})
	for _, s := range []string{"", "j1", "j1..1.1", "j1.a.0.1", "j1.a.1.0", "j1.a.-1.1", "j1.a.x.1", "j1.a.1.1.1", "j1.a.99999999999999999999.1", "ob:01JABC"} {
		if c, ok := ParseCallbackID(s); ok {
			t.Errorf("%q is read as %+v", s, c)
		}
	}
}

func TestCategories(t *testing.T) {
	for in, want := range map[string]Category{"MARKETING": Marketing, " utility ": Utility, "Authentication": Authentication} {
		if got, err := ParseCategory(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "service", "promo"} {
		if got, err := ParseCategory(in); err == nil {
			t.Errorf("%q is read as %q", in, got)
		}
	}
	for in, want := range map[string]Category{
		"marketing": Marketing, "MARKETING_LITE": Marketing, "authentication-international": Authentication, "authentication_international": Authentication,
		"utility": Utility, "service": Service, "referral_conversion": Service, "general_purpose_ai": Service,
	} {
		if got, ok := FoldPricing(in); !ok || got != want {
			t.Errorf("%q: %q, %t", in, got, ok)
		}
	}
	if got, ok := FoldPricing("group_marketing"); ok {
		t.Errorf("group_marketing is read as %q", got)
	}
	if !(Authentication.Lane() < Utility.Lane() && Utility.Lane() == Service.Lane() && Service.Lane() < Marketing.Lane()) {
		t.Error("the lanes are in the wrong order")
	}
	if Language(" pt-BR ") != "pt_BR" {
		t.Error("pt-BR is not normalised")
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{"": "", "1234567": "…", "+12025550100": "+12…00"} {
		if got := Mask(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWamidNamesAPerson(t *testing.T) {
	for w, want := range map[Wamid]Identity{
		"wamid.HBgNNTUxMTkwMDAwMDAwMRUCABEYEkQ5REY3OUE4OTI4NjE5MjUyMAA=": WaID("5511900000001").Identity(),
		"wamid.HBgLQlIuMTUwMjM5NDUVAgAA":                                 BSUID("BR.15023945").Identity(),
		"wamid.HBgNNTUxMTkwMDA=":                                         {}, // shorter than it says
		"wamid.HBgEYWJjZBUCAA==":                                         {}, // neither a number nor a BSUID
		"wamid.GBgNNTUxMTkwMDAwMDAwMRUCABEYEkQ5REY3OUE4OTI4NjE5MjUyMAA=": {},
		"wamid.HBg=": {}, "wamid.HBgA": {}, "wamid.1": {}, "": {},
	} {
		if got, ok := w.Person(); got != want || ok != !want.Zero() {
			t.Errorf("%q names %q (%s), %t; want %q", string(w), got.Value, got.Kind, ok, want.Value)
		}
	}
}
