package otp

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// rows makes the sends of a phone, from how long ago each was, the newest first.
func rowsAt(now int64, ago ...time.Duration) (out []sentCode) {
	for _, d := range ago {
		out = append(out, sentCode{At: now - d.Milliseconds()})
	}
	return out
}

const noon = int64(1_800_000_000_000)

func TestCooldown(t *testing.T) {
	verified := func(s []sentCode, i int, ago time.Duration) []sentCode {
		s[i].VerifiedAt = noon - ago.Milliseconds()
		return s
	}
	again := func(s []sentCode, i int) []sentCode { s[i].Again = true; return s }
	const m = time.Minute
	for _, c := range []struct {
		name string
		sent []sentCode
		want time.Duration // after the newest; 0 for none
	}{
		{"nothing sent", nil, 0},
		{"one", rowsAt(noon, m), 30 * time.Second},
		{"two", rowsAt(noon, m, 2*m), time.Minute},
		{"three", rowsAt(noon, m, 2*m, 5*m), 2 * time.Minute},
		{"six", rowsAt(noon, m, 2*m, 3*m, 4*m, 5*m, 6*m), 16 * time.Minute},
		{"never more than the hour that ends the run", rowsAt(noon, slices.Repeat([]time.Duration{m}, 30)...), time.Hour},
		{"a quiet hour between", rowsAt(noon, m, 61*m, 62*m), 30 * time.Second},
		{"nearly a quiet hour between", rowsAt(noon, m, 61*m-time.Millisecond, 62*m), 2 * time.Minute},
		{"a right code since", verified(rowsAt(noon, 2*m, 3*m), 1, m), 0},
		{"a right code between", verified(rowsAt(noon, 2*m, 3*m, 4*m), 1, 150*time.Second), 30 * time.Second},
		{"a right code in the instant of a send", verified(rowsAt(noon, 2*m, 3*m), 1, 2*m), 30 * time.Second},
		{"a repeat nobody asked for", again(rowsAt(noon, m, 2*m), 0), 30 * time.Second}, // after the one before it
	} {
		l := Limits{Cooldown: 30 * time.Second}
		from := int64(0)
		if i := slices.IndexFunc(c.sent, func(s sentCode) bool { return !s.Again }); i >= 0 {
			from = c.sent[i].At
		}
		want := from + c.want.Milliseconds()
		if c.want == 0 {
			want = 0
		}
		if got := cooldown(c.sent, &l); got != want {
			t.Errorf("%s: until %d ms after the newest, want %s", c.name, got-from, c.want)
		}
		l.Cooldown = -1
		if got := cooldown(c.sent, &l); got != 0 {
			t.Errorf("%s: off, and until %d", c.name, got)
		}
	}
}

func TestBackoff(t *testing.T) {
	const m = time.Minute
	for sent, want := range []time.Duration{0, 0, 0, 0, 0, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, 64 * m, 128 * m, 256 * m, 512 * m, 1024 * m, day, day, day} {
		rows := rowsAt(noon, slices.Repeat([]time.Duration{m / 2}, sent)...)
		got := backoff(rows, &Limits{Unverified: 5}, noon)
		if want > 0 && got != rows[0].At+want.Milliseconds() || want == 0 && got != 0 {
			t.Errorf("after %d unverified: until %d ms later, want %s", sent, got-noon, want)
		}
	}
	old := rowsAt(noon, m, 2*m, 3*m, 4*m, 5*m, week-m, week-m, week, week)
	if got, want := backoff(old, &Limits{Unverified: 5}, noon), old[0].At+(8*m).Milliseconds(); got != min(want, old[6].At+week.Milliseconds()) {
		t.Errorf("what is a week old counts: %d, want %d", got, want)
	}
	old[5].VerifiedAt = noon - (3 * m).Milliseconds()
	if got := backoff(old, &Limits{Unverified: 5}, noon); got != 0 {
		t.Errorf("after a right code, two unverified: until %d", got)
	}
}

func TestForcedLimits(t *testing.T) {
	one := rowsAt(noon, time.Hour)
	for _, c := range []struct {
		name  string
		limit func(n int) int64
	}{
		{"a window", func(n int) int64 { return full(one, n, day) }},
		{"a budget", func(n int) int64 { return budget(10, n, 5, noon) }},
		{"a crowd", func(n int) int64 {
			return crowd(one, n, 0, day, func(sentCode) (string, bool) { return "other", true })
		}},
		{"a rate", func(n int) int64 { _, until := gcra(0, noon, float64(n), 1); return until }},
		{"a burst", func(n int) int64 { _, until := gcra(0, noon, 1, float64(n)); return until }},
	} {
		if got := c.limit(0); got != never {
			t.Errorf("%s of 0 opens at %d: it must forbid everything", c.name, got)
		}
		if got := c.limit(-1); got > noon {
			t.Errorf("%s of -1 is closed until %d: it must be off", c.name, got)
		}
	}
	f := facts{limits: quietLimits(), max: -1, proven: true}
	if out := f.refusals(noon); len(out) != 1 || out[0] != (refusal{ruleCap, never}) {
		t.Errorf("the cap has no off: %v", out)
	}
}

