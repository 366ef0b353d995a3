package scheduler

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestJudge(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	late := func(ds ...time.Duration) (out []waiting) {
		for _, d := range ds {
			out = append(out, waiting{civil: now.Add(-d).Format(civilMinute), due: now.Add(-d)})
		}
		return out
	}
	tried := func(ds ...time.Duration) []waiting {
		out := late(ds...)
		for i := range out {
			out[i].tried = true
		}
		return out
	}
	const f, m, s = stateFired, stateMissed, stateSkipped
	h := time.Hour
	for name, c := range map[string]struct {
		policy Missed
		ends   time.Time
		slots  []waiting
		want   []string
	}{
		"on time":                    {Skip, time.Time{}, late(0), []string{f}},
		"a minute":                   {Skip, time.Time{}, late(time.Minute), []string{f}},
		"more than a minute":         {Skip, time.Time{}, late(time.Minute + 1), []string{m}},
		"once":                       {RunOnce, time.Time{}, late(5*h, 2*h, h, 0), []string{m, s, f, f}},
		"once, just within":          {RunOnce, time.Time{}, late(2 * h), []string{f}},
		"once, just too late":        {RunOnce, time.Time{}, late(2*h + 1), []string{m}},
		"all":                        {RunAll, time.Time{}, late(5*h, 2*h, h, 0), []string{m, f, f, f}},
		"tried in time, skip":        {Skip, time.Time{}, tried(h), []string{f}},
		"tried in time, too late":    {Skip, time.Time{}, tried(3 * h), []string{m}},
		"tried is none of once":      {RunOnce, time.Time{}, append(tried(90*time.Minute), late(h)...), []string{f, f}},
		"the series ended":           {RunAll, now, late(h, 0), []string{m, m}},
		"the series ends after this": {RunAll, now.Add(1), late(h, 0), []string{f, f}},
		"nothing":                    {RunAll, time.Time{}, nil, nil},
	} {
		var got []string
		for _, v := range judge(c.policy, 2*h, c.ends, now, c.slots) {
			got = append(got, v.state)
			if v.state != f && v.note == "" {
				t.Errorf("%s: %s without a reason", name, v.state)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// The policies as sentences, over any set of slots.
func TestJudgeKeepsItsSentences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		policy := rapid.SampledFrom([]Missed{RunOnce, Skip, RunAll}).Draw(t, "policy")
		most := time.Duration(rapid.IntRange(0, 300).Draw(t, "max minutes")) * time.Minute
		gaps := rapid.SliceOfN(rapid.IntRange(1, 200), 0, 250).Draw(t, "gaps in seconds")
		slots := make([]waiting, len(gaps))
		at := now
		for i := len(gaps) - 1; i >= 0; i-- {
			slots[i] = waiting{civil: at.Format(civilMinute), due: at}
			at = at.Add(-time.Duration(gaps[i]) * time.Second)
		}
		var onTime, candidates, fired, firedLate int
		for i, v := range judge(policy, most, time.Time{}, now, slots) {
			late := now.Sub(slots[i].due)
			if late <= time.Minute {
				onTime++
				if v.state != stateFired {
					t.Fatalf("%v late is on time, and was %s", late, v.state)
				}
			} else if late <= most {
				candidates++
			}
			if v.state != stateFired {
				continue
			}
			fired++
			if late > time.Minute {
				firedLate++
			}
			if late > most && late > time.Minute {
				t.Fatalf("fired %v late, with at most %v", late, most)
			}
		}
		want := map[Missed]int{Skip: 0, RunOnce: min(candidates, 1), RunAll: candidates}[policy]
		if policy == RunAll && candidates > 100 {
			want = 1
		}
		if firedLate != want || fired != onTime+want {
			t.Fatalf("%s: %d of %d missed slots fired, want %d", policy, firedLate, candidates, want)
		}
	})
}

func TestRunAllWithTooManySaysSo(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	slots := make([]waiting, 101)
	for i := range slots {
		slots[i].due = now.Add(-time.Duration(200-i) * time.Minute)
	}
	v := judge(RunAll, 24*time.Hour, time.Time{}, now, slots)
	if last := v[100]; last.state != stateFired || !strings.Contains(last.note, "101 missed slots: more than 100") {
		t.Errorf("the newest is %+v", last)
	}
}
