package hooks

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// globs is glob as one would define it: * is nothing, or one character and *.
func globs(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern[0] == '*':
		return globs(pattern[1:], text) || text != "" && globs(pattern, text[1:])
	default:
		return text != "" && text[0] == pattern[0] && globs(pattern[1:], text[1:])
	}
}

func TestGlobIsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab.*]{0,8}`).Draw(t, "pattern")
		text := rapid.StringMatching(`[ab.]{0,10}`).Draw(t, "text")
		if got, want := glob(pattern, text), globs(pattern, text); got != want {
			t.Fatalf("glob(%q, %q) is %v", pattern, text, got)
		}
	})
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"message.*", "message.delivered", true}, {"message.*", "message", false}, {"*.read", "message.read", true}, {"message.read", "message.read", true},
		{"message.read", "message.reader", false}, {"*", "", true}, {"a*a", "a", false}, {"m*.*d", "message.read", true}, {"*a*a", "a", false}, {"*ab*b*", "ab", false},
	} {
		if got := glob(c.pattern, c.text); got != c.want {
			t.Errorf("glob(%q, %q) is %v", c.pattern, c.text, got)
		}
	}
}

// What goes where, against the sentences of Target's fields.
func TestFiltersAreTheirSentences(t *testing.T) {
	words := rapid.SampledFrom([]string{"message.sent", "message.read", "consent.revoked", "messages", "account_update", "flows"})
	patterns := rapid.SliceOfN(rapid.SampledFrom([]string{"*", "message.*", "*.read", "consent.revoked", "messages", "m*", "account_*"}), 0, 3)
	numbers := rapid.SliceOfN(rapid.SampledFrom([]string{loja, filial}), 0, 2)
	number := rapid.SampledFrom([]string{"", loja, filial, "200000000000003"})
	some := func(patterns []string, text string) bool {
		for _, p := range patterns {
			if globs(p, text) {
				return true
			}
		}
		return len(patterns) == 0
	}
	rapid.Check(t, func(t *rapid.T) {
		target := Target{Mode: rapid.SampledFrom([]Mode{Events, Passthrough}).Draw(t, "mode"), Numbers: numbers.Draw(t, "numbers")}
		names := patterns.Draw(t, "patterns")
		if target.Mode == Events {
			target.Events = names
		} else {
			target.Fields = names
		}
		of := func(n string) bool { return n == "" || len(target.Numbers) == 0 || slices.Contains(target.Numbers, n) }
		e := Event{Type: words.Draw(t, "type"), Number: number.Draw(t, "number")}
		if got, want := target.wantsEvent(&e), target.Mode == Events && some(names, e.Type) && of(e.Number); got != want {
			t.Fatalf("%+v wants %+v: %v", target.Events, e, got)
		}
		var changes []Change
		passes := false
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			c := Change{Field: words.Draw(t, "field"), Number: number.Draw(t, "number")}
			changes = append(changes, c)
			passes = passes || some(names, c.Field) && of(c.Number)
		}
		if got, want := target.wantsCallback(changes), target.Mode == Passthrough && (passes || len(changes) == 0); got != want {
			t.Fatalf("%+v wants %+v: %v", target.Fields, changes, got)
		}
	})
}

func TestBackoff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		failing := time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "failing"))
		r := rapid.Float64Range(0, 0.999).Draw(t, "r")
		d := backoff(failing, false, r)
		if down := backoff(failing*20, true, r); down != d {
			t.Fatalf("in an outage of %v it waits %v, want %v", failing*20, down, d)
		}
		if d < time.Second || d > time.Hour {
			t.Fatalf("after %v it waits %v", failing, d)
		}
		if lo, hi := failing*8/10, failing*12/10; lo > time.Second && hi < time.Hour && (d < lo-time.Millisecond || d > hi+time.Millisecond) {
			t.Fatalf("after %v it waits %v", failing, d)
		}
	})
}

// A target that answers again is found within a twentieth (and the jitter) of the
// time it was away, and within a minute or ten; meanwhile it is asked less and
// less.
func TestHealth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		away := time.Duration(rapid.Int64Range(0, int64(72*time.Hour)).Draw(t, "away"))
		now := began
		var h health
		mode := rapid.SampledFrom([]Mode{Events, Passthrough}).Draw(t, "mode")
		requests := 0
		for now.Before(began.Add(away)) {
			if h.may(now, 1, 16) > 0 && h.down() {
				t.Fatal("two at a time while it is away")
			}
			if h.may(now, 0, 16) > 0 {
				requests++
				h.failure(now, 0, mode.probe(), rapid.Float64Range(0, 0.999).Draw(t, "r"))
			}
			if h.down() {
				now = h.retry
			} else {
				now = now.Add(time.Second)
			}
		}
		found := now.Sub(began.Add(away))
		if limit := min(max(away*6/100, 1200*time.Millisecond)+time.Second, mode.probe()); found > limit {
			t.Fatalf("away for %v, found %v later", away, found)
		}
		if requests > 250+int(away/mode.probe()*5/4) {
			t.Fatalf("%d requests in %v", requests, away)
		}
		h.reset()
		if h.may(now, 15, 16) != 1 || h.may(now, 16, 16) > 0 {
			t.Fatal("after an answer it is not as before")
		}
	})
}

func TestJudge(t *testing.T) {
	want := map[verdict][]int{
		arrived: {200, 201, 202, 204, 299},
		gone:    {410},
		away:    {300, 301, 302, 303, 304, 307, 308, 401, 403, 404, 405, 429, 503},
		failed:  {101, 400, 402, 406, 408, 409, 411, 413, 415, 422, 425, 500, 501, 502, 504, 507, 599, 999},
	}
	for v, codes := range want {
		for _, code := range codes {
			if got := judge(code); got != v {
				t.Errorf("status %d is %v, want %v", code, got, v)
			}
		}
	}
	for code := range 1000 {
		if code < 200 || code > 299 {
			if judge(code) == arrived {
				t.Errorf("status %d has arrived", code)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	at := func(d time.Duration) string { return began.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		after, date string
		want        time.Duration
	}{
		{"", "", 0}, {"0", "", 0}, {"7", "", 7 * time.Second}, {"-7", "", 0}, {"99999999999999999999", "", 0}, {"4000", "", time.Hour},
		{"1e3", "", 0}, {at(90 * time.Second), at(0), 90 * time.Second}, {at(-time.Hour), at(0), 0}, {at(48 * time.Hour), at(0), time.Hour}, {at(time.Hour), "", 0},
	} {
		h := http.Header{}
		h.Set("Retry-After", c.after)
		h.Set("Date", c.date)
		if got := retryAfter(h); got != c.want {
			t.Errorf("Retry-After %q, Date %q: %v, want %v", c.after, c.date, got, c.want)
		}
	}
}
