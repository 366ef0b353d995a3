package scheduler_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"janela/scheduler"
)

func TestCheckCron(t *testing.T) {
	for _, c := range []struct{ expr, err, warning string }{
		{"0 9 * * *", "", ""},
		{"*/59 */23 */30 */11 */6", "", "either of them"}, // a step makes a day of cron's, not a star
		{"0 9 * * mon-Fri", "", ""},
		{"0,30 8-18/2 1 JAN,jul *", "", ""},
		{"5/10 * * * *", "", ""},
		{"\t0  9 * *\t* ", "", ""},
		{"0 9 1 * 1", "", "either of them"},
		{"0 0 29 2 *", "", "29 February only"},
		{"0 0 29 2 MON", "", "either of them"},
		{"0 0 31 2 *", "never fires", ""},
		{"0 0 30 2 *", "never fires", ""},
		{"0 0 31 4,6,9,11 *", "never fires", ""},
		{"", "has 0 fields", ""},
		{"0 9 * *", "has 4 fields", ""},
		{"0 0 9 * * *", "no field for seconds", ""},
		{"TZ=0", "time zone", ""},
		{"TZ=", "time zone", ""},
		{"CRON_TZ=America/Sao_Paulo", "time zone", ""},
		{"CRON_TZ=UTC 0 9 * * *", "time zone", ""},
		{" TZ=UTC 0 9 * * *", "time zone", ""},
		{"@daily", `"0 0 * * *"`, ""},
		{"@every 1h", "five fields", ""},
		{"@every -1s", "five fields", ""},
		{"*/70 * * * *", "the step 70", ""},
		{"*/60 * * * *", "the step 60", ""},
		{"0 */24 * * *", "the step 24", ""},
		{"10-20/30 * * * *", "the step 30", ""},
		{"*/0 * * * *", "above 0", ""},
		{"*/ * * * *", "above 0", ""},
		{"*/5/5 * * * *", "above 0", ""},
		{"0 9 * * 7", "Sunday is 0 or SUN", ""},
		{"0 9 * * 5-7", "Sunday is 0 or SUN", ""},
		{"0 9 * * seg", "SUN MON TUE", ""},
		{"0 9 * * FRI-MON", "backwards", ""},
		{"60 * * * *", "not between 0 and 59", ""},
		{"* 24 * * *", "not between 0 and 23", ""},
		{"* * 0 * *", "not between 1 and 31", ""},
		{"* * * 13 *", "not between 1 and 12", ""},
		{"1,,2 * * * *", "comma too many", ""},
		{", * * * *", "comma too many", ""},
		{"+5 * * * *", "not a number", ""},
		{"*-5 * * * *", "not a number", ""},
		{"*5 * * * *", "not a number", ""},
		{"1-2-3 * * * *", "not a number", ""},
		{"-1 * * * *", "not a number", ""},
		{"0 9 L * *", "not a number", ""},
		{"0 9 * * 1#2", "nor one of", ""},
		{"0 9 ? * *", "write *", ""},
		{"0 9 * * *\n", "does not belong", ""},
		{"０ 9 * * *", "does not belong", ""},
		{"99999999999999999999 * * * *", "not a number", ""},
	} {
		warnings, err := scheduler.CheckCron(c.expr)
		switch {
		case c.err == "" && err != nil:
			t.Errorf("%q: %v", c.expr, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: error %v, want %q", c.expr, err, c.err)
		case err == nil && (len(warnings) > 0) != (c.warning != ""), !strings.Contains(strings.Join(warnings, "\n"), c.warning):
			t.Errorf("%q: warnings %q, want %q", c.expr, warnings, c.warning)
		}
	}
}

func TestCheckAt(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ civil, zone, want, warning, err string }{
		{"2026-11-27T09:00:00", zone, "2026-11-27T12:00:00Z", "", ""},
		{"2026-11-27T09:00:00", "UTC", "2026-11-27T09:00:00Z", "", ""},
		{"2026-02-27T09:00:00", zone, "2026-02-27T12:00:00Z", "in the past, by 36h0m0s", ""},
		{"2062-11-27T09:00:00", zone, "2062-11-27T12:00:00Z", "year", ""},
		{"2026-11-01T01:30:00", "America/New_York", "2026-11-01T05:30:00Z", "comes twice", ""},
		{"2026-11-01T01:00:00", "America/New_York", "2026-11-01T05:00:00Z", "comes twice", ""},
		{"2026-11-01T00:59:59", "America/New_York", "2026-11-01T04:59:59Z", "", ""},
		{"2026-11-01T02:00:00", "America/New_York", "2026-11-01T07:00:00Z", "", ""},
		{"2026-03-08T02:30:00", "America/New_York", "", "", "from 2026-03-08T02:00 to 2026-03-08T03:00"},
		{"2026-03-08T02:00:00", "America/New_York", "", "", "does not exist"},
		{"2026-03-08T03:00:00", "America/New_York", "2026-03-08T07:00:00Z", "", ""},
		{"2026-10-04T02:15:00", "Australia/Lord_Howe", "", "", "from 2026-10-04T02:00 to 2026-10-04T02:30"},
		{"2011-12-30T12:00:00", "Pacific/Apia", "", "", "from 2011-12-30T00:00 to 2011-12-31T00:00"},
		{"2026-11-27T09:00:00", "", "", "", "time zone is missing"},
		{"2026-11-27T09:00:00", "Local", "", "", "time zone is missing"},
		{"2026-11-27T09:00:00", "America/Sampa", "", "", "not known"},
		{"2026-11-27T09:00:00", "../etc/passwd", "", "", "not known"},
		{"2026-11-27T09:00:00Z", zone, "", "", "without an offset"},
		{"2026-11-31T09:00:00", zone, "", "", "not a local date"},
		{"tomorrow", zone, "", "", "not a local date"},
	} {
		got, warnings, err := scheduler.CheckAt(c.civil, c.zone, now)
		all := strings.Join(warnings, "\n")
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s %s: error %v, want %q", c.civil, c.zone, err, c.err)
			}
		case err != nil:
			t.Errorf("%s %s: %v", c.civil, c.zone, err)
		case got.Format(time.RFC3339) != c.want:
			t.Errorf("%s %s: %s, want %s", c.civil, c.zone, got.Format(time.RFC3339), c.want)
		case !strings.Contains(all, c.warning) || (all != "") != (c.warning != ""):
			t.Errorf("%s %s: warnings %q, want %q", c.civil, c.zone, all, c.warning)
		}
	}
}

