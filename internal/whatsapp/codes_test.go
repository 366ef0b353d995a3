package whatsapp

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLookupCode(t *testing.T) {
	for _, c := range []struct {
		code, status int
		class        Class
		accepted     Acceptance
		retry        time.Duration
		documented   bool
	}{
		{0, 401, ClassHaltAuth, AcceptedNo, 0, true},
		{1, 400, ClassUnknown, AcceptedMaybe, 0, true},
		{2, 503, ClassRetry, AcceptedNo, 0, true},
		{3, 500, ClassHaltAuth, AcceptedNo, 0, true}, // a 500 that is permanent
		{4, 400, ClassThrottleApp, AcceptedNo, 0, true},
		{10, 403, ClassHaltAuth, AcceptedNo, 0, true},
		{33, 400, ClassHaltNumber, AcceptedNo, 0, true},
		{100, 400, ClassStopCampaign, AcceptedNo, 0, true},
		{190, 401, ClassHaltAuth, AcceptedNo, 0, true},
		{199, 403, ClassDrop, AcceptedNo, 0, false},
		{200, 403, ClassHaltAuth, AcceptedNo, 0, true},
		{250, 403, ClassHaltAuth, AcceptedNo, 0, true},
		{299, 403, ClassHaltAuth, AcceptedNo, 0, true},
		{300, 403, ClassDrop, AcceptedNo, 0, false},
		{368, 0, ClassHaltAccount, AcceptedNo, 0, true},
		{80007, 400, ClassThrottleApp, AcceptedNo, 0, true},
		{130429, 400, ClassThrottleNumber, AcceptedNo, 0, true},
		{130429, 429, ClassThrottleNumber, AcceptedNo, 0, true},
		{131000, 500, ClassUnknown, AcceptedMaybe, 0, true},
		{131026, 0, ClassSuppressUser, AcceptedNo, 0, true},
		{131042, 400, ClassHaltPayment, AcceptedNo, 0, true},
		{131045, 500, ClassHaltNumber, AcceptedNo, 0, true},
		{131047, 0, ClassWindow, AcceptedNo, 0, true},
		{131048, 0, ClassPauseNumber, AcceptedNo, time.Hour, true},
		{131049, 0, ClassDropDefer, AcceptedNo, 24 * time.Hour, true},
		{131050, 0, ClassSuppressMarketing, AcceptedNo, 0, true},
		{131056, 400, ClassPair, AcceptedNo, 0, true},
		{131057, 500, ClassWaitNumber, AcceptedNo, 10 * time.Second, true},
		{132001, 404, ClassPauseTemplate, AcceptedNo, 0, true},
		{132015, 400, ClassPauseTemplate, AcceptedNo, 0, true},
		{134101, 400, ClassWaitTemplate, AcceptedNo, 10 * time.Minute, true},
		{134102, 500, ClassStopCampaign, AcceptedNo, 0, true},
		{2388330, 400, ClassDrop, AcceptedNo, 0, true},
		{999999, 500, ClassUnknown, AcceptedMaybe, 0, false},
		{999999, 503, ClassUnknown, AcceptedMaybe, 0, false},
		{999999, 302, ClassUnknown, AcceptedMaybe, 0, false},
		{999999, 200, ClassUnknown, AcceptedMaybe, 0, false},
		{999999, 400, ClassDrop, AcceptedNo, 0, false},
		{999999, 0, ClassDrop, AcceptedNo, 0, false},
		{-1, 500, ClassUnknown, AcceptedMaybe, 0, false},
	} {
		got := LookupCode(c.code, c.status)
		if got.Code != c.code || got.Class != c.class || got.Accepted != c.accepted || got.RetryAfter != c.retry || got.Documented != c.documented {
			t.Errorf("code %d, HTTP %d: %+v", c.code, c.status, got)
		}
	}
}

func TestCodesAreSortedAndComplete(t *testing.T) {
	last := -1
	for _, c := range Codes() {
		if c.Code <= last {
			t.Errorf("%d comes after %d, or ranges overlap", c.Code, last)
		}
		last = max(c.Code, c.Last)
		if c.Class == "" || c.Meaning == "" || c.Do == "" || !c.Documented {
			t.Errorf("%d is incomplete: %+v", c.Code, c)
		}
		// Only these two leave open whether Meta took the message.
		maybe := c.Code == 1 || c.Code == 131000
		if (c.Accepted == AcceptedMaybe) != maybe || (c.Class == ClassUnknown) != maybe {
			t.Errorf("%d: accepted %s, class %s", c.Code, c.Accepted, c.Class)
		}
	}
	Codes()[0].Class = "changed"
	if codeTable[0].Class == "changed" {
		t.Error("Codes hands out the table itself")
	}
}

// The search agrees with a walk over the table.
func TestLookupCodeProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		known := rapid.SampledFrom(Codes()).Draw(t, "known")
		code := known.Code + rapid.IntRange(-3, 120).Draw(t, "offset")
		status := rapid.SampledFrom([]int{0, 200, 307, 400, 404, 429, 500, 503}).Draw(t, "status")
		var want *Code
		for _, c := range Codes() {
			if code == c.Code || c.Last != 0 && code > c.Code && code <= c.Last {
				want = &c
			}
		}
		got := LookupCode(code, status)
		if got.Documented != (want != nil) {
			t.Fatalf("code %d: documented %t", code, got.Documented)
		}
		if want != nil && (got.Class != want.Class || got.Accepted != want.Accepted || got.Do != want.Do) {
			t.Fatalf("code %d: %+v, want %+v", code, got, *want)
		}
		if want == nil && (got.Accepted == AcceptedNo) != (status == 0 || status/100 == 4) {
			t.Fatalf("code %d, HTTP %d: accepted %s", code, status, got.Accepted)
		}
	})
}

// Meta's words say what some codes leave open.
func TestSaid(t *testing.T) {
	const noMedia = "(#100) Param template['components'][0]['parameters'][0]['image']['id'] is not a valid whatsapp business account media attachment ID"
	for _, test := range []struct {
		code  int
		words string
		want  Class
	}{
		{100, noMedia, ClassMedia},
		{131009, noMedia, ClassMedia},
		{132012, noMedia, ClassStopCampaign},
		{100, "(#100) Invalid parameter", ClassStopCampaign},
		{131009, "Ad sync incomplete, try again in 10 minutes", ClassWaitTemplate},
		{131009, "Parameter value is not valid", ClassStopCampaign},
		{130429, "sync", ClassThrottleNumber},
	} {
		got := LookupCode(test.code, 400).Said(test.words)
		if got.Class != test.want || got.Code != test.code || got.Accepted != AcceptedNo || got.Meaning == "" || got.Do == "" {
			t.Errorf("%d %q: %+v", test.code, test.words, got)
		}
		if want := LookupCode(134101, 0).RetryAfter; test.want == ClassWaitTemplate && got.RetryAfter != want {
			t.Errorf("again after %s, want %s", got.RetryAfter, want)
		}
	}
}
