package scheduler_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"janela/scheduler"
)

// The oracle knows nothing of zone boundaries nor of cron's library. It reads
// the wall clock at every minute of UTC and the expression as text.

// minuteOf is a civil minute as the oracle counts: minutes since 1970 on the
// wall.
type minuteOf = int64

func wall(t time.Time, loc *time.Location) minuteOf {
	l := t.In(loc)
	return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC).Unix() / 60
}

func minuteNamed(t *testing.T, civil string) minuteOf {
	at, err := time.Parse("2006-01-02T15:04", civil)
	if err != nil {
		t.Fatal(err)
	}
	return at.Unix() / 60
}

// matcher is a naive cron expression: one set of values per field.
type matcher struct {
	sets [5][60]bool
	any  [5]bool
}

func newMatcher(expr string) (m matcher) {
	limits := [5][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}}
	names := map[string]int{}
	for i, n := range strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec") {
		names[n] = i + 1
	}
	for i, n := range strings.Fields("sun mon tue wed thu fri sat") {
		names[n] = i
	}
	num := func(s string) int {
		if n, ok := names[strings.ToLower(s)]; ok {
			return n
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			panic(err)
		}
		return n
	}
	for i, text := range strings.Fields(expr) {
		for item := range strings.SplitSeq(text, ",") {
			base, step := item, 1
			from, to := limits[i][0], limits[i][1]
			if b, s, ok := strings.Cut(item, "/"); ok {
				base, step = b, num(s)
			}
			if base == "*" {
				m.any[i] = m.any[i] || step == 1
			} else if a, b, ok := strings.Cut(base, "-"); ok {
				from, to = num(a), num(b)
			} else if from = num(base); !strings.Contains(item, "/") {
				to = from
			}
			for v := from; v <= to; v += step {
				m.sets[i][v] = true
			}
		}
	}
	return m
}

func (m matcher) match(at minuteOf) bool {
	if !m.sets[0][at%60] {
		return false
	}
	t := time.Unix(at*60, 0).UTC()
	dom, dow := m.sets[2][t.Day()], m.sets[4][int(t.Weekday())]
	day := dom || dow
	if m.any[2] || m.any[4] {
		day = dom && dow
	}
	return m.sets[1][t.Hour()] && m.sets[3][int(t.Month())] && day
}

// transitions finds the hours in which a zone's offset changes.
func transitions(loc *time.Location, from, to time.Time) (out []time.Time) {
	_, last := from.In(loc).Zone()
	for t := from; t.Before(to); t = t.Add(time.Hour) {
		if _, offset := t.In(loc).Zone(); offset != last {
			out, last = append(out, t), offset
		}
	}
	return out
}

// days is the wall clock around a transition, minute by minute.
type days struct {
	start time.Time
	walls []minuteOf
	first map[minuteOf]int // where a civil minute is shown first
}

func scan(loc *time.Location, start time.Time, length time.Duration) days {
	d := days{start: start, first: map[minuteOf]int{}}
	for i := range int(length / time.Minute) {
		w := wall(start.Add(time.Duration(i)*time.Minute), loc)
		d.walls = append(d.walls, w)
		if _, seen := d.first[w]; !seen {
			d.first[w] = i
		}
	}
	return d
}