func TestSpecCheck(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	leap := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	base := scheduler.Spec{Zone: zone, Missed: scheduler.RunOnce}
	with := func(change func(*scheduler.Spec)) scheduler.Spec { s := base; change(&s); return s }
	for name, c := range map[string]struct {
		spec scheduler.Spec
		now  time.Time
		err  string
	}{
		"daily":            {with(func(s *scheduler.Spec) { s.Cron = "0 9 * * *" }), now, ""},
		"leap day, far":    {with(func(s *scheduler.Spec) { s.Cron = "0 9 29 2 *" }), now, "2028-02-29T09:00 for the first time"},
		"leap day, near":   {with(func(s *scheduler.Spec) { s.Cron = "0 9 29 2 *" }), leap, ""},
		"yearly":           {with(func(s *scheduler.Spec) { s.Cron = "0 9 22 11 *" }), now, ""},
		"yearly, skipped":  {with(func(s *scheduler.Spec) { s.Cron, s.SkipDates = "0 9 22 11 *", []string{"2027-11-22"} }), now, "within 366 days"},
		"ended":            {with(func(s *scheduler.Spec) { s.Cron, s.EndsAt = "0 9 * * *", "2026-11-24T09:00:00" }), now, "never fires before ends_at"},
		"not ended":        {with(func(s *scheduler.Spec) { s.Cron, s.EndsAt = "0 9 * * *", "2026-11-24T09:00:01" }), now, ""},
		"a date":           {with(func(s *scheduler.Spec) { s.At = "2026-11-27T09:00:00" }), now, ""},
		"a date in a gap":  {with(func(s *scheduler.Spec) { s.At, s.Zone = "2026-03-08T02:30:00", "America/New_York" }), now, "does not exist"},
		"a skipped date":   {with(func(s *scheduler.Spec) { s.At, s.SkipDates = "2026-11-27T09:00:00", []string{"2026-11-27"} }), now, "never fires"},
		"a date too late":  {with(func(s *scheduler.Spec) { s.At, s.EndsAt = "2026-11-27T09:00:00", "2026-11-27T09:00:00" }), now, "never fires"},
		"unsound":          {with(func(s *scheduler.Spec) {}), now, "exactly one"},
		"too much latency": {with(func(s *scheduler.Spec) { s.Cron, s.MaxLateness = "0 9 * * *", 367*24*time.Hour }), now, "max_lateness"},
	} {
		_, err := c.spec.Check(c.now)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: error %v, want %q", name, err, c.err)
		}
	}
}

func TestSpecAsJSON(t *testing.T) {
	spec := scheduler.Spec{Cron: "0  9 * * *", Zone: zone, SkipDates: []string{"2026-12-25", "2026-01-01", "2026-12-25"},
		EndsAt: "2026-12-31T00:00:00", Missed: scheduler.RunAll, MaxLateness: 90 * time.Minute}
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "text", string(text), `{"cron":"0 9 * * *","zone":"America/Sao_Paulo","skip_dates":["2026-01-01","2026-12-25"],`+
		`"ends_at":"2026-12-31T00:00:00","missed":"run_all","max_lateness":"1h30m0s"}`)
	var back scheduler.Spec
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "again", string(again), string(text))
}

// No text panics, and what is accepted fires when the oracle says.
func FuzzCheckCron(f *testing.F) {
	for _, spec := range specs {
		f.Add(spec)
	}
	for _, expr := range []string{"TZ=0", "CRON_TZ=America/Sao_Paulo", "TZ=", "@every 0s", "@daily", "*/70 * * * *", "0 0 31 2 *", "0 0 29 2 *",
		"0 9 * * 7", "1,,2 * * * *", "* * * * * *", "*-5 * * * *", "5/7,*/3 1-3/2 31 */2 sat-Sat"} {
		f.Add(expr)
	}
	after := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, expr string) {
		if _, err := scheduler.CheckCron(expr); err != nil {
			return
		}
		slots, err := scheduler.Spec{Cron: expr, Zone: "UTC", Missed: scheduler.Skip}.Upcoming(after, 3)
		if err != nil || len(slots) != 3 {
			t.Fatalf("%q was accepted and has %d slots: %v", expr, len(slots), err)
		}
		m, next := newMatcher(expr), after.Unix()/60+1
		for _, slot := range slots {
			due := slot.DueAt.Unix() / 60
			if !m.match(due) {
				t.Fatalf("%q: %s does not match", expr, slot.Civil)
			}
			for at := next; at < min(due, next+3*366*24*60); at++ {
				if m.match(at) {
					t.Fatalf("%q: %s was left out", expr, time.Unix(at*60, 0).UTC())
				}
			}
			next = due + 1
		}
	})
}
