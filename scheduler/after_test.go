package scheduler_test

import (
	"testing"
	"time"

	"janela/scheduler"
)

func TestAfter(t *testing.T) {
	for name, test := range map[string]struct{ expr, zone, from, want string }{
		"the same day":             {"30 3 * * *", "America/Sao_Paulo", "2026-11-23T06:29:59Z", "2026-11-23T06:30:00Z"},
		"at the instant: the next": {"30 3 * * *", "America/Sao_Paulo", "2026-11-23T06:30:00Z", "2026-11-24T06:30:00Z"},
		"in a lost hour":           {"30 2 * * *", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-08T07:00:00Z"},
		"after a lost hour":        {"30 2 * * *", "America/New_York", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"},
		"an hour that comes twice": {"30 1 * * *", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"},
		"in its second pass":       {"45 1 * * *", "America/New_York", "2026-11-01T06:10:00Z", "2026-11-02T06:45:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			from, err := time.Parse(time.RFC3339, test.from)
			if err != nil {
				t.Fatal(err)
			}
			got, err := scheduler.After(test.expr, test.zone, from)
			if err != nil || got.Format(time.RFC3339) != test.want {
				t.Errorf("%s %v, want %s", got.Format(time.RFC3339), err, test.want)
			}
		})
	}
	for _, bad := range [][2]string{{"@daily", "UTC"}, {"0 3 * * *", "Mars/Base"}, {"0 3 31 2 *", "UTC"}} {
		if got, err := scheduler.After(bad[0], bad[1], time.Now()); err == nil {
			t.Errorf("%q in %q fires at %v", bad[0], bad[1], got)
		}
	}
}