// In any time there are at most the burst and what the rate gives meanwhile.
func TestRateIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.SampledFrom([]float64{0.01, 0.5, 1, 7, 40}).Draw(t, "rate")
		burst := rapid.IntRange(1, 20).Draw(t, "burst")
		var passed []int64
		tat, now := int64(0), noon
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			now += rapid.SampledFrom([]int64{0, 0, 1, 25, 1000, 60_000}).Draw(t, "pause")
			next, until := gcra(tat, now, perSecond, float64(burst))
			if until == 0 {
				tat, passed = next, append(passed, now)
				continue
			}
			if _, early := gcra(tat, until-1, perSecond, float64(burst)); early == 0 {
				t.Fatalf("told to wait until %d, and a ms less is enough", until)
			}
			if _, late := gcra(tat, until, perSecond, float64(burst)); late != 0 {
				t.Fatalf("told to wait until %d, and then until %d", until, late)
			}
		}
		for i := range passed {
			for j := range i + 1 {
				if n, most := i-j+1, float64(burst)+perSecond*float64(passed[i]-passed[j])/1000; float64(n) > most+1e-6 {
					t.Fatalf("%d requests in %d ms, at most %g", n, passed[i]-passed[j], most)
				}
			}
		}
	})
}

func TestBuckets(t *testing.T) {
	for _, at := range []int64{noon, noon + 1, noon + 599_999, noon + 600_000, noon + 3_599_999} {
		b := bucketOf(at)
		if from := b * 600_000; from > at || at-from >= 600_000 {
			t.Errorf("%d is not in the bucket from %d", at, from)
		}
		if h := hourBucket(b); h%bucketsOfHour != 0 || b-h < 0 || b-h >= bucketsOfHour {
			t.Errorf("the hour of bucket %d begins at %d", b, h)
		}
	}
}

// A caller learns a stable code, a coarse scope, and when to come again.
func TestDenial(t *testing.T) {
	digits := regexp.MustCompile(`[0-9]`)
	for rule, want := range map[string]Denied{
		ruleCooldown: {Code: CodeRateLimited, Scope: "phone"}, rulePhone10m: {Code: CodeRateLimited, Scope: "phone"},
		rulePhoneHour: {Code: CodeRateLimited, Scope: "phone"}, rulePhoneDay: {Code: CodeRateLimited, Scope: "phone"},
		ruleUnverified: {Code: CodeRateLimited, Scope: "phone"}, ruleFailures: {Code: CodePhoneLocked, Scope: "phone"}, ruleLock: {Code: CodePhoneLocked, Scope: "phone"},
		ruleIP10m: {Code: CodeRateLimited, Scope: "source"}, ruleIPHour: {Code: CodeRateLimited, Scope: "source"}, ruleIPDay: {Code: CodeRateLimited, Scope: "source"},
		ruleIPPhones: {Code: CodeRateLimited, Scope: "source"}, ruleIPCountries: {Code: CodeRateLimited, Scope: "source"},
		ruleVerifyIP: {Code: CodeRateLimited, Scope: "source"}, ruleClient: {Code: CodeRateLimited, Scope: "source"},
		rulePrefix: {Code: CodePumping, Scope: "service"}, ruleCountryDay: {Code: CodePumping, Scope: "service"}, ruleCountryHour: {Code: CodePumping, Scope: "service"},
		ruleCap: {Code: CodeRateLimited, Scope: "service"}, ruleService: {Code: CodeRateLimited, Scope: "service"},
	} {
		d := denial(rule, noon, noon+1500)
		if d.Code != want.Code || d.Scope != want.Scope || d.Rule != rule || d.RetryAfter != 1500*time.Millisecond {
			t.Errorf("%s: %+v", rule, d)
		}
		if d.Detail == "" || digits.MatchString(d.Detail) {
			t.Errorf("%s tells a caller %q", rule, d.Detail)
		}
		if regexp.MustCompile(`\b`+rule+`\b`).MatchString(d.Error()) && rule != ruleLock {
			t.Errorf("%s is named in %q", rule, d.Error())
		}
		if d := denial(rule, noon, never); d.RetryAfter != 0 {
			t.Errorf("%s: never, and told to wait %s", rule, d.RetryAfter)
		}
	}
}