// expected lists the instants at which m fires in (from, to], as minutes since
// d.start: every civil minute at its first showing, and one that is never shown
// at the first minute after it that is.
func (d days) expected(m matcher, from, to int) []int {
	at := map[int]bool{}
	for civil, last := slices.Min(d.walls), slices.Max(d.walls); civil <= last; civil++ {
		if !m.match(civil) {
			continue
		}
		shown := civil
		for {
			if i, ok := d.first[shown]; ok {
				if i > from && i <= to {
					at[i] = true
				}
				break
			}
			shown++
		}
	}
	var out []int
	for i := range at {
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}

var zones = []string{
	"America/Sao_Paulo", "America/New_York", "America/Havana", "America/Asuncion", "America/Santiago", "America/St_Johns",
	"America/Mexico_City", "Asia/Beirut", "Asia/Tehran", "Asia/Kathmandu", "Asia/Pyongyang", "Africa/Cairo", "Africa/Casablanca",
	"Australia/Lord_Howe", "Pacific/Apia", "Europe/Lisbon", "Atlantic/Azores", "Europe/Istanbul", "Antarctica/Troll",
}

var specs = []string{
	"0 0 * * *", "30 0 * * *", "59 23 * * *", "30 23 * * *", "0 1 * * *", "30 1 * * *", "15 2 * * *", "30 2 * * *", "0 3 * * *",
	"45 1 * * SUN", "0 0 * * 0", "0 9 * * MON-FRI", "30 8 * * *", "0 * * * *", "*/15 * * * *", "10-50/20 0-3 * * *", "5 0,12 * * *",
	"0 2 1-7 * SUN", "0 0 30 12 *", "*/20 2 */2 3,10,11 *", "29 1 * 3-11 6,0",
}

// R7: no civil minute is missed and none fires twice, in any zone, around every
// change of its clock.
func TestEveryTransitionAgainstTheOracle(t *testing.T) {
	matchers := map[string]matcher{}
	for _, spec := range specs {
		matchers[spec] = newMatcher(spec)
	}
	from, to := time.Date(2005, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	var seen, slots int
	for _, zone := range zones {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range transitions(loc, from, to) {
			seen++
			// Two days on either side are looked at; a third gives the minutes that
			// a jump of a whole day (Apia) moves.
			const day = 24 * 60
			d := scan(loc, change.Add(-3*day*time.Minute), 6*day*time.Minute)
			for _, spec := range specs {
				s := scheduler.Spec{Cron: spec, Zone: zone, Missed: scheduler.RunAll}
				want := d.expected(matchers[spec], day, 5*day)
				got, err := s.Upcoming(d.start.Add(day*time.Minute), len(want)+1)
				if err != nil {
					t.Fatal(err)
				}
				slots += len(want)
				names := map[string]bool{}
				for i, w := range want {
					if i >= len(got) {
						t.Fatalf("%s %q around %s: ends after %d slots of %d", zone, spec, change, len(got), len(want))
					}
					at := d.start.Add(time.Duration(w) * time.Minute)
					if !got[i].DueAt.Equal(at) {
						t.Fatalf("%s %q around %s: slot %d is %s at %s, want %s", zone, spec, change, i, got[i].Civil, got[i].DueAt, at)
					}
					if names[got[i].Civil] {
						t.Fatalf("%s %q around %s: %s comes twice", zone, spec, change, got[i].Civil)
					}
					names[got[i].Civil] = true
					// The name is what the clock shows then, or was never shown.
					if shown, named := d.walls[w], minuteNamed(t, got[i].Civil); shown != named {
						if _, ok := d.first[named]; ok {
							t.Fatalf("%s %q around %s: %s is due at %s", zone, spec, change, got[i].Civil, at)
						}
					}
				}
				if end := d.start.Add(5 * day * time.Minute); len(got) > len(want) && !got[len(want)].DueAt.After(end) {
					t.Fatalf("%s %q around %s: %s at %s is one too many", zone, spec, change, got[len(want)].Civil, got[len(want)].DueAt)
				}
			}
		}
	}
	if seen < 600 || slots < 200_000 {
		t.Errorf("only %d changes and %d slots were looked at", seen, slots)
	}
}

// Where the walk begins must not matter: from inside a doubled hour too.
func TestUpcomingFromEveryInstant(t *testing.T) {
	for _, c := range []struct{ zone, day string }{
		{"America/New_York", "2026-11-01"}, {"America/New_York", "2026-03-08"}, {"America/Sao_Paulo", "2018-02-17"},
		{"Pacific/Apia", "2011-12-29"}, {"Australia/Lord_Howe", "2026-04-05"},
	} {
		loc, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		start, err := time.ParseInLocation("2006-01-02", c.day, loc)
		if err != nil {
			t.Fatal(err)
		}
		for _, expr := range []string{"*/15 * * * *", "30 1 * * *", "0 0 * * *"} {
			s := scheduler.Spec{Cron: expr, Zone: c.zone, Missed: scheduler.Skip}
			all, err := s.Upcoming(start.Add(-time.Minute), 400)
			if err != nil {
				t.Fatal(err)
			}
			for at := start; at.Before(start.Add(50 * time.Hour)); at = at.Add(7 * time.Minute) {
				for len(all) > 0 && !all[0].DueAt.After(at) {
					all = all[1:]
				}
				got, err := s.Upcoming(at, 1)
				if err != nil {
					t.Fatal(err)
				}
				if got[0] != all[0] {
					t.Fatalf("%s %q after %s: %v, want %v", c.zone, expr, at.UTC(), got[0], all[0])
				}
			}
		}
	}
}

// A daily schedule has one slot for each day of 25 years.
func TestDailyHasEveryDayOnce(t *testing.T) {
	for _, zone := range []string{"America/New_York", "America/Santiago", "America/Sao_Paulo", "America/Havana"} {
		for _, expr := range []string{"0 0 * * *", "30 1 * * *", "30 2 * * *", "0 9 * * *"} {
			day := time.Date(2005, 1, 1, 0, 0, 0, 0, time.UTC)
			n := 25 * 365
			slots, err := scheduler.Spec{Cron: expr, Zone: zone, Missed: scheduler.Skip}.Upcoming(day, n)
			if err != nil {
				t.Fatal(err)
			}
			first, err := time.Parse("2006-01-02T15:04", slots[0].Civil)
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range slots {
				if want := first.AddDate(0, 0, i).Format("2006-01-02T15:04"); s.Civil != want {
					t.Fatalf("%s %q: slot %d is %s, want %s", zone, expr, i, s.Civil, want)
				}
				if i > 0 && s.DueAt.Sub(slots[i-1].DueAt) < 22*time.Hour {
					t.Fatalf("%s %q: %s follows too soon", zone, expr, s.Civil)
				}
			}
		}
	}
}
